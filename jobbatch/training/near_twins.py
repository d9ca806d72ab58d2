"""Near-twins: titles that are written almost alike, yet carry other labels.

Titles are near-twins if they have the same words in any order, or if the Jaccard similarity of
their character trigrams is `ALIKE` or more. Only titles that share one of their rarest trigrams are
compared: prefix filtering, which misses no pair (Chaudhuri, Ganti and Kaushik 2006).

Context may change a title's labels and is no part of its wording: two keys are compared by their
titles, and only if both have the same context or one has none.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence

from jobbatch.titles import without_context

ALIKE = 0.85
"""Jaccard similarity from which on two titles are near-twins."""
_WORD = re.compile(r"[^\W_]+")


def nearest_twins(keys: Sequence[str], labels: Sequence[Hashable]) -> dict[int, int]:
    """Return each key's nearest near-twin with other labels, as indices; keys without are left out.

    Args:
        keys: n distinct keys.
        labels: n label sets.
    """
    by_title = _by_title(keys)
    titles = list(by_title)
    grams = [_trigrams(title) for title in titles]
    nearest: dict[int, tuple[float, int]] = {}
    for a, b in {*_same_words(titles), *_sharing_rare_trigrams(grams)}:
        comparable = _comparable(by_title[titles[a]], by_title[titles[b]])
        pairs = [(i, j) for i, j in comparable if labels[i] != labels[j]]
        if not pairs:
            continue
        same = _words(titles[a]) == _words(titles[b])
        similarity = 1.0 if same else len(grams[a] & grams[b]) / len(grams[a] | grams[b])
        if similarity < ALIKE:
            continue
        for i, j in pairs:
            for one, other in ((i, j), (j, i)):
                # Of equally near ones the first, whatever order the pairs come in.
                nearest[one] = max(
                    nearest.get(one, (0.0, 0)), (similarity, other), key=lambda t: (t[0], -t[1])
                )
    return {i: other for i, (_, other) in sorted(nearest.items())}


def _by_title(keys: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the indices of each title's keys, by the rest of the key: the context, '' if none."""
    found: dict[str, dict[str, int]] = {}
    for i, key in enumerate(keys):
        title = without_context(key)
        found.setdefault(title, {})[key.removeprefix(title)] = i
    return found


def _comparable(one: Mapping[str, int], other: Mapping[str, int]) -> set[tuple[int, int]]:
    """Return the pairs of keys of two titles with the same context, or with none on a side."""
    pairs = {(i, other[context]) for context, i in one.items() if context in other}
    if "" in other:
        pairs |= {(i, other[""]) for i in one.values()}
    if "" in one:
        pairs |= {(one[""], j) for j in other.values()}
    return pairs


def _trigrams(key: str) -> frozenset[str]:
    padded = f" {key} "
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))


def _words(key: str) -> frozenset[str]:
    return frozenset(_WORD.findall(key))


def _same_words(keys: Sequence[str]) -> Iterator[tuple[int, int]]:
    groups: dict[frozenset[str], list[int]] = defaultdict(list)
    for j, key in enumerate(keys):
        if words := _words(key):
            yield from ((i, j) for i in groups[words])
            groups[words].append(j)


def _sharing_rare_trigrams(grams: Sequence[frozenset[str]]) -> Iterator[tuple[int, int]]:
    """Yield the pairs that may be alike: sets this alike share one of their few rarest members."""
    counts = Counter(gram for members in grams for gram in members)
    holders: dict[str, list[int]] = defaultdict(list)
    for j, members in enumerate(grams):
        ranked = sorted(members, key=lambda gram: (counts[gram], gram))
        needed = math.ceil(ALIKE * len(ranked))
        for gram in ranked[: len(ranked) - needed + 1]:
            yield from ((i, j) for i in holders[gram])
            holders[gram].append(j)
