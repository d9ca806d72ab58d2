"""Tokenised titles with their targets, and the batches that training and scoring take of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import RobertaForSequenceClassification

from jobbatch import batches
from jobbatch.tokenizer import TokenIds

CONTEXT_DROPPED = 0.3
"""Share of an epoch's examples whose context is left out, so that titles alone are learned too;
as large as the word dropout of deep averaging networks (Iyyer et al. 2015)."""
SCORING_BUDGET = 8_192
"""Tokens per batch when scoring without gradients."""
_POOL = 16
"""Batches whose titles are sorted by length among themselves: little padding, still shuffled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Titles:
    """Labelled titles.

    Attributes:
        keys: n distinct ones.
        targets: bool (n, n_labels).
        weights: float64 (n,), what each counts in calibration, 1 on average; none: all the same.
    """

    keys: Sequence[str]
    targets: NDArray[np.bool_]
    weights: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Titles to train on or to validate with.

    Attributes:
        tokens: their token ids.
        targets: bool (n, n_labels); of titles that a teacher labelled float64, probabilities.
    """

    tokens: TokenIds
    targets: NDArray[np.bool_] | NDArray[np.float64]

    def joined(self, more: Examples) -> Examples:
        """Return these titles and, behind them, `more`."""
        return Examples(
            tokens=self.tokens.joined(more.tokens),
            targets=np.concatenate([self.targets.astype(np.float64), more.targets]),
        )


def shuffled_batches(
    lengths: NDArray[np.int64], batch_size: int, seed: Sequence[int]
) -> list[NDArray[np.intp]]:
    """Return one epoch's batches of row indices, each of titles of like length.

    Args:
        lengths: int64 (n,), tokens of each title.
        batch_size: titles in a batch; the last one may have fewer.
        seed: the same gives the same batches.
    """
    random = np.random.default_rng(list(seed))
    order = random.permutation(lengths.size)
    pools = np.split(order, range(_POOL * batch_size, order.size, _POOL * batch_size))
    in_order = np.concatenate([p[np.argsort(lengths[p], kind="stable")] for p in pools])
    cut = np.split(in_order, range(batch_size, order.size, batch_size))
    return [cut[i] for i in random.permutation(len(cut))]


def drop_context(tokens: TokenIds, seed: Sequence[int]) -> TokenIds:
    """Return tokens with `CONTEXT_DROPPED` of the titles cut behind their first separator.

    That leaves a title without context as it is.

    Args:
        tokens: of n titles, each ending with the separator.
        seed: the same gives the same choice.
    """
    n_titles = tokens.lengths.size
    rows = np.repeat(np.arange(n_titles), tokens.lengths)
    starts = np.cumsum(tokens.lengths) - tokens.lengths
    separators = tokens.flat == tokens.flat[-1]
    before = np.cumsum(separators) - separators
    in_title = before == before[starts][rows]
    keeps_context = np.random.default_rng(list(seed)).random(n_titles) >= CONTEXT_DROPPED
    kept = in_title | keeps_context[rows]
    return TokenIds(
        flat=tokens.flat[kept],
        lengths=np.bincount(rows[kept], minlength=n_titles),
        truncated=tokens.truncated,
    )


def padded(
    tokens: TokenIds, rows: NDArray[np.intp], pad_id: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids and attention mask of `rows`, both int64 (n_rows, longest)."""
    lengths = tokens.lengths[rows]
    ids = np.full((rows.size, int(lengths.max())), pad_id, np.int64)
    mask = np.arange(ids.shape[1]) < lengths[:, None]
    starts = (np.cumsum(tokens.lengths) - tokens.lengths)[rows]
    ids[mask] = tokens.flat[(starts[:, None] + np.arange(ids.shape[1]))[mask]]
    return torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64))


def probabilities(model: RobertaForSequenceClassification, tokens: TokenIds) -> NDArray[np.float64]:
    """Return the float32 network's probabilities, float64 (n, n_labels), in the titles' order."""
    result = np.empty((tokens.lengths.size, model.config.num_labels), np.float64)
    model.train(mode=False)
    device = next(model.parameters()).device
    with torch.inference_mode():
        for rows in batches.of_equal_length(tokens.lengths, SCORING_BUDGET):
            ids = torch.from_numpy(tokens.rectangle(rows)).to(device)
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
            result[rows] = torch.sigmoid(logits.double()).cpu().numpy()
    return result
