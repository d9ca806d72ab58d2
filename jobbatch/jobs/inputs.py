"""The tables of a label job: one, or all that a pattern or a folder holds."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from jobbatch.errors import EmptyInputError, InputError, UsageError
from jobbatch.settings.labelling import LabelSettings
from jobbatch.tables.formats import READABLE, WRITABLE


def are_several(settings: LabelSettings) -> bool:
    """Return whether the input is a pattern or a folder, so that the output is a folder."""
    path = settings.input
    return path.is_dir() or (glob.has_magic(str(path)) and not path.is_file())


def each(settings: LabelSettings) -> list[LabelSettings]:
    """Return the settings for each table of a pattern or a folder, by name.

    An output has its input's name; where that format is not written, '.xlsx' is added to it.

    Raises:
        InputError: if the folder is not there.
        EmptyInputError: if there is no table and `fail_if_empty` is set.
        UsageError: if two tables would have the same output.
    """
    outputs = settings.output
    found = [path for path in _tables(settings.input) if path.parent != outputs]
    if not found and settings.fail_if_empty:
        raise EmptyInputError(f"{settings.input}: there are no tables")
    names = [_output_name(path) for path in found]
    _check_distinct(found, names)
    return [
        replace(settings, input=path, output=outputs / name)
        for path, name in zip(found, names, strict=True)
    ]


def _tables(where: Path) -> list[Path]:
    paths = where.iterdir() if where.is_dir() else _matches(where)
    # Office's lock files ('~$...') and hidden ones are not tables, whatever their ending.
    return sorted(
        p
        for p in paths
        if p.suffix.lower() in READABLE and not p.name.startswith((".", "~$")) and p.is_file()
    )


def _matches(pattern: Path) -> Iterable[Path]:
    # The folders that are there are no pattern, also where one is named 'jobs [old]'.
    folder = next(path for path in pattern.parents if path.is_dir())
    rest = pattern.relative_to(folder)
    if not glob.has_magic(rest.parts[0]):
        raise InputError(f"{folder / rest.parts[0]} does not exist")
    return folder.glob(str(rest))


def _output_name(path: Path) -> str:
    return path.name if path.suffix.lower() in WRITABLE else f"{path.name}.xlsx"


def _check_distinct(found: Sequence[Path], names: Sequence[str]) -> None:
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        same = [str(path) for path, own in zip(found, names, strict=True) if own == name]
        raise UsageError(f"{', '.join(same)} would all be labelled into {name}: rename all but one")
