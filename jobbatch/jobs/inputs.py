"""The tables of a label job: one, or all that a pattern or a folder holds."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from jobbatch import paths
from jobbatch.errors import EmptyInputError, InputError, OutputError, UsageError
from jobbatch.settings.labelling import LabelSettings
from jobbatch.tables.formats import READABLE, WRITABLE


def are_several(settings: LabelSettings) -> bool:
    """Return whether the input is a folder or a pattern, so that the output is a folder.

    What is not there is one table if the output is named as one: 'crm [1].csv' is a name, too.
    """
    if os.path.isfile(settings.input):
        return False
    is_named_as_table = settings.output.suffix.lower() in WRITABLE
    return os.path.isdir(settings.input) or not is_named_as_table


def check_one(settings: LabelSettings) -> None:
    """Check that a table is there that may be meant for a pattern.

    Raises:
        InputError: if it is not.
    """
    if glob.has_magic(str(settings.input)) and not os.path.isfile(settings.input):
        raise InputError(
            f"{settings.input} {paths.fault(settings.input)}. If it is a pattern, its output is a "
            f"folder: name one without {settings.output.suffix}"
        )


def each(settings: LabelSettings) -> list[LabelSettings]:
    """Return the settings for each table of a pattern or a folder, by name.

    An output has its input's name; where that format is not written, '.xlsx' is added to it.

    Raises:
        InputError: if the folder is not there, or cannot be read.
        EmptyInputError: if there is no table and `fail_if_empty` is set.
        OutputError: if the output is the folder of the tables.
        UsageError: if the pattern is none, or two tables would have the same output.
    """
    outputs = _real(settings.output)
    folder = settings.input if os.path.isdir(settings.input) else settings.input.parent
    if _real(folder) == outputs:
        raise OutputError(
            f"{settings.output} is the folder of the tables that are labelled into it: name another "
            "output"
        )
    # What a pattern finds of earlier nights' outputs is no input.
    found = [path for path in _tables(settings.input) if outputs not in _real(path).parents]
    if not found and settings.fail_if_empty:
        raise EmptyInputError(f"{settings.input}: there are no tables")
    names = [_output_name(path) for path in found]
    _check_distinct(found, names)
    return [
        replace(settings, input=path, output=settings.output / name)
        for path, name in zip(found, names, strict=True)
    ]


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve() raises where links go round in a circle


def _tables(where: Path) -> list[Path]:
    try:
        there = list(where.iterdir() if os.path.isdir(where) else _matches(where))
    except OSError as error:
        raise InputError(f"{where} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{where} is no pattern: {error}") from error
    # Office's lock files ('~$...') and hidden ones are not tables, whatever their ending.
    return sorted(
        p
        for p in there
        if p.suffix.lower() in READABLE and not p.name.startswith((".", "~$")) and os.path.isfile(p)
    )


def _matches(pattern: Path) -> Iterable[Path]:
    # The folders that are there are no pattern, also where one is named 'jobs [old]'.
    folder = next(path for path in pattern.parents if os.path.isdir(path))
    rest = pattern.relative_to(folder)
    if not glob.has_magic(rest.parts[0]):
        raise InputError(f"{folder / rest.parts[0]} {paths.fault(folder / rest.parts[0])}")
    return folder.glob(str(rest))


def _output_name(path: Path) -> str:
    return path.name if path.suffix.lower() in WRITABLE else f"{path.name}.xlsx"


def _check_distinct(found: Sequence[Path], names: Sequence[str]) -> None:
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        same = [str(path) for path, own in zip(found, names, strict=True) if own == name]
        raise UsageError(f"{', '.join(same)} would all be labelled into {name}: rename all but one")
