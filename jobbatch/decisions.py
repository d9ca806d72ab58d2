"""From raw probabilities to labels: calibration, thresholds, confidence and the review flag.

Everything applied to a table is a Polars expression, so that a decision costs the same for one
title as for a million. Calibration is Platt scaling (Platt 1999, with his smoothed targets).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import reduce
from operator import mul
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

    def expression(self, probability: pl.Expr) -> pl.Expr:
        """Return the scaled probability as an expression."""
        clipped = probability.cast(pl.Float64).clip(_SMALLEST, 1 - _SMALLEST)
        logit = (clipped / (1 - clipped)).log()
        return 1 / (1 + (-(self.slope * logit + self.intercept)).exp())


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

    def apply(self, scored: pl.LazyFrame, labels: tuple[str, ...]) -> pl.LazyFrame:
        """Decide each row of `scored`.

        Args:
            scored: columns 'probabilities' (array of n_labels; null where the title was not
                scored), 'truncated' (bool) and 'unscored' (the reason why not, else null).
            labels: the names that the probabilities belong to.

        Returns:
            `scored` less those three columns, with labels, primary_label, confidence,
            needs_review, review_reason and one calibrated p_<label> per label.
        """
        p = [f"p_{name}" for name in labels]
        calibrated = [
            scaling.expression(pl.col("probabilities").arr.get(i)).alias(p[i])
            for i, scaling in enumerate(self.calibration)
        ]
        most_probable = pl.concat_list(p).list.arg_max()
        above = [pl.col(p[i]) >= t for i, t in enumerate(self.thresholds)]
        guessed = pl.col("none") & ~pl.col("nothing")
        holds = [a | (guessed & (most_probable == i)) for i, a in enumerate(above)]
        certainty = [pl.when(pl.col(f"is_{c}")).then(pl.col(c)).otherwise(1 - pl.col(c)) for c in p]
        frame = (
            scored.with_columns(calibrated)
            .with_columns(none=~pl.any_horizontal(above))
            .with_columns(nothing=pl.col("none") & (pl.max_horizontal(p) < self.no_label_below))
            .with_columns(h.alias(f"is_{c}") for h, c in zip(holds, p, strict=True))
            .with_columns(
                labels=self._names(labels),
                primary_label=self._primary(labels),
                confidence=self.confidence.expression(reduce(mul, certainty)).round(4),
            )
            .with_columns(review_reason=self._reason())
            .with_columns(needs_review=pl.col("review_reason").is_not_null())
            .with_columns(pl.col(p).round(4))
        )
        outputs = ["labels", "primary_label", "confidence", "needs_review", "review_reason", *p]
        kept = [c for c in scored.collect_schema().names() if c not in _SCORED]
        return frame.select(*kept, *outputs)

    def answers(self, probabilities: NDArray[np.float64], labels: tuple[str, ...]) -> pl.DataFrame:
        """Return what `apply` answers for raw probabilities, float64 (n, n_labels)."""
        scored = pl.LazyFrame(
            {"probabilities": probabilities.astype(np.float32)},
            schema={"probabilities": pl.Array(pl.Float32, len(labels))},
        ).with_columns(truncated=pl.lit(value=False), unscored=pl.lit(None, pl.String))
        return self.apply(scored, labels).collect()

    def _names(self, labels: tuple[str, ...]) -> pl.Expr:
        held = [pl.when(pl.col(f"is_p_{n}")).then(pl.lit(n)) for n in labels]
        listed = pl.concat_list(held).list.drop_nulls()
        return pl.when(pl.col("probabilities").is_null()).then([]).otherwise(listed)

    def _primary(self, labels: tuple[str, ...]) -> pl.Expr:
        if not self.order:
            held = [pl.when(pl.col(f"is_p_{n}")).then(pl.col(f"p_{n}")) for n in labels]
            return pl.lit(pl.Series(labels)).get(pl.concat_list(held).list.arg_max())
        return pl.coalesce(pl.when(pl.col(f"is_p_{n}")).then(pl.lit(n)) for n in self.order)

    def _reason(self) -> pl.Expr:
        return (
            pl.when(pl.col("unscored").is_not_null())
            .then(pl.col("unscored"))
            .when(pl.col("truncated"))
            .then(pl.lit(TRUNCATED))
            .when(pl.col("nothing"))
            .then(pl.lit(NOT_A_TITLE))
            .when(pl.col("none"))
            .then(pl.lit(NO_LABEL))
            .when(pl.col("confidence") < self.review_below)
            .then(pl.lit(UNSURE))
        )


def _scaling(fields: dict[str, Any]) -> Scaling:
    return Scaling(**{name: float(value) for name, value in fields.items()})


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no usable number")


_SCORED = ("probabilities", "truncated", "unscored")


def multi_hot(answers: pl.DataFrame, labels: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return the label sets of answers, bool (n, n_labels)."""
    return np.column_stack([answers["labels"].list.contains(n).to_numpy() for n in labels])
