"""The figures of a report, each with its interval: of all rows, label by label, of other models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobbatch.decisions import Decisions, Scaling
from jobbatch.training.calibration_figures import BINS, calibration_gaps
from jobbatch.training.data_report import RARE
from jobbatch.training.evaluation import Scored, decide
from jobbatch.training.report.intervals import Bootstrap, Draws, Estimate, ratio
from jobbatch.training.tuning import RIGHT_UNREVIEWED

MOST_CONFIDENT = 0.8
"""Share of the rows, the most confident ones, whose exact match stands in the headline."""
RIGHT_MOST_CONFIDENT = 0.97
"""Share of these rows that is to be right."""
_LABELS_AT_A_TIME = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """Figures on all rows; those that `Evaluation` has too are the same, see there.

    Attributes:
        rows: how many.
        exact_match_most_confident: of the share `MOST_CONFIDENT` of the rows.
        calibration_error_labels: expected calibration error, mean over the labels.
        calibration_error_confidence: that of the confidence; the exact match it predicts.
        unreviewed_holds: whether the rows that are not marked for review are right as often as
            the flag is tuned for (`RIGHT_UNREVIEWED`); None: all are marked.
        most_confident_holds: whether the most confident rows are right as often as wanted
            (`RIGHT_MOST_CONFIDENT`); None: there are none.
    """

    rows: int
    exact_match: Estimate
    micro_f1: Estimate
    macro_f1: Estimate
    precision: Estimate
    recall: Estimate
    review_share: Estimate
    exact_match_unreviewed: Estimate
    exact_match_most_confident: Estimate
    calibration_error_labels: Estimate
    calibration_error_confidence: Estimate
    unreviewed_holds: bool | None
    most_confident_holds: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelEstimates:
    """Figures of one label; those that the data cannot tell are None.

    Attributes:
        support: rows that have it.
        answered: rows that are given it.
        rare: whether it has too few rows to be measured, less than `RARE`.
        calibration_error: expected calibration error of its probability.
    """

    label: str
    support: int
    answered: int
    rare: bool
    precision: Estimate
    recall: Estimate
    f1: Estimate
    calibration_error: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFigures:
    """A model's figures beside those of others on the same rows."""

    name: str
    exact_match: Estimate
    micro_f1: Estimate
    macro_f1: Estimate
    precision: Estimate
    recall: Estimate


def measure(scored: Scored, bootstrap: Bootstrap) -> tuple[Headline, tuple[LabelEstimates, ...]]:
    """Return the figures on all rows, and those of each label."""
    decided, right, n_rows = scored.decided, scored.right, len(scored.truth)
    known = ~np.isnan(decided.confidence)
    confidence_gaps = np.zeros((n_rows, BINS))
    confidence_gaps[known] = calibration_gaps(decided.confidence[known], right[known])
    sure, kept = ~decided.needs_review, most_confident(decided.confidence)
    sums = bootstrap.sums(
        **_counts(scored.truth, decided.hot),
        review=decided.needs_review,
        sure=sure,
        sure_right=sure & right,
        kept=kept,
        kept_right=kept & right,
        known=known,
        confidence_gaps=confidence_gaps,
    )
    gaps = _label_gaps(scored, bootstrap)
    unreviewed = Estimate.of(ratio(sums["sure_right"], sums["sure"]))
    confident = Estimate.of(ratio(sums["kept_right"], sums["kept"]))
    headline = Headline(
        rows=n_rows,
        **_averages(sums),
        review_share=Estimate.of(sums["review"] / n_rows),
        exact_match_unreviewed=unreviewed,
        exact_match_most_confident=confident,
        calibration_error_labels=Estimate.of(gaps.mean(axis=1)),
        calibration_error_confidence=Estimate.of(
            ratio(np.abs(sums["confidence_gaps"]).sum(axis=1), sums["known"])
        ),
        unreviewed_holds=_reaches(unreviewed, RIGHT_UNREVIEWED),
        most_confident_holds=_reaches(confident, RIGHT_MOST_CONFIDENT),
    )
    return headline, _per_label(scored.labels, sums, gaps)


