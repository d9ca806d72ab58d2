"""From raw probabilities to labels: calibration, thresholds, confidence and the review flag.

Decided in arrays, some blocks of rows at a time: two cores take a quarter of a second for a million
titles. Calibration is Platt scaling (Platt 1999, with his smoothed targets).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from jobbatch.errors import ModelError

EMPTY = "empty title"
NOT_A_TITLE = "not a title"
TRUNCATED = "truncated"
NO_LABEL = "no label above its threshold"
UNSURE = "low confidence"

_SMALLEST = 1e-6
"""Probabilities are kept this far from 0 and 1, where the logit is infinite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Platt scaling: sigmoid(slope * logit(p) + intercept)."""

    slope: float = 1.0
    intercept: float = 0.0

    @classmethod
    def fit(
        cls,
        probabilities: NDArray[np.float64],
        hits: NDArray[np.bool_],
        weights: NDArray[np.float64] | None = None,
    ) -> Scaling:
        """Return the scaling of least log loss; the identity where there is only one outcome.

        Args:
            probabilities: float64 (n,), what the model said.
            hits: bool (n,), what was true.
            weights: float64 (n,), what each counts, 1 on average; none: all the same.
        """
        if hits.all() or not hits.any():
            return cls()
        counts = np.ones(len(hits)) if weights is None else weights
        n_hits, n_misses = counts[hits].sum(), counts[~hits].sum()
        clipped = np.clip(probabilities, _SMALLEST, 1 - _SMALLEST)
        design = np.column_stack([np.log(clipped / (1 - clipped)), np.ones(len(clipped))])
        targets = np.where(hits, (n_hits + 1) / (n_hits + 2), 1 / (n_misses + 2))
        fit = np.array([1.0, 0.0])
        for _ in range(100):
            fitted = 1 / (1 + np.exp(-design @ fit))
            # The ridge keeps the step finite where the classes are separable.
            curvature = (counts * fitted * (1 - fitted))[:, None]
            hessian = design.T @ (design * curvature) + 1e-3 * np.eye(2)
            slope = design.T @ (counts * (targets - fitted)) - 1e-3 * (fit - [1, 0])
            step = np.linalg.solve(hessian, slope)
            fit = fit + np.clip(step, -1, 1)
            if np.abs(step).max() < 1e-9:
                break
        return cls(slope=round(float(fit[0]), 6), intercept=round(float(fit[1]), 6))

    def apply(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scaled probabilities, float64, shaped as they are given."""
        clipped = np.clip(probabilities, _SMALLEST, 1 - _SMALLEST)
        logit = np.log(clipped / (1 - clipped))
        return np.asarray(1 / (1 + np.exp(-(self.slope * logit + self.intercept))), np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """How a model's probabilities become labels; the content of decisions.json.

    Attributes:
        calibration: one scaling per label.
        thresholds: calibrated probability from which each label holds.
        confidence: scaling of the product of the label-wise certainties to the probability that
            the whole label set is right.
        review_below: confidence under which a title is marked for review.
        no_label_below: where no label reaches its threshold, the most probable one is answered,
            unless its calibrated probability is below this: then none is.
        order: labels from highest to lowest, for `primary_label`; empty: the most probable.
    """

    calibration: tuple[Scaling, ...]
    thresholds: tuple[float, ...]
    confidence: Scaling = Scaling()
    review_below: float = 0.8
    no_label_below: float = 0.0
    order: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, content: bytes) -> Decisions:
        """Read decisions.json.

        Raises:
            ModelError: if a field is missing, unknown or of the wrong kind.
        """
        try:
            fields = json.loads(content, parse_constant=_refuse)
            fields["calibration"] = tuple(map(_scaling, fields["calibration"]))
            fields["thresholds"] = tuple(map(float, fields["thresholds"]))
            fields["confidence"] = _scaling(fields["confidence"])
            fields["review_below"] = float(fields["review_below"])
            fields["no_label_below"] = float(fields.get("no_label_below", 0.0))
            fields["order"] = tuple(fields["order"])
            return cls(**fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError(f"decisions.json is not usable: {error}") from error

    def to_json(self) -> bytes:
        """Return the content of decisions.json."""
        return (json.dumps(asdict(self), indent=2) + "\n").encode()

    def apply(self, scored: pl.DataFrame, labels: tuple[str, ...]) -> pl.DataFrame:
        """Decide each row of `scored`.

        Args:
            scored: columns 'probabilities' (array of n_labels; null where the title was not
                scored), 'truncated' (bool) and 'unscored' (the reason why not, else null).
            labels: the names that the probabilities belong to.

        Returns:
            `scored` less those three columns, with labels, primary_label, confidence,
            needs_review, review_reason and one calibrated p_<label> per label.
        """
        if scored.is_empty():
            return self._decide(scored, labels)
        with ThreadPoolExecutor(_BLOCKS_AT_A_TIME) as pool:  # NumPy lets go of the GIL
            blocks = scored.iter_slices(_BLOCK_ROWS)
            return pl.concat(pool.map(partial(self._decide, labels=labels), blocks))

    def answers(self, probabilities: NDArray[np.float64], labels: tuple[str, ...]) -> pl.DataFrame:
        """Return what `apply` answers for raw probabilities, float64 (n, n_labels)."""
        scored = pl.DataFrame(
            {"probabilities": probabilities.astype(np.float32)},
            schema={"probabilities": pl.Array(pl.Float32, len(labels))},
        ).with_columns(truncated=pl.lit(value=False), unscored=pl.lit(None, pl.String))
        return self.apply(scored, labels)

    def _decide(self, scored: pl.DataFrame, labels: tuple[str, ...]) -> pl.DataFrame:
        known = scored["probabilities"].is_not_null()
        decided = self._decide_known(scored.filter(known), labels)
        if not known.all():
            # A null position makes a row of nulls.
            position = pl.select(pl.when(known).then(known.cum_sum() - 1)).to_series()
            decided = decided.select(pl.all().gather(position))
            decided = decided.with_columns(pl.col("labels").fill_null([]))
        reason = pl.coalesce(scored["unscored"], "review_reason")
        answer = decided.select(
            "labels",
            "primary_label",
            "confidence",
            reason.is_not_null().alias("needs_review"),
            reason.alias("review_reason"),
            *(f"p_{name}" for name in labels),
        )
        return pl.concat([scored.drop(_SCORED), answer], how="horizontal")

    def _decide_known(self, scored: pl.DataFrame, labels: tuple[str, ...]) -> pl.DataFrame:
        raw = scored["probabilities"].to_numpy().astype(np.float64).reshape(-1, len(labels))
        p = np.column_stack([s.apply(raw[:, i]) for i, s in enumerate(self.calibration)])
        hot = p >= np.array(self.thresholds)
        none = ~hot.any(axis=1)
        nothing = none & (p.max(axis=1, initial=0.0) < self.no_label_below)
        guessed = np.flatnonzero(none & ~nothing)
        hot[guessed, p[guessed].argmax(axis=1)] = True
        certainty = np.where(hot, p, 1 - p).prod(axis=1)
        confidence = self.confidence.apply(certainty).round(4)
        sets, of_row = _distinct_sets(hot)
        reasons = [
            (scored["truncated"].to_numpy(), TRUNCATED),
            (nothing, NOT_A_TITLE),
            (none, NO_LABEL),
            (confidence < self.review_below, UNSURE),
        ]
        names = [[n for n, on in zip(labels, row, strict=True) if on] for row in sets.tolist()]
        return pl.DataFrame(
            {
                "labels": pl.Series(names, dtype=pl.List(pl.String)).gather(of_row),
                "primary_label": self._primary(labels, p, hot),
                "confidence": confidence,
                "review_reason": _first_that_holds(reasons),
                **{f"p_{name}": p[:, i].round(4) for i, name in enumerate(labels)},
            }
        )

    def _primary(
        self, labels: tuple[str, ...], p: NDArray[np.float64], hot: NDArray[np.bool_]
    ) -> pl.Series:
        """Return the highest label of each row, or the most probable where no order is declared."""
        rank = [-self.order.index(name) for name in labels] if self.order else p
        best = np.where(hot, rank, -np.inf).argmax(axis=1)
        names = pl.Series([*labels, None])
        return names.gather(np.where(hot.any(axis=1), best, len(labels)))


def _scaling(fields: dict[str, Any]) -> Scaling:
    return Scaling(**{name: float(value) for name, value in fields.items()})


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no usable number")


_SCORED = ("probabilities", "truncated", "unscored")
_BLOCK_ROWS = 65_536
_BLOCKS_AT_A_TIME = 4
"""Both bound the memory for what lies between, 30 MiB a block."""
_LABELS_PER_WORD = 32


def _distinct_sets(hot: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Return the distinct rows of `hot`, and which of them each row is."""
    of_row = np.zeros(len(hot), np.int64)
    first = np.zeros(min(1, len(hot)), np.intp)
    for start in range(0, hot.shape[1], _LABELS_PER_WORD):
        bits = hot[:, start : start + _LABELS_PER_WORD]
        word = (of_row << _LABELS_PER_WORD) + bits @ (1 << np.arange(bits.shape[1]))
        _, first, of_row = np.unique(word, return_index=True, return_inverse=True)
    return hot[first], of_row


def _first_that_holds(reasons: Sequence[tuple[NDArray[np.bool_], str]]) -> pl.Series:
    """Return the text of the first mask that holds, row by row; null where none does."""
    texts = pl.Series([text for _, text in reasons] + [None])
    held = [mask for mask, _ in reasons]
    return texts.gather(np.select(held, range(len(held)), default=len(held)))


def multi_hot(answers: pl.DataFrame, labels: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return the label sets of answers, bool (n, n_labels)."""
    return np.column_stack([answers["labels"].list.contains(n).to_numpy() for n in labels])
