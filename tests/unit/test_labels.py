"""The label vocabulary: its order is the model's, its encoding loses nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobbatch.errors import UsageError
from jobbatch.labels import JOB_LEVELS, LabelSet

LEVELS = LabelSet(JOB_LEVELS)

label_names = st.lists(
    st.text(min_size=1, max_size=8).filter(str.strip), min_size=1, max_size=8, unique=True
)


@given(st.data(), label_names)
@settings(max_examples=50, deadline=None)
def test_decoding_gives_back_what_was_encoded(data: st.DataObject, names: list[str]) -> None:
    labels = LabelSet(tuple(names))
    chosen = data.draw(st.lists(st.sets(st.sampled_from(names)), max_size=5))
    rows = [tuple(n for n in names if n in row) for row in chosen]
    assert labels.decode(labels.encode(rows)) == rows


def test_labels_are_decoded_in_the_set_s_order_however_they_were_given() -> None:
    hot = LEVELS.encode([("Manager", "Chief Officer"), (), ("Owner", "Owner")])
    assert LEVELS.decode(hot) == [("Chief Officer", "Manager"), (), ("Owner",)]


def test_column_i_of_the_encoding_is_label_i() -> None:
    assert np.array_equal(LEVELS.encode([(name,) for name in JOB_LEVELS]), np.eye(6, dtype=bool))


def test_no_rows_encode_to_an_array_as_wide_as_the_labels() -> None:
    assert LEVELS.encode([]).shape == (0, 6)


def test_an_unknown_label_is_named_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown label 'Boss'; known are Chief Officer, Owner"):
        LEVELS.encode([("Owner",), ("Boss",)])


@pytest.mark.parametrize("names", [(), ("a", "a"), ("a", ""), ("a", " \t")])
def test_a_label_set_with_a_missing_repeated_or_blank_name_is_refused(names) -> None:
    with pytest.raises(UsageError, match="label"):
        LabelSet(names)


def test_job_levels_found_in_data_keep_their_order_from_highest_to_lowest() -> None:
    assert LabelSet.seen_in([("Manager",), ("Owner", "Manager"), ()]).names == ("Owner", "Manager")


def test_labels_of_one_s_own_are_sorted_even_beside_a_job_level() -> None:
    assert LabelSet.seen_in([("sales",), ("Owner", "it")]).names == ("Owner", "it", "sales")


def test_data_without_any_label_make_no_label_set() -> None:
    with pytest.raises(UsageError, match="at least one"):
        LabelSet.seen_in([(), ()])
