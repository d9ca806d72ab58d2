"""Which labels of a data set are suspicious, by four signs, most suspicious first.

linear model   the labels are doubtful to models that the other titles taught (`linear_opinion`)
near-twin      a title written almost alike carries other labels (`near_twins`)
contradiction  the title's own rows carry different labels
shipped model  the shipped model is sure of other labels; asked only where all labels are job
               levels, and of titles without context, since it knows no others. It speaks for the
               labelling guide as far as its own titles were labelled by it, which its card says

One sign makes a title suspicious. Titles are ranked by 1 - quality, from 0 to 1, plus `BOOST` for
each of the other three signs that they show; of equals the first key comes first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobbatch.errors import UsageError
from jobbatch.labeller import Labeller
from jobbatch.labels import JOB_LEVELS
from jobbatch.model import TitleModel
from jobbatch.tables.sink import LIST_SEPARATOR
from jobbatch.titles import SEPARATOR, shown, without_context
from jobbatch.training import corrections
from jobbatch.training.dataset import Dataset
from jobbatch.training.label_columns import NO_LABEL
from jobbatch.training.labelled_table import Labels
from jobbatch.training.linear_opinion import Opinion, opinion
from jobbatch.training.near_twins import nearest_twins
from jobbatch.weights import default_model

BOOST = 0.5
"""What a further sign adds to a rank: two signs outweigh any doubt of the linear model alone."""
LINEAR, TWIN, CONTRADICTION, SHIPPED = (
    "linear model",
    "near-twin",
    "contradiction",
    "shipped model",
)

Reasons = Mapping[int, str]
"""What a sign says, by index into the data set's keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A title to check.

    Attributes:
        title: as its first row has it, with its context.
        labels: what the data set is trained on.
        suggested: the linear model's labels.
        reasons: why, sign by sign.
        rows: the table and number of each of its rows.
        sha256: of its key.
    """

    title: str
    labels: Labels
    suggested: Labels
    reasons: tuple[str, ...]
    rows: tuple[tuple[str, int], ...]
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All suspicious titles, the most suspicious first, and how many show each sign asked."""

    suspicions: tuple[Suspicion, ...]
    by_sign: Mapping[str, int]


def find(data: Dataset) -> Findings:
    """Return the suspicious titles of a data set.

    Raises:
        UsageError: if there are too few titles, or all carry the same labels.
        ModelError, MissingExtraError: if the shipped model cannot be opened.
    """
    if len(set(data.key_labels)) == 1:
        raise UsageError(
            f"all {len(data.keys):,} distinct titles carry {text(data.key_labels[0])}: an audit "
            "compares titles of different labels"
        )
    judged = opinion(data.keys, data.labels.encode(data.key_labels), data.labels)
    rows = _rows_by_key(data)
    titles = [data.row_titles[rows[key][0]] for key in data.keys]
    named = [
        t + shown(key.removeprefix(without_context(key)))
        for t, key in zip(titles, data.keys, strict=True)
    ]
    signs: dict[str, Reasons] = {
        LINEAR: _doubts(data, judged),
        TWIN: _twins(data, named),
        CONTRADICTION: _contradictions(data, rows),
    }
    if set(data.labels.names) <= set(JOB_LEVELS):
        signs[SHIPPED] = _shipped(data, titles)
    boosts = Counter(i for sign, found in signs.items() if sign != LINEAR for i in found)
    found = {i for reasons in signs.values() for i in reasons}
    ranked = sorted(found, key=lambda i: (judged.quality[i] - BOOST * boosts[i], i))
    return Findings(
        suspicions=tuple(
            Suspicion(
                title=named[i],
                labels=data.key_labels[i],
                suggested=judged.suggested[i],
                reasons=tuple(reasons[i] for reasons in signs.values() if i in reasons),
                rows=tuple((data.row_tables[r], data.row_numbers[r]) for r in rows[data.keys[i]]),
                sha256=corrections.digest(data.keys[i]),
            )
            for i in ranked
        ),
        by_sign={sign: len(reasons) for sign, reasons in signs.items()},
    )


def text(labels: Labels) -> str:
    """Return a label set as a cell that `corrections.read` understands."""
    return LIST_SEPARATOR.join(labels) or NO_LABEL


def _rows_by_key(data: Dataset) -> Mapping[str, list[int]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for i, key in enumerate(data.row_keys):
        rows[key].append(i)
    return rows


def _doubts(data: Dataset, judged: Opinion) -> Reasons:
    found = {}
    for i, given in enumerate(data.key_labels):
        if judged.doubts(i, given):
            chance = dict(zip(data.labels.names, judged.probabilities[i].tolist(), strict=True))
            gives = ", ".join(f"{n} {chance[n]:.2f}" for n in judged.suggested[i]) or NO_LABEL
            dropped = [n for n in given if n not in judged.suggested[i]]
            against = "".join(f", {n} only {chance[n]:.2f}" for n in dropped)
            found[i] = f"the linear model gives {gives}{against}"
    return found


def _twins(data: Dataset, named: Sequence[str]) -> Reasons:
    twins = nearest_twins(data.keys, data.key_labels)
    return {
        i: f"the near-twin '{named[j]}' has {text(data.key_labels[j])}" for i, j in twins.items()
    }


def _contradictions(data: Dataset, rows: Mapping[str, Sequence[int]]) -> Reasons:
    found = {}
    for i, key in enumerate(data.keys):
        sets = Counter(data.row_labels[r] for r in rows[key]).most_common()
        if len(sets) > 1:
            counted = ", ".join(f"{count} x {text(labels)}" for labels, count in sets)
            found[i] = f"contradicts itself: {counted}"
    return found


def _shipped(data: Dataset, titles: Sequence[str]) -> Reasons:
    answers = Labeller(TitleModel(default_model())).predict(titles)
    found = {}
    for i, answer in enumerate(answers.iter_rows(named=True)):
        if SEPARATOR in data.keys[i]:  # it reads no context
            continue
        # Not marked for review: it is a title, and the confidence reaches the model's threshold.
        if not answer["needs_review"] and set(answer["labels"]) != set(data.key_labels[i]):
            gives = text(tuple(answer["labels"]))
            found[i] = f"the shipped model gives {gives} {answer['confidence']:.2f}"
    return found
