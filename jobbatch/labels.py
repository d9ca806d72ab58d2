"""The ordered label vocabulary and its multi-hot encoding.

The order is part of the model: column *i* of every logit, probability and target array is label *i*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobbatch.errors import UsageError

JOB_LEVELS = (
    "Chief Officer",
    "Owner",
    "Vice President",
    "Director",
    "Manager",
    "Individual Contributor/Staff",
)
"""The shipped model's labels, highest first."""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """An ordered set of distinct label names.

    Raises:
        UsageError: if a name is blank or occurs twice, or there is none.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) != len(self.names):
            raise UsageError(f"labels must be distinct and at least one, got {list(self.names)}")
        if any(not name.strip() for name in self.names):
            raise UsageError("a label name is blank")

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def seen_in(cls, rows: Iterable[Sequence[str]]) -> LabelSet:
        """Return the labels of `rows`: the job levels in their order if all are, else sorted."""
        seen = {name for row in rows for name in row}
        known = seen <= set(JOB_LEVELS)
        return cls(tuple(n for n in JOB_LEVELS if n in seen) if known else tuple(sorted(seen)))

    def encode(self, rows: Iterable[Sequence[str]]) -> NDArray[np.bool_]:
        """Return the multi-hot matrix, bool (n_rows, n_labels).

        Raises:
            UsageError: if a row names a label outside the set.
        """
        position = {name: i for i, name in enumerate(self.names)}
        rows = list(rows)
        hot = np.zeros((len(rows), len(self)), dtype=np.bool_)
        for i, row in enumerate(rows):
            for name in row:
                if name not in position:
                    raise UsageError(f"unknown label {name!r}; known are {', '.join(self.names)}")
                hot[i, position[name]] = True
        return hot

    def decode(self, hot: NDArray[np.bool_]) -> list[tuple[str, ...]]:
        """Return each row's label names in the set's order; the inverse of `encode`."""
        return [
            tuple(n for n, on in zip(self.names, row, strict=True) if on) for row in hot.tolist()
        ]
