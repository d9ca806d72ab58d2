"""What a title looks like to the model, and the rules that the lexicon keeps."""

# ruff: noqa: RUF001 - letters that look like others are what is tested

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Sequence
from importlib.resources import files
from itertools import product

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobbatch.titles import (
    MAX_CHARACTERS,
    MAX_CONTEXT_CHARACTERS,
    SEPARATOR,
    Normaliser,
    is_title,
    lexicon,
    without_context,
)

PLAIN = Normaliser(expand=False)
EVERY_NORMALISER = [
    Normaliser(expand=expand, remove_digits=digits, remove_stop_words=stop)
    for expand, digits, stop in product([True, False], repeat=3)
]
LEXICON = tomllib.loads(files("jobbatch").joinpath("lexicon.toml").read_text(encoding="utf-8"))
WORDS: dict[str, str] = LEXICON["words"] | LEXICON["misspellings"]
PHRASES: dict[str, str] = LEXICON["phrases"]
STOP_WORDS = set(LEXICON["stop_words"])

odd_text = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from(list("aSßſİıΣς.'’ʼ&/,()-–|;+\\•· \t\r\n\u00a0\u0301\u0327\u200d👩💻")),
    ),
    max_size=24,
)
lexicon_tokens = sorted(
    {
        *(token for key in [*WORDS, *PHRASES] for token in [key, *key.split()]),
        *(token for plain in [*WORDS.values(), *PHRASES.values()] for token in plain.split()),
        *STOP_WORDS,
        *"&/,()",
    }
)


def keys(titles: Sequence[str | None], normaliser: Normaliser | None = None) -> list[str]:
    frame = pl.DataFrame({"title": titles}, schema={"title": pl.String})
    return frame.select((normaliser or Normaliser()).key("title")).to_series().to_list()


@pytest.mark.parametrize(
    ("title", "key"),
    [
        ("v.p.", "vice president"),
        ("V.P. of Sales", "vice president of sales"),
        ("C.E.O.", "chief executive officer"),
        ("V. P.", "vice president"),
        ("owner's", "owners"),
        ("Owner’s Rep.", "owners representative"),
        ("nurse ʼ's", "nurse s"),
        ("Founder/CEO", "founder / chief executive officer"),
        ("SVP & CIO", "senior vice president & chief information officer"),
        ("R&amp;D", "r & d"),
        ("Sr.&nbsp;Mgr", "senior manager"),
        ("Director - Sales", "director / sales"),
        ("Director — Sales", "director / sales"),
        ("Follow-up nurse", "follow up nurse"),
        ("Owner|Nurse;Chef", "owner / nurse / chef"),
        ("Nurse (night), ward 7", "nurse ( night ) , ward 7"),
        ("  Chief\u00a0\t NURSE  ", "chief nurse"),
        ("ＣＥＯ", "chief executive officer"),
        ("\u200bnurse\u00ad", "nurse"),
        ("nurse 👩‍💻 #1", "nurse 1"),
    ],
)
def test_a_title_is_reduced_to_plain_words_and_separators(title: str, key: str) -> None:
    assert keys([title]) == [key]


@pytest.mark.parametrize("title", [None, "", " ", " \t\r\n", "\u00a0", "...", "&nbsp;", "👩‍💻"])
def test_null_and_blank_titles_have_the_empty_key(title: str | None) -> None:
    assert keys([title]) == [""]


def test_a_line_break_separates_within_a_title_and_means_nothing_around_it() -> None:
    assert keys(["\r\nNurse\nOwner \n"]) == ["nurse , owner"]


@given(st.lists(odd_text, min_size=1, max_size=40), st.sampled_from(EVERY_NORMALISER))
@settings(max_examples=80, deadline=None)
def test_normalising_any_text_again_changes_nothing(titles: list[str], normaliser) -> None:
    once = keys(titles, normaliser)
    assert keys(once, normaliser) == once


@given(
    st.lists(
        st.lists(st.sampled_from(lexicon_tokens), min_size=2, max_size=6).map(" ".join),
        min_size=50,
        max_size=200,
    ),
    st.sampled_from(EVERY_NORMALISER),
)
@settings(max_examples=25, deadline=None)
def test_normalising_neighbours_in_the_lexicon_again_changes_nothing(titles, normaliser) -> None:
    once = keys(titles, normaliser)
    assert keys(once, normaliser) == once


