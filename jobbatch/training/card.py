"""The model card: README.md of a model folder, in the Hugging Face form."""

from __future__ import annotations

from collections.abc import Sequence

from jobbatch.settings.teaching import TrainSettings
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
titles normalised by jobbatch{context}; use it through `jobbatch label` or `jobbatch.TitleModel`, which
also check the files against manifest.json, calibrate the probabilities and flag unsure titles.

## Figures

On {rows:,} held-out rows ({distinct:,} distinct titles in all){seen}:

| micro-F1 | macro-F1 | exact match | precision | recall | ROC-AUC | marked for review |
|--:|--:|--:|--:|--:|--:|--:|
| {micro:.3f} | {macro:.3f} | {exact:.3f} | {precision:.3f} | {recall:.3f} | {auc} | {review:.0%} |

{original}| label | rows | precision | recall | F1 | ROC-AUC |
|---|--:|--:|--:|--:|--:|
{table}

{notes}## Limits

It knows the conventions of the data it was trained on ({conflicts:,} of their titles contradict
themselves) and no other. Few rows make a figure uncertain: 100 rows leave an error of about 0.03.
Titles in other languages than the data's, misspelt or abbreviated in new ways, may be wrong with
confidence. It says nothing about a person.
"""


def text(
    settings: TrainSettings,
    about: About,
    data: Dataset,
    test: Evaluation,
    *,
    test_original: Evaluation | None = None,
    seen_by_base: Sequence[str] = (),
    notes: str = "",
) -> str:
    """Return the card of a model.

    Args:
        settings: what the model was made with; `out` names it.
        about: its kind.
        data: what it was trained on.
        test: figures on the test part.
        test_original: the same with the labels that the rows came with, where they differ.
        seen_by_base: tables that the base was trained on already.
        notes: Markdown that is taken over.
    """
    rows = [
        f"| {f.label} | {f.support} | {_figure(f.precision)} | {_figure(f.recall)} | "
        f"{_figure(f.f1)} | {_figure(f.roc_auc)} |"
        for f in test.per_label
    ]
    return _TEXT.format(
        name=settings.out.name,
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
        context=_context(settings.context),
        seen=_seen(seen_by_base),
        original="" if test_original is None else _original(test_original),
        notes=f"{notes.strip()}\n\n" if notes.strip() else "",
    )


def _context(columns: Sequence[str]) -> str:
    return f", and beside them, where `--context` names it, {', '.join(columns)}" if columns else ""


def _seen(by_base: Sequence[str]) -> str:
    if not by_base:
        return ", whose titles it never saw"
    return f". The base was trained on {', '.join(by_base)}: these figures are too good"


def _original(test: Evaluation) -> str:
    return (
        f"With the labels that the rows came with: micro-F1 {test.micro_f1:.3f}, macro-F1 "
        f"{test.macro_f1:.3f}, exact match {test.exact_match:.3f}.\n\n"
    )


def _figure(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
