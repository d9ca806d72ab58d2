"""Batches: every title once, equal lengths together, within the budget of tokens."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jobbatch.batches import of_equal_length

all_lengths = st.lists(st.integers(1, 40), max_size=60).map(lambda n: np.array(n, np.int64))
budgets = st.integers(1, 100)


@given(all_lengths, budgets)
@settings(deadline=None)
def test_every_row_is_in_exactly_one_batch(lengths: np.ndarray, budget: int) -> None:
    rows = [int(row) for batch in of_equal_length(lengths, budget) for row in batch]
    assert sorted(rows) == list(range(len(lengths)))


@given(all_lengths, budgets)
@settings(deadline=None)
def test_a_batch_holds_one_length_and_stays_within_the_budget(lengths, budget: int) -> None:
    for batch in of_equal_length(lengths, budget):
        assert len(set(lengths[batch])) == 1
        assert batch.size == 1 or lengths[batch].sum() <= budget


@given(all_lengths, budgets)
@settings(deadline=None)
def test_only_the_last_batch_of_a_length_may_have_room_left(lengths, budget: int) -> None:
    rooms: dict[int, list[bool]] = {}
    for batch in of_equal_length(lengths, budget):
        length = int(lengths[batch[0]])
        rooms.setdefault(length, []).append((batch.size + 1) * length <= budget)
    assert not any(room for of_length in rooms.values() for room in of_length[:-1])


def test_equal_lengths_give_equal_batches_in_the_order_of_the_rows() -> None:
    lengths = np.array([3, 2, 3, 2, 3, 9], np.int64)
    batches = [batch.tolist() for batch in of_equal_length(lengths, 6)]
    assert batches == [[1, 3], [0, 2], [4], [5]]
    assert batches == [batch.tolist() for batch in of_equal_length(lengths.copy(), 6)]


def test_a_title_longer_than_the_budget_is_a_batch_of_its_own() -> None:
    batches = of_equal_length(np.array([50, 50], np.int64), 10)
    assert [batch.tolist() for batch in batches] == [[0], [1]]


def test_no_titles_make_no_batches() -> None:
    assert of_equal_length(np.array([], np.int64), 512) == []