def test_no_single_character_changes_when_normalised_again() -> None:
    characters = [chr(c) for c in range(0x20000) if not 0xD800 <= c < 0xE000]
    for around in ("{}", "a{}b", "a.{}.b."):
        once = keys([around.format(c) for c in characters])
        assert keys(once) == once


@given(st.text(st.characters(categories=["Ll", "Lo"], max_codepoint=0xFFFF), min_size=1))
@settings(max_examples=100, deadline=None)
def test_letters_of_every_alphabet_survive(word: str) -> None:
    lower = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).lower())
    letters = [c for c in lower if unicodedata.category(c).startswith("L")]
    (key,) = keys([word], PLAIN)
    assert [c for c in key if unicodedata.category(c).startswith("L")] == letters


@pytest.mark.parametrize(
    "title", ["geschäftsführerin", "ingénieur", "経理部長", "менеджер", "مدير", "dueño", "ředitel"]
)
def test_titles_in_other_alphabets_stay_as_they_are(title: str) -> None:
    assert keys([title, title.upper()], PLAIN) == [title, title.upper().lower()]


@given(st.lists(st.sampled_from("&/,()"), min_size=1, max_size=6))
def test_separators_survive_each_with_spaces_around(separators: list[str]) -> None:
    assert keys(["x".join(separators)], PLAIN) == [" x ".join(separators)]


def test_letters_and_their_combining_marks_are_composed() -> None:
    assert keys(["ge\u0301rant", "gérant"]) == ["gérant", "gérant"]


def test_digits_stay_unless_they_are_to_be_removed() -> None:
    assert keys(["nurse ii 2nd shift 7"]) == ["nurse ii 2nd shift 7"]
    assert keys(["nurse ii 2nd shift 7"], Normaliser(remove_digits=True)) == ["nurse ii nd shift"]


def test_stop_words_stay_unless_they_are_to_be_removed_and_it_is_none() -> None:
    title = "assistant to the head of it"
    assert keys([title]) == [title]
    assert keys([title], Normaliser(remove_stop_words=True)) == ["assistant head it"]


def test_a_phrase_is_expanded_across_the_stop_word_that_is_removed() -> None:
    removing = Normaliser(remove_stop_words=True)
    assert keys(["bus of dev"], removing) == keys(["bus dev"], removing) == ["business development"]


def test_abbreviations_stay_where_they_are_not_to_be_expanded() -> None:
    assert keys(["Sr. Mgr"], PLAIN) == ["sr mgr"]


def test_a_phrase_wins_over_the_words_it_is_made_of() -> None:
    assert keys(["admin asst", "admin"]) == ["administrative assistant", "administration"]


def test_two_phrases_side_by_side_are_both_expanded() -> None:
    assert keys(["bus dev bus dev"]) == ["business development business development"]


def test_text_far_beyond_any_title_is_not_looked_at() -> None:
    start = "x" * MAX_CHARACTERS
    assert keys([f"{start}y"]) == keys([start])


@pytest.mark.parametrize("title", ["nurse", "vp", "経理部長", "x ray nurse", "ceo / owner"])
def test_a_key_with_a_word_is_a_title(title: str) -> None:
    assert pl.select(is_title(pl.lit(keys([title])[0]))).item() is True


@pytest.mark.parametrize("title", ["n/a", "N/A", "NA", "n.a.", "12345", "--", "(/)", "", "unknown"])
def test_fillers_and_keys_without_a_letter_are_no_titles(title: str) -> None:
    assert pl.select(is_title(pl.lit(keys([title])[0]))).item() is False


def test_every_option_makes_another_version_and_equal_options_the_same() -> None:
    assert len({normaliser.version for normaliser in EVERY_NORMALISER}) == len(EVERY_NORMALISER)
    assert Normaliser().version == Normaliser().version


