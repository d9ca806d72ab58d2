"""Keys to token ids: ragged, unpadded, cut at 128 tokens with a flag."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from jobbatch.errors import ModelError
from jobbatch.titles import SEPARATOR
from jobbatch.tokenizer import MAX_TOKENS, TitleTokenizer
from tests import wordmodel

IDS = {token: i for i, token in enumerate([*wordmodel.SPECIAL, *wordmodel.WORDS])}
CLS, SEP, UNK = IDS["[CLS]"], IDS["[SEP]"], IDS["[UNK]"]


@pytest.fixture(scope="module")
def content(word_model) -> bytes:
    return (word_model / "tokenizer.json").read_bytes()


@pytest.fixture(scope="module")
def tokenizer(content) -> TitleTokenizer:
    return TitleTokenizer(content)


def test_a_title_becomes_its_words_ids_between_the_special_ones(tokenizer) -> None:
    tokens = tokenizer.encode(["chief nurse", "sales director", ""])
    assert tokens.lengths.tolist() == [4, 4, 2]
    assert tokens.flat.tolist() == [
        *(CLS, IDS["chief"], IDS["nurse"], SEP),
        *(CLS, UNK, IDS["director"], SEP),
        *(CLS, SEP),
    ]
    assert not tokens.truncated.any()


@given(words=st.lists(st.lists(st.sampled_from(["owner", "nurse", "x"]), max_size=4), max_size=9))
@settings(max_examples=50, deadline=None)
def test_a_rectangle_holds_the_ids_of_its_rows(tokenizer, words: list[list[str]]) -> None:
    tokens = tokenizer.encode([" ".join(title) for title in words])
    for length in set(tokens.lengths.tolist()):
        rows = np.flatnonzero(tokens.lengths == length)[::-1]
        expected = [[CLS, *(IDS.get(word, UNK) for word in words[row]), SEP] for row in rows]
        assert tokens.rectangle(rows).tolist() == expected


def test_a_title_of_128_tokens_is_whole_and_one_of_129_is_cut_and_says_so(tokenizer) -> None:
    fits = " ".join(["nurse"] * (MAX_TOKENS - 2))
    tokens = tokenizer.encode([fits, f"{fits} owner", f"{fits} owner {fits}"])
    assert tokens.truncated.tolist() == [False, True, True]
    assert tokens.lengths.tolist() == [MAX_TOKENS] * 3
    first, second, third = tokens.rectangle(np.arange(3)).tolist()
    assert first == second == third == [CLS, *[IDS["nurse"]] * (MAX_TOKENS - 2), SEP]


def test_ids_of_many_titles_come_in_the_titles_order(tokenizer) -> None:
    titles = [" ".join(["nurse", "owner"][: number % 3]) for number in range(20_000)]
    tokens = tokenizer.encode([*titles, "nurse " * MAX_TOKENS])
    alone = [tokenizer.encode([title]).flat.tolist() for title in titles[:3]]
    cuts = np.cumsum(tokens.lengths)[:-1]
    assert [ids.tolist() for ids in np.split(tokens.flat, cuts)[:-1]] == (alone * 6_667)[:20_000]
    assert np.flatnonzero(tokens.truncated).tolist() == [20_000]


def test_no_titles_have_no_tokens(tokenizer) -> None:
    tokens = tokenizer.encode([])
    assert (tokens.flat.size, tokens.lengths.size, tokens.truncated.size) == (0, 0, 0)


def test_padding_and_truncation_that_the_file_asks_for_are_not_done(content) -> None:
    saved = Tokenizer.from_buffer(content)
    saved.enable_padding(length=16)
    saved.enable_truncation(max_length=3)
    tokens = TitleTokenizer(saved.to_str().encode()).encode(["chief nurse owner"])
    assert tokens.lengths.tolist() == [5]
    assert not tokens.truncated.any()


def test_the_vocabulary_counts_added_tokens_too(content) -> None:
    added = Tokenizer.from_buffer(content)
    added.add_tokens(["<new>"])
    assert TitleTokenizer(content).vocabulary_size == len(IDS)
    assert TitleTokenizer(added.to_str().encode()).vocabulary_size == len(IDS) + 1


@pytest.mark.parametrize("broken", [b"", b"\xff\xfe", b"{}", json.dumps({"model": 1}).encode()])
def test_a_file_that_is_no_tokenizer_is_a_model_error(broken: bytes) -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read"):
        TitleTokenizer(broken)


class TestContext:
    def test_it_is_a_second_text_between_separators(self, tokenizer) -> None:
        tokens = tokenizer.encode([f"nurse{SEPARATOR}owner owner", "nurse"])
        nurse, owner = IDS["nurse"], IDS["owner"]
        assert tokens.flat.tolist() == [CLS, nurse, SEP, owner, owner, SEP, CLS, nurse, SEP]
        assert tokens.lengths.tolist() == [6, 3]

    def test_of_both_texts_the_context_is_cut_and_the_title_is_whole(self, tokenizer) -> None:
        long = " ".join(["owner"] * 200)
        tokens = tokenizer.encode([f"chief nurse{SEPARATOR}{long}"])
        kept = [CLS, IDS["chief"], IDS["nurse"], SEP, *[IDS["owner"]] * (MAX_TOKENS - 5), SEP]
        assert tokens.rectangle(np.array([0])).tolist() == [kept]
        assert not tokens.truncated.any()

    @pytest.mark.parametrize(("n_words", "cut"), [(125, False), (126, False), (127, True)])
    def test_only_a_title_too_long_by_itself_is_flagged(self, tokenizer, n_words, cut) -> None:
        title = " ".join(["nurse"] * n_words)
        tokens = tokenizer.encode([title, f"{title}{SEPARATOR}owner"])
        assert tokens.truncated.tolist() == [cut, cut]
        assert tokens.lengths.max() <= MAX_TOKENS

    @pytest.mark.parametrize("repeats", [1, 100])
    def test_a_pair_is_what_transformers_makes_of_it(self, content, tmp_path, repeats: int) -> None:
        transformers = pytest.importorskip("transformers")
        (tmp_path / "tokenizer.json").write_bytes(content)
        theirs = transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(tmp_path / "tokenizer.json"), unk_token="[UNK]"
        )
        title, context = "chief nurse", "owner of x " * repeats
        expected = theirs(title, context, truncation="only_second", max_length=MAX_TOKENS)
        got = TitleTokenizer(content).encode([f"{title}{SEPARATOR}{context}"])
        assert got.flat.tolist() == expected["input_ids"]

    def test_a_tokenizer_that_does_not_separate_pairs_is_a_model_error(self, content) -> None:
        plain = json.loads(content) | {"post_processor": None}
        opened = TitleTokenizer(json.dumps(plain).encode())
        assert opened.encode(["nurse"]).lengths.tolist() == [1]
        with pytest.raises(ModelError, match="separate"):
            opened.encode([f"nurse{SEPARATOR}owner"])
