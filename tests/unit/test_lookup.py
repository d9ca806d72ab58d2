"""Each row of a table gets the answer of its own texts, whatever they are."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobbatch import lookup
from jobbatch.errors import InputError
from jobbatch.lookup import with_answers

CELLS = st.one_of(st.none(), st.text(max_size=3), st.sampled_from(["1:a", "a", "", "nurse"]))
SCHEMA = {"title": pl.String, "company": pl.String}
TITLES = {"t": pl.col("title")}
BOTH = {"t": pl.col("title"), "c": pl.col("company")}


def answered(rows: pl.DataFrame, texts: dict[str, pl.Expr]) -> pl.DataFrame:
    """Return an answer for each combination of texts, told apart by its number."""
    distinct = rows.select(**texts).unique()
    return distinct.sample(fraction=1, shuffle=True, seed=1).with_columns(
        number=pl.int_range(pl.len()) / 7,
        group=pl.int_range(pl.len()).mod(3).cast(pl.String),
    )


@pytest.mark.parametrize("texts", [TITLES, BOTH], ids=["titles", "titles and context"])
@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=40))
def test_every_row_finds_the_answer_of_its_texts(
    rows: list[tuple[str | None, str | None]], texts: dict[str, pl.Expr]
) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    answers = answered(frame, texts)
    found = with_answers(frame.lazy(), texts, answers, "", ["number", "group"])
    expected = frame.join(
        answers,
        left_on=list(texts.values()),
        right_on=list(texts),
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    for engine in ("streaming", "in-memory"):
        assert found.collect(engine=engine).equals(expected)


def test_many_rows_in_many_blocks_keep_their_order() -> None:
    titles = pl.Series([f"title {i}" for i in range(70_000)])
    frame = pl.DataFrame({"title": pl.concat([titles.shuffle(seed) for seed in range(5)])})
    answers = pl.DataFrame({"t": titles, "number": range(len(titles)), "group": "g"})
    found = with_answers(frame.lazy(), TITLES, answers, "", ["number", "group"])
    numbers = found.collect(engine="streaming")["number"]
    assert numbers.to_list() == [int(title.split()[1]) for title in frame["title"]]


def test_a_text_that_has_no_answer_is_an_error_and_no_other_s_answer() -> None:
    frame = pl.DataFrame({"title": ["nurse", "clerk"]})
    answers = pl.DataFrame({"t": ["nurse"], "number": [1.0], "group": ["g"]})
    found = with_answers(frame.lazy(), TITLES, answers, "", ["number", "group"])
    with pytest.raises(pl.exceptions.ComputeError, match="not among those that were counted"):
        found.collect(engine="streaming")


def test_texts_that_share_every_hash_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    same = pl.lit(7, pl.UInt64)
    monkeypatch.setattr(lookup, "_hash", lambda texts, seed: same + 0 * texts[0].hash(seed))
    frame = pl.DataFrame({"title": ["nurse", "clerk"]})
    answers = pl.DataFrame({"t": ["nurse", "clerk"], "number": [1.0, 2.0], "group": ["g", "h"]})
    with pytest.raises(InputError, match="same hash"):
        with_answers(frame.lazy(), TITLES, answers, "", ["number", "group"])
