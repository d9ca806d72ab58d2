"""JSON lines as a lazy frame: columns of one kind as that, all others as the text that stands there."""

from __future__ import annotations

import codecs
import glob
import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
from polars import selectors as cs

from jobbatch.errors import InputError

_BLOCK = 1 << 20
_EXACT_BELOW = 2**53
"""Whole numbers from here on lose digits as decimals."""


def open_lines(path: Path, workspace: Path, about: Path) -> tuple[pl.LazyFrame, list[str]]:
    """Scan the lines; return the rows and what to say of columns that became text.

    Args:
        path: the file, under a name in UTF-8.
        workspace: a folder for a copy.
        about: the file, for messages.

    Raises:
        InputError: if the file is empty or a line is not an object, naming the line.
    """
    lines = _without_mark(path, workspace)
    try:
        texts = _too_exact(_scan(lines, []))
    except pl.exceptions.PolarsError:
        texts = _of_several_kinds(lines, about)
        if not texts:
            raise
        texts += _too_exact(_scan(lines, texts))
    if not texts:
        return _scan(lines, []), []
    listed = ", ".join(map(repr, texts))
    said = f"the columns {listed} hold values that no one type can hold: they are text here"
    return _scan(lines, texts), [said]


def _scan(lines: Path, texts: list[str]) -> pl.LazyFrame:
    return pl.scan_ndjson(
        glob.escape(str(lines)),
        infer_schema_length=None,
        schema_overrides=dict.fromkeys(texts, pl.String),
    )


def _too_exact(frame: pl.LazyFrame) -> list[str]:
    """Return the columns of decimals with numbers that may have lost digits, having read all columns.

    Raises:
        pl.exceptions.PolarsError: if a line is malformed, or a value is of another kind.
    """
    others = (~cs.float()).is_null().all()
    large = frame.select((cs.float().abs() >= _EXACT_BELOW).any(), others).collect()
    floats = frame.select(cs.float()).collect_schema().names()
    return [name for name in floats if large[name].item()]


def _of_several_kinds(lines: Path, about: Path) -> list[str]:
    """Return the columns whose values are of several kinds."""
    kinds = defaultdict[str, set[str]](set)
    for value in _objects(lines, about):
        for name, item in value.items():
            if item is not None:
                kinds[name].add("number" if type(item) in {int, float} else type(item).__name__)
    return [name for name, found in kinds.items() if len(found) > 1]


def _objects(lines: Path, about: Path) -> Iterator[dict[str, Any]]:
    empty = True
    with lines.open("rb") as file:
        for n, line in enumerate(file, start=1):
            if not line.strip():
                continue
            empty = False
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                array = ": an array is none of JSON lines" if line.lstrip()[:1] == b"[" else ""
                raise InputError(
                    f"{about} cannot be read: line {n} is not JSON ({error}){array}. Each line is "
                    "an object of its own"
                ) from error
            if not isinstance(value, dict):
                raise InputError(
                    f"{about} cannot be read: line {n} is not an object, as each line has to be"
                )
            yield value
    if empty:
        raise InputError(f"{about} is empty")


def _without_mark(path: Path, workspace: Path) -> Path:
    """Return the file, or a copy without its byte order mark, which JSON does not know."""
    with path.open("rb") as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            return path
        copy = workspace / "unmarked.jsonl"
        with copy.open("wb") as target:
            shutil.copyfileobj(file, target, _BLOCK)
    return copy
