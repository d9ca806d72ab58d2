"""What goes wrong, readably: label sets taken for others, and the wrong answers of most confidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobbatch.labels import LabelSet
from jobbatch.titles import shown
from jobbatch.training.evaluation import Scored

CONFUSIONS = 20
WORST = 50

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """A label set that was answered for another one; `title` is that of its surest row."""

    truth: Labels
    answer: Labels
    rows: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A wrong answer; rows that are alike are one. No confidence: the title was not scored."""

    title: str
    truth: Labels
    answer: Labels
    confidence: float | None


def worst(scored: Scored) -> tuple[Mistake, ...]:
    """Return the wrong answers of the highest confidence, at most `WORST`."""
    truth, answers = _label_sets(scored)
    confidence = [None if np.isnan(c) else round(c, 4) for c in scored.decided.confidence.tolist()]
    found = [
        Mistake(
            title=shown(scored.titles[i]),
            truth=truth[i],
            answer=answers[i],
            confidence=confidence[i],
        )
        for i in _wrong(scored)
    ]
    return tuple(dict.fromkeys(found))[:WORST]


def confusions(scored: Scored) -> tuple[Confusion, ...]:
    """Return the most frequent pairs of a label set and a wrong answer, at most `CONFUSIONS`."""
    truth, answers = _label_sets(scored)
    wrong = _wrong(scored)
    counts = Counter((truth[i], answers[i]) for i in wrong)
    examples = {(truth[i], answers[i]): shown(scored.titles[i]) for i in reversed(wrong)}
    return tuple(
        Confusion(truth=pair[0], answer=pair[1], rows=rows, title=examples[pair])
        for pair, rows in counts.most_common(CONFUSIONS)
    )


def _label_sets(scored: Scored) -> tuple[Sequence[Labels], Sequence[Labels]]:
    names = LabelSet(scored.labels)
    return names.decode(scored.truth), names.decode(scored.decided.hot)


def _wrong(scored: Scored) -> list[int]:
    """Return the rows with a wrong answer, the most confident first."""
    order: NDArray[np.intp] = np.argsort(-scored.decided.confidence, kind="stable")
    return [int(i) for i in order if not scored.right[i]]
