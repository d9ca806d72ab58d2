"""Near-twins: titles that are written almost alike, yet carry other labels.

Keys are near-twins if they have the same words in any order, or if the Jaccard similarity of
their character trigrams is `ALIKE` or more. Only keys that share one of their rarest trigrams are
compared: prefix filtering, which misses no pair (Chaudhuri, Ganti and Kaushik 2006).
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence

ALIKE = 0.85
"""Jaccard similarity from which on two keys are near-twins."""
_WORD = re.compile(r"[^\W_]+")


def nearest_twins(keys: Sequence[str], labels: Sequence[Hashable]) -> dict[int, int]:
    """Return each key's nearest near-twin with other labels, as indices; keys without are left out.

    Args:
        keys: n distinct keys.
        labels: n label sets.
    """
    grams = [_trigrams(key) for key in keys]
    nearest: dict[int, tuple[float, int]] = {}
    for i, j in {*_same_words(keys), *_sharing_rare_trigrams(grams)}:
        if labels[i] == labels[j]:
            continue
        same = _words(keys[i]) == _words(keys[j])
        similarity = 1.0 if same else len(grams[i] & grams[j]) / len(grams[i] | grams[j])
        if similarity >= ALIKE:
            for one, other in ((i, j), (j, i)):
                # Of equally near ones the first, whatever order the pairs come in.
                nearest[one] = max(
                    nearest.get(one, (0.0, 0)), (similarity, other), key=lambda t: (t[0], -t[1])
                )
    return {i: other for i, (_, other) in sorted(nearest.items())}


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
