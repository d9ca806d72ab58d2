"""What a quick linear model, taught by the other titles, thinks of each title's labels.

TF-IDF of words (1 to 3) and of characters within words (2 to 5), one linear SVM per label, its
margins Platt-scaled over all folds; no title is judged by a model that saw it. How well the labels
fit the probabilities is cleanlab's label quality score (Thyagarajan et al. 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cleanlab.multilabel_classification.rank import get_label_quality_scores
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion
from sklearn.svm import LinearSVC

from jobbatch.decisions import multi_hot
from jobbatch.labels import LabelSet
from jobbatch.training import tuning
from jobbatch.training.splits import stratified_folds

N_FOLDS = 5
DOUBTFUL = 0.25
"""Quality below which labels are doubtful: of 40 wrong labels planted among 2,000 titles it marked
36 and 245 titles in all; to mark every other answer found one more and marked 608."""
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What the models of the folds say.

    Attributes:
        probabilities: float64 (n, n_labels), calibrated.
        suggested: n label sets: the labels of probability 0.5 or more, else the most probable.
        quality: float64 (n,), from 0 for labels that are surely wrong to 1.
    """

    probabilities: NDArray[np.float64]
    suggested: tuple[tuple[str, ...], ...]
    quality: NDArray[np.float64]

    def doubts(self, i: int, given: tuple[str, ...]) -> bool:
        """Return whether the labels given to title `i` are doubtful."""
        return bool(self.quality[i] < DOUBTFUL) and self.suggested[i] != given


def opinion(keys: Sequence[str], targets: NDArray[np.bool_], labels: LabelSet) -> Opinion:
    """Return what the models of the folds say of n titles.

    Args:
        keys: n distinct keys.
        targets: bool (n, n_labels), neither all true nor all false.
        labels: the label vocabulary.

    Raises:
        UsageError: if there are fewer titles than folds.
    """
    raw = 1 / (1 + np.exp(-_margins(keys, targets)))
    answers = tuning.tune(raw, targets, labels.names).answers(raw, labels.names)
    probabilities = answers.select(f"p_{name}" for name in labels.names).to_numpy()
    held = [np.flatnonzero(row).tolist() for row in targets]
    return Opinion(
        probabilities=probabilities,
        suggested=tuple(labels.decode(multi_hot(answers, labels.names))),
        quality=get_label_quality_scores(held, probabilities),
    )


def _margins(keys: Sequence[str], targets: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return each title's distances from the labels' boundaries, float64 (n, n_labels)."""
    folds = stratified_folds(keys, targets, N_FOLDS, _SEED)
    # The keys' tokens stand between spaces, separators such as / among them.
    words = TfidfVectorizer(
        tokenizer=str.split, token_pattern=None, ngram_range=(1, 3), sublinear_tf=True
    )
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    # Word weights know no labels, so they may be fitted on all titles at once.
    features = FeatureUnion([("words", words), ("characters", characters)]).fit_transform(keys)
    margins = np.empty(targets.shape, np.float64)
    for held in folds:
        rest = np.setdiff1d(np.arange(len(keys)), held)
        for column, taught in enumerate(targets[rest].T):
            if taught.all() or not taught.any():
                margins[held, column] = 1.0 if taught.all() else -1.0
                continue
            model = LinearSVC(random_state=_SEED).fit(features[rest], taught)
            margins[held, column] = model.decision_function(features[held])
    return margins