def compare(
    scored: Scored,
    name: str,
    others: Mapping[str, NDArray[np.float64]],
    bootstrap: Bootstrap,
) -> tuple[ModelFigures, ...]:
    """Return the figures of the model called `name`, then of others on the same rows.

    Args:
        scored: the rows and the model's answers.
        name: the model's.
        others: by name, each float64 (n, n_labels). A label holds from a probability of 0.5, and
            where none does the most probable one.
        bootstrap: of the rows.
    """
    n_labels = len(scored.labels)
    plain = Decisions(calibration=(Scaling(),) * n_labels, thresholds=(0.5,) * n_labels)
    sets = {name: scored.decided.hot} | {
        other: decide(plain, probabilities, scored.labels).hot
        for other, probabilities in others.items()
    }
    return tuple(_of_sets(model, scored.truth, hot, bootstrap) for model, hot in sets.items())


def of_model(scored: Scored, name: str, bootstrap: Bootstrap) -> ModelFigures:
    """Return the figures of one model's answers."""
    return _of_sets(name, scored.truth, scored.decided.hot, bootstrap)


def _of_sets(
    name: str, truth: NDArray[np.bool_], hot: NDArray[np.bool_], bootstrap: Bootstrap
) -> ModelFigures:
    return ModelFigures(name=name, **_averages(bootstrap.sums(**_counts(truth, hot))))


def most_confident(
    confidence: NDArray[np.float64], share: float = MOST_CONFIDENT
) -> NDArray[np.bool_]:
    """Return whether a row is among the share that is the most confident, bool (n,)."""
    chosen = np.zeros(confidence.size, np.bool_)
    chosen[np.argsort(-confidence, kind="stable")[: round(share * confidence.size)]] = True
    return chosen


def _reaches(estimate: Estimate, wanted: float) -> bool | None:
    return None if estimate.value is None else estimate.value >= wanted


def _label_gaps(scored: Scored, bootstrap: Bootstrap) -> Draws:
    """Return each label's calibration error, (1 + resamples, n_labels).

    Some labels at a time: the bins of 300 labels on 100,000 rows would be 4 GB, and one by one
    each label would draw the resamples anew.
    """
    pairs = list(zip(scored.decided.calibrated.T, scored.truth.T, strict=True))
    parts = []
    for start in range(0, len(pairs), _LABELS_AT_A_TIME):
        some = pairs[start : start + _LABELS_AT_A_TIME]
        gaps = np.hstack([calibration_gaps(p, t) for p, t in some])
        drawn = bootstrap.sums(gaps=gaps)["gaps"].reshape(-1, len(some), BINS)
        parts.append(np.abs(drawn).sum(axis=2) / len(scored.truth))
    return np.hstack(parts)


def _counts(truth: NDArray[np.bool_], hot: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Return the statistics that `_averages` takes the sums of."""
    right = (truth == hot).all(axis=1)
    rows = np.ones(len(truth))
    return {"rows": rows, "right": right, "hits": truth & hot, "answered": hot, "support": truth}


def _averages(sums: Mapping[str, Draws]) -> dict[str, Estimate]:
    hits, answered, support = (sums[n].sum(axis=1) for n in ("hits", "answered", "support"))
    f1 = _f1(sums)
    occurs = (~np.isnan(f1)).sum(axis=1).astype(np.float64)
    return {
        "exact_match": Estimate.of(sums["right"] / sums["rows"]),
        "micro_f1": Estimate.of(ratio(2 * hits, answered + support, empty=0.0)),
        "macro_f1": Estimate.of(ratio(np.nansum(f1, axis=1), occurs, empty=0.0)),
        "precision": Estimate.of(ratio(hits, answered, empty=0.0)),
        "recall": Estimate.of(ratio(hits, support, empty=0.0)),
    }


def _f1(sums: Mapping[str, Draws]) -> Draws:
    """Return each label's F1, (1 + resamples, n_labels); NaN where it does not occur."""
    f1 = ratio(2 * sums["hits"], sums["answered"] + sums["support"])
    return np.where(sums["support"] > 0, f1, np.nan)


def _per_label(
    labels: tuple[str, ...], sums: Mapping[str, Draws], gaps: Draws
) -> tuple[LabelEstimates, ...]:
    hits, answered, support = sums["hits"], sums["answered"], sums["support"]
    precision = np.where(support > 0, ratio(hits, answered, empty=0.0), np.nan)
    recall, f1 = ratio(hits, support), _f1(sums)
    return tuple(
        LabelEstimates(
            label=name,
            support=int(support[0, i]),
            answered=int(answered[0, i]),
            rare=bool(support[0, i] < RARE),
            precision=Estimate.of(precision[:, i]),
            recall=Estimate.of(recall[:, i]),
            f1=Estimate.of(f1[:, i]),
            calibration_error=Estimate.of(gaps[:, i]),
        )
        for i, name in enumerate(labels)
    )
