"""Looks up each row's answer: by the position of its text's hash, not by a join."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import selectors as cs

from jobbatch.errors import InputError

_HASH = "__hash"
_SEEDS = 16
"""How many hash functions are tried before a table's texts are given up."""
_SPARE_BITS = 1
"""A bucket then holds less than half a hash on average."""


def with_answers(
    frame: pl.LazyFrame,
    texts: Mapping[str, pl.Expr],
    answers: pl.DataFrame,
    prefix: str,
    added: Sequence[str],
) -> pl.LazyFrame:
    """Return the table with the answers' columns at its end.

    Args:
        frame: the table.
        texts: what an answer depends on, by the names of the answers' columns that have it.
        answers: one row for each combination of texts that occurs.
        prefix: before the names of the answers' columns in the output.
        added: those names.

    Each row finds its answer by the position of its texts' hash, and what few answers have in common
    by a second position: that takes a fourth of the time of a join which keeps the order, and less
    memory. No two answers have the same hash, so a row whose texts occur among them finds its own.

    Raises:
        InputError: if there are texts that no hash function tells apart.
    """
    names = frame.collect_schema().names()
    kind = max(*names, *added, key=len) + "_"  # longer than all others, so none of them
    seed = _seed(answers, texts)
    keyed = answers.select(
        _hash([pl.col(name) for name in texts], seed).alias(_HASH),
        *(pl.col(name.removeprefix(prefix)).alias(name) for name in added),
    ).sort(_HASH)
    find = _finder(keyed[_HASH].to_numpy())
    position = _hash(list(texts.values()), seed).map_batches(
        find, return_dtype=pl.UInt32, is_elementwise=True
    )
    alike = cs.by_name(*added) - cs.numeric()
    kinds = keyed.select(alike).unique(maintain_order=True).with_row_index(kind)
    on = kinds.columns[1:]
    own = keyed.join(kinds, on=on, how="left", nulls_equal=True, maintain_order="left")
    found = _gathered(frame, own.select(cs.by_name(kind, *added) & cs.numeric()), position)
    return _gathered(found, kinds.select(on), cs.by_name(kind).as_expr()).select(
        cs.by_name(*names, *added)
    )


def _gathered(frame: pl.LazyFrame, rows: pl.DataFrame, position: pl.Expr) -> pl.LazyFrame:
    """Return the frame and, beside it, the columns of `rows` at each row's position."""
    name = max(*frame.collect_schema().names(), *rows.columns, key=len) + "_"
    gathered = pl.lit(rows.to_struct()).gather(position).alias(name)
    # As an expression, unnest would gather once for every column.
    return frame.with_columns(gathered).unnest(cs.by_name(name))


def _hash(texts: Sequence[pl.Expr], seed: int) -> pl.Expr:
    if len(texts) == 1:
        return texts[0].hash(seed)
    sized = [pl.format("{}:{}", text.str.len_bytes(), text) for text in texts]
    return pl.concat_str(cell.fill_null("-") for cell in sized).hash(seed)


def _seed(answers: pl.DataFrame, names: Mapping[str, object]) -> int:
    """Return a seed with which all answers' texts have hashes of their own."""
    texts = [pl.col(name) for name in names]
    for seed in range(_SEEDS):
        if answers.select(_hash(texts, seed)).to_series().is_unique().all():
            return seed
    raise InputError("the table has titles made to have the same hash: take them out")


def _finder(hashes: NDArray[np.uint64]) -> Callable[[pl.Series], pl.Series]:
    """Return a function that turns hashes into their positions, UInt32, among `hashes`.

    Args:
        hashes: uint64 (n,), sorted, no two the same.

    They are evenly spread, so their first bits lead to within a step or two of the position. Working on
    arrays, the processor fetches many entries at a time, where one hash table's lookup after the other
    would wait for each.
    """
    bits = max(1, len(hashes)).bit_length() + _SPARE_BITS
    shift = np.uint64(64 - bits)
    starts = np.arange(1 << bits, dtype=np.uint64) << shift
    first = np.searchsorted(hashes, starts).astype(np.uint32)
    fenced = np.append(hashes, np.uint64(0))  # a place behind the last, for what is not there

    def find(asked: pl.Series) -> pl.Series:
        wanted = asked.to_numpy()
        position = first[wanted >> shift]
        astray = np.flatnonzero(fenced[position] != wanted)
        while astray.size:
            position[astray] += 1
            if position[astray].max() >= len(hashes):
                raise pl.exceptions.ComputeError("a text is not among those that were counted")
            astray = astray[fenced[position[astray]] != wanted[astray]]
        return pl.Series(position)

    return find
