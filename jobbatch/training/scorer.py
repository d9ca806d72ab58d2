"""What a trained model is to all that calibrates, measures and writes it, whatever is inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the model card and the manifest say of a model's kind.

    Attributes:
        front_matter: lines of YAML that the Hugging Face form has for it.
        sentence: what it is.
        libraries: distributions that it was made with.
    """

    front_matter: tuple[str, ...]
    sentence: str
    libraries: tuple[str, ...]


class TitleScorer(Protocol):
    """A trained model: titles' keys in, probabilities out."""

    @property
    def about(self) -> About:
        """What it is."""

    def probabilities(self, keys: Sequence[str]) -> NDArray[np.float64]:
        """Return raw probabilities, float64 (n, n_labels), in the keys' order."""

    def save(self, folder: Path) -> None:
        """Write what labelling and training read of it: weights, tokenizer, config.json."""


class FitSummary(Protocol):
    """How a fit went."""

    def summary_lines(self) -> list[str]:
        """Return it for a person."""

    def metrics(self) -> Mapping[str, Any]:
        """Return its entries of metrics.json."""
