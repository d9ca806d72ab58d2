"""Pruned vocabularies: the same pieces for the titles at hand, every letter kept."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from jobbatch.training.vocabulary import prune
from tests.tinymodel import LETTERS, SPECIAL, tokenizer

pytestmark = pytest.mark.train

FULL = tokenizer()
CONTENT = FULL.to_str().encode()
KEYS = ["chief kites officer", "owner & tunneling"]


def pieces(content: bytes, key: str) -> list[str]:
    opened = Tokenizer.from_buffer(content)
    return list(opened.encode(key).tokens)


def test_titles_at_hand_are_cut_as_before() -> None:
    pruned = prune(CONTENT, KEYS).tokenizer
    assert [pieces(pruned, key) for key in KEYS] == [pieces(CONTENT, key) for key in KEYS]


def test_rows_name_the_tokens_old_ids() -> None:
    pruned = prune(CONTENT, KEYS)
    opened = Tokenizer.from_buffer(pruned.tokenizer)
    for new, old in enumerate(pruned.rows.tolist()):
        assert opened.id_to_token(new) == FULL.id_to_token(old)
    assert opened.get_vocab_size() == len(pruned.rows)


def test_special_tokens_and_letters_stay() -> None:
    kept = set(json.loads(prune(CONTENT, []).tokenizer)["model"]["vocab"])
    assert kept == {*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS)}
    assert pieces(prune(CONTENT, []).tokenizer, "zebra") == [
        "[CLS]", "z", "##e", "##b", "##r", "##a", "[SEP]"
    ]  # fmt: skip


@given(st.text("abcdefghz &/,0", max_size=30))
def test_no_title_of_known_letters_is_unknown(key: str) -> None:
    assert "[UNK]" not in pieces(prune(CONTENT, KEYS).tokenizer, key)


def test_tokens_of_other_titles_are_added_up_to_the_size() -> None:
    others = ["zebra quartz", "zebra"]
    base = len(prune(CONTENT, KEYS).rows)
    assert len(prune(CONTENT, KEYS, others).rows) == base + 2
    one_more = prune(CONTENT, KEYS, others, base + 1).tokenizer
    assert "zebra" in pieces(one_more, "zebra quartz")
    assert "quartz" not in pieces(one_more, "zebra quartz")
    assert len(prune(CONTENT, KEYS, others, 1).rows) == base


def test_byte_pair_encoding_is_left_alone() -> None:
    pairs = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    pairs.pre_tokenizer = pre_tokenizers.Whitespace()
    pairs.enable_truncation(4)
    pruned = prune(pairs.to_str().encode(), ["a"])
    assert pruned.rows.tolist() == [0, 1, 2]
    assert json.loads(pruned.tokenizer)["truncation"] is None


def test_pruning_again_changes_nothing() -> None:
    once = prune(CONTENT, KEYS)
    twice = prune(once.tokenizer, KEYS)
    assert twice.tokenizer == once.tokenizer