class TestTheLexicon:
    """The rules that lexicon.toml states about itself."""

    def test_words_and_misspellings_are_single_tokens_and_disjoint(self) -> None:
        assert not set(LEXICON["words"]) & set(LEXICON["misspellings"])
        assert [key for key in WORDS if " " in key] == []
        assert [key for key in PHRASES if " " not in key] == []

    def test_every_key_is_written_as_the_normaliser_leaves_it(self) -> None:
        entries = [*WORDS, *PHRASES, *STOP_WORDS, *lexicon().not_titles]
        assert keys(entries, PLAIN) == entries

    def test_no_replacement_holds_a_key(self) -> None:
        for plain in [*WORDS.values(), *PHRASES.values()]:
            assert not set(plain.split()) & set(WORDS)
            assert [key for key in PHRASES if f" {key} " in f" {plain} "] == []

    def test_no_word_becomes_a_stop_word_and_none_is_a_key(self) -> None:
        assert not {t for plain in WORDS.values() for t in plain.split()} & STOP_WORDS
        assert not set(WORDS) & STOP_WORDS

    def test_stop_words_come_only_from_phrases_that_hold_one(self) -> None:
        for phrase, plain in PHRASES.items():
            assert not set(plain.split()) & STOP_WORDS or set(phrase.split()) & STOP_WORDS

    def test_every_entry_is_replaced_as_it_says_and_then_stays(self) -> None:
        entries = PHRASES | WORDS
        assert keys(list(entries)) == list(entries.values())
        assert keys(list(entries.values())) == list(entries.values())

    def test_fillers_are_what_the_normaliser_makes_of_them(self) -> None:
        fillers = list(lexicon().not_titles)
        assert keys(fillers) == fillers


def keys_in_context(title: str | None, *context: str | None) -> str:
    names = [f"c{i}" for i in range(len(context))]
    schema = dict.fromkeys(["title", *names], pl.String)
    frame = pl.DataFrame([(title, *context)], schema=schema, orient="row")
    return frame.select(Normaliser().key("title", names)).item()


class TestContext:
    def test_it_follows_the_title_s_key(self) -> None:
        key = keys_in_context("Sr. Nurse", "Acme Ltd.", "Ward 7")
        assert key == f"senior nurse{SEPARATOR}acme ltd , ward 7"

    @pytest.mark.parametrize("cell", [None, "", " ", "...", "n/a", "Unknown"])
    def test_a_blank_or_filler_cell_counts_as_missing(self, cell: str | None) -> None:
        assert keys_in_context("nurse", cell, cell) == "nurse"
        assert keys_in_context("nurse", cell, "Acme", cell) == f"nurse{SEPARATOR}acme"

    @pytest.mark.parametrize("title", [None, " ", "..."])
    def test_an_empty_title_stays_empty(self, title: str | None) -> None:
        assert keys_in_context(title, "Acme") == ""

    @given(odd_text | st.none(), st.lists(odd_text | st.none(), max_size=3))
    @settings(max_examples=100, deadline=None)
    def test_the_title_s_part_of_a_key_is_the_title_s_key(self, title, context) -> None:
        assert [without_context(keys_in_context(title, *context))] == keys([title])

    @given(st.lists(st.sampled_from([SEPARATOR, "nurse", "acme", " "]), max_size=6).map("".join))
    def test_no_title_and_no_cell_can_forge_it(self, text: str) -> None:
        assert SEPARATOR not in keys([text])[0]
        assert keys_in_context("nurse", text, text).count(SEPARATOR) <= 1

    def test_abbreviations_in_it_stay_as_they_are(self) -> None:
        assert keys_in_context("MD", "Mgr. Anderson") == f"{keys(['MD'])[0]}{SEPARATOR}mgr anderson"

    def test_no_more_of_a_cell_is_looked_at_than_leaves_room_for_the_next(self) -> None:
        long = "x" * MAX_CONTEXT_CHARACTERS
        assert keys_in_context("nurse", f"{long}y", "acme") == keys_in_context(
            "nurse", long, "acme"
        )

    @pytest.mark.parametrize(("title", "known"), [("nurse", ["nurse"]), ("7", []), ("n/a", [])])
    def test_it_makes_no_title_of_what_is_none(self, title: str, known: list[str]) -> None:
        frame = pl.DataFrame({"key": keys_in_context(title, "nurse")})
        found = frame.filter(is_title(pl.col("key")))["key"].to_list()
        assert list(map(without_context, found)) == known
