"""Batches: every title once, padding masked, the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jobbatch.labels import LabelSet
from jobbatch.titles import SEPARATOR
from jobbatch.tokenizer import TitleTokenizer, TokenIds
from jobbatch.training import encoder
from jobbatch.training.examples import (
    CONTEXT_DROPPED,
    drop_context,
    padded,
    probabilities,
    shuffled_batches,
)
from tests.tinymodel import own_titles, tokenizer

pytestmark = pytest.mark.train


@given(
    st.lists(st.integers(2, 30), min_size=1, max_size=200), st.integers(1, 40), st.integers(0, 9)
)
def test_batches_are_a_partition(lengths: list[int], batch_size: int, seed: int) -> None:
    batches = shuffled_batches(np.array(lengths), batch_size, (seed, 1))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(1 <= batch.size <= batch_size for batch in batches)


def test_the_epoch_changes_the_batches() -> None:
    lengths = np.arange(2, 42)
    first, again, second = (
        np.concatenate(shuffled_batches(lengths, 8, seed)).tolist()
        for seed in ((0, 1), (0, 1), (0, 2))
    )
    assert first == again != second


def test_padding_changes_no_answer(tiny_base: Path) -> None:
    keys = own_titles()["Job Title"].str.to_lowercase().to_list()
    network = encoder.build(
        encoder.EncoderOptions(base=str(tiny_base)), LabelSet(("a", "b")), keys, 0
    )
    tokens = network.tokens(keys)
    expected = probabilities(network.model, tokens)
    rows = np.array([5, 0, 41, 17])
    ids, mask = padded(tokens, rows, pad_id=0)
    assert ids.shape == (4, tokens.lengths[rows].max())
    assert mask.sum(dim=1).tolist() == tokens.lengths[rows].tolist()
    with torch.inference_mode():
        got = torch.sigmoid(network.model(ids, attention_mask=mask).logits).numpy()
    assert np.abs(got - expected[rows]).max() < 1e-6


class TestDroppedContext:
    TOKENIZER = TitleTokenizer(tokenizer().to_str().encode())

    def rows(self, tokens: TokenIds) -> list[list[int]]:
        ends = np.cumsum(tokens.lengths).tolist()
        return [tokens.flat[a:b].tolist() for a, b in zip([0, *ends], ends)]

    def test_a_share_of_the_titles_is_seen_as_without_context_the_rest_as_it_is(self) -> None:
        titles = [f"{'moss ' * (i % 3)}kite {i}" for i in range(400)]
        alone = self.rows(self.TOKENIZER.encode(titles))
        tokens = self.TOKENIZER.encode([f"{title}{SEPARATOR}owner of teapot" for title in titles])
        seen, whole = self.rows(drop_context(tokens, (0, 1))), self.rows(tokens)
        assert all(got in (a, b) for got, a, b in zip(seen, alone, whole, strict=True))
        share = np.mean([got == a for got, a in zip(seen, alone, strict=True)])
        assert share == pytest.approx(CONTEXT_DROPPED, abs=0.08)

    def test_titles_without_context_stay_as_they_are(self) -> None:
        tokens = self.TOKENIZER.encode(["chief", "kite clerk", "owner of the moss"])
        assert self.rows(drop_context(tokens, (0, 1))) == self.rows(tokens)

    def test_every_epoch_drops_others(self) -> None:
        tokens = self.TOKENIZER.encode([f"kite {i}{SEPARATOR}moss" for i in range(50)])
        first, again, second = (
            drop_context(tokens, seed).flat.tolist() for seed in ((0, 1), (0, 1), (0, 2))
        )
        assert first == again != second
