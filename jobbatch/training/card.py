"""The model card: README.md of a model folder, in the Hugging Face form."""

from __future__ import annotations

from jobbatch.training.dataset import Dataset
from jobbatch.training.evaluation import Evaluation
from jobbatch.training.scorer import About

_TEXT = """\
---
pipeline_tag: text-classification
language: en
{front_matter}
---

# {name}

Labels job titles, each with one or more of: {labels}.

{sentence}. It reads
titles normalised by jobbatch; use it through `jobbatch label` or `jobbatch.TitleModel`, which
also check the files against manifest.json, calibrate the probabilities and flag unsure titles.

## Figures

On {rows:,} held-out rows ({distinct:,} distinct titles in all), whose titles it never saw:

| micro-F1 | macro-F1 | exact match | precision | recall | ROC-AUC | marked for review |
|--:|--:|--:|--:|--:|--:|--:|
| {micro:.3f} | {macro:.3f} | {exact:.3f} | {precision:.3f} | {recall:.3f} | {auc} | {review:.0%} |

| label | rows | precision | recall | F1 | ROC-AUC |
|---|--:|--:|--:|--:|--:|
{table}

{notes}## Limits

It knows the conventions of the data it was trained on ({conflicts:,} of their titles contradict
themselves) and no other. Few rows make a figure uncertain: 100 rows leave an error of about 0.03.
Titles in other languages than the data's, misspelt or abbreviated in new ways, may be wrong with
confidence. It says nothing about a person.
"""


def text(name: str, about: About, data: Dataset, test: Evaluation, notes: str = "") -> str:
    """Return the card of the model `name`, of the kind `about`; `notes` are taken over."""
    rows = [
        f"| {f.label} | {f.support} | {_figure(f.precision)} | {_figure(f.recall)} | "
        f"{_figure(f.f1)} | {_figure(f.roc_auc)} |"
        for f in test.per_label
    ]
    return _TEXT.format(
        name=name,
        front_matter="\n".join(about.front_matter),
        sentence=about.sentence,
        labels=", ".join(data.labels.names),
        rows=test.rows,
        distinct=data.report.distinct,
        micro=test.micro_f1,
        macro=test.macro_f1,
        exact=test.exact_match,
        precision=test.precision,
        recall=test.recall,
        auc=_figure(test.roc_auc),
        review=test.review_share,
        table="\n".join(rows),
        conflicts=data.report.conflicts,
        notes=f"{notes.strip()}\n\n" if notes.strip() else "",
    )


def _figure(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
