"""Figures on parts of the rows: where a model is strong and where it is weak."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobbatch.titles import without_context
from jobbatch.training.evaluation import Scored
from jobbatch.training.report import languages
from jobbatch.training.report.intervals import Bootstrap, Estimate, ratio

_SEPARATORS = frozenset("&/,|")


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFigures:
    """Figures of the rows of one slice; the slices of a group hold every row once."""

    group: str
    name: str
    rows: int
    exact_match: Estimate
    micro_f1: Estimate


def words(titles: Iterable[str]) -> frozenset[str]:
    """Return the words that occur in titles."""
    return frozenset(word for title in titles for word in _words(title))


def slices(
    scored: Scored, bootstrap: Bootstrap, vocabulary: frozenset[str] | None
) -> tuple[SliceFigures, ...]:
    """Return the figures of each slice that has rows.

    Args:
        scored: rows and answers.
        bootstrap: of the rows.
        vocabulary: the `words` of the titles trained on; none: not sliced by them.
    """
    found = [s for s in _slices(scored, vocabulary) if s[2].any()]
    masks = np.column_stack([mask for _, _, mask in found])
    truth, hot = scored.truth, scored.decided.hot
    hits, chosen = (truth & hot).sum(axis=1), truth.sum(axis=1) + hot.sum(axis=1)
    sums = bootstrap.sums(
        rows=masks,
        right=masks & scored.right[:, None],
        hits=masks * hits[:, None],
        chosen=masks * chosen[:, None],
    )
    exact = ratio(sums["right"], sums["rows"])
    f1 = ratio(2 * sums["hits"], sums["chosen"])
    return tuple(
        SliceFigures(
            group=group,
            name=name,
            rows=int(mask.sum()),
            exact_match=Estimate.of(exact[:, i]),
            micro_f1=Estimate.of(f1[:, i]),
        )
        for i, (group, name, mask) in enumerate(found)
    )


def _slices(
    scored: Scored, vocabulary: frozenset[str] | None
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Yield group, name and mask of every slice; what is asked of titles leaves out context."""
    titles = [without_context(key) for key in scored.titles]
    lengths = np.array([len(_words(title)) for title in titles])
    for n in range(5):
        yield "words", str(n), lengths == n
    yield "words", "5 or more", lengths > 4
    n_labels = scored.truth.sum(axis=1)
    for name, mask in (("none", n_labels == 0), ("one", n_labels == 1), ("several", n_labels > 1)):
        yield "true labels", name, mask
    spoken = np.array(languages.guess(titles))
    for language in np.unique(spoken):
        yield "language, guessed", str(language), spoken == language
    yield from _both("a separator: & / , |", (not _SEPARATORS.isdisjoint(t) for t in titles))
    if vocabulary is not None:
        unseen = (not words([title]) <= vocabulary for title in titles)
        yield from _both("a word never seen in training", unseen)
    tables = np.array(scored.tables)
    for table in dict.fromkeys(scored.tables):
        yield "table", table, tables == table


def _both(group: str, mask: Iterable[bool]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    holds = np.fromiter(mask, dtype=np.bool_)
    yield group, "yes", holds
    yield group, "no", ~holds


def _words(title: str) -> list[str]:
    return [word for word in title.split() if any(c.isalnum() for c in word)]
