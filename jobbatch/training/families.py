"""The families of linear classifiers that are compared, and how to read what they learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import ComplementNB
from sklearn.svm import LinearSVC


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A kind of linear classifier.

    Attributes:
        name: for a person.
        make: makes one from a seed.
        parameter: the name of its regularisation.
        grid: the values to try, the default first.
        scale: what makes its margins logits, roughly: the slope that Platt scaling found on
            the package's titles. Calibration does the rest.
    """

    name: str
    make: Callable[[int], Any]
    parameter: str
    grid: tuple[float, ...]
    scale: float


FAMILIES = (
    Family(
        name="linear SVM",
        make=lambda seed: LinearSVC(random_state=seed),
        parameter="C",
        grid=(3.0, 1.0, 10.0),
        scale=4.0,
    ),
    Family(
        name="logistic regression",
        make=lambda seed: LogisticRegression(solver="liblinear", random_state=seed),
        parameter="C",
        grid=(100.0, 30.0, 300.0),
        scale=1.0,
    ),
    Family(
        name="ridge",
        make=lambda seed: RidgeClassifier(solver="sparse_cg", random_state=seed),
        parameter="alpha",
        grid=(0.3, 0.1, 1.0),
        scale=5.0,
    ),
    Family(
        name="naive Bayes",
        make=lambda _: ComplementNB(),
        parameter="alpha",
        grid=(0.1, 0.03, 0.3),
        scale=0.5,
    ),
    Family(
        name="modified Huber",
        make=lambda seed: SGDClassifier(loss="modified_huber", random_state=seed),
        parameter="alpha",
        grid=(1e-4, 5e-5, 3e-4),
        scale=4.0,
    ),
)


def linear(fitted: Any) -> tuple[NDArray[np.float64], float]:
    """Return the weights, float64 (n_features,), and the bias of a classifier's margin."""
    if isinstance(fitted, ComplementNB):
        no, yes = fitted.feature_log_prob_
        return np.asarray(yes - no, np.float64), 0.0
    return np.asarray(fitted.coef_, np.float64).ravel(), float(np.ravel(fitted.intercept_)[0])
