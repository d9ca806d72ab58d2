"""Batches: every title once, equal lengths together, within the budget of tokens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobbatch.batches import fastest_budget, of_equal_length, one_ahead

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


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([100, 200, 300, 310], 4),  # the last gains too little
        ([100, 200, 0, 0], 2),  # the third does not fit the memory
        ([0, 0, 0, 0], 1),
        ([100, 100, 900, 900], 1),  # not worth trying further
        ([1, 2, 4, 8], 8),
    ],
)
def test_the_smallest_budget_that_is_about_as_fast_as_larger_ones_is_taken(rates, expected) -> None:
    budgets = [1, 2, 4, 8]
    assert fastest_budget(budgets, dict(zip(budgets, rates, strict=True)).__getitem__) == expected


class TestOneAhead:
    def test_results_come_in_order_and_only_the_next_item_is_begun(self) -> None:
        begun = []
        with ThreadPoolExecutor(1) as executor:
            results = one_ahead(executor, lambda n: begun.append(n) or n * n, range(5))
            assert next(results) == 0
            assert set(begun) <= {0, 1}
            assert list(results) == [1, 4, 9, 16]

    def test_nothing_gives_nothing(self) -> None:
        with ThreadPoolExecutor(1) as executor:
            assert list(one_ahead(executor, str, [])) == []

    def test_an_error_comes_where_its_result_would(self) -> None:
        with ThreadPoolExecutor(1) as executor:
            results = one_ahead(executor, lambda n: 1 // n, [1, 0, 1])
            assert next(results) == 1
            with pytest.raises(ZeroDivisionError):
                next(results)
