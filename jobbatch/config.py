"""Fills settings from flags, environment and TOML.

A flag beats the environment (`JOBBATCH_TITLE_COLUMN`), which beats a file, which beats the
default. Unknown keys are errors, and all faults of a source are reported at once. The same
schema reads flags, `jobbatch.toml`, job files and export recipes.
"""

from __future__ import annotations

import dataclasses
import math
import os
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from jobbatch.errors import UsageError

S = TypeVar("S")
DEFAULTS_FILE = "jobbatch.toml"
ENVIRONMENT_PREFIX = "JOBBATCH_"
_SECTIONS = ("label", "predict", "cache", "train", "pretrain", "evaluate", "audit")


def load_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises:
        UsageError: if it is missing or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error


def from_mapping(
    schema: type[S], values: Mapping[str, Any], *, where: str, relative_to: Path | None = None
) -> S:
    """Return the settings with `values`, defaults for the rest.

    Args:
        schema: one of this module's dataclasses.
        values: by field name.
        where: the source, for messages.
        relative_to: folder that relative paths start from; none: the current one.

    Raises:
        UsageError: naming every unknown key, missing key and wrong value.
    """
    try:
        return _build(schema, values, relative_to)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def _build(schema: type[S], values: Any, relative_to: Path | None) -> S:
    if not isinstance(values, Mapping):
        raise ValueError(f"{values!r} is not a table")  # noqa: TRY004 - a fault of the file
    hints = typing.get_type_hints(schema)
    fields = {f.name: f for f in dataclasses.fields(schema)}  # type: ignore[arg-type]
    faults = [f"unknown key {k!r} (known: {', '.join(fields)})" for k in values if k not in fields]
    accepted: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in values:
            if field.default is field.default_factory is dataclasses.MISSING:
                faults.append(f"{name!r} is missing")
            continue
        try:
            accepted[name] = _convert(values[name], hints[name], relative_to)
        except ValueError as error:
            faults.append(f"{name!r}: {error}")
    if faults:
        raise ValueError("; ".join(faults))
    return schema(**accepted)


def resolve(schema: type[S], flags: Mapping[str, Any], section: str) -> S:
    """Return the settings from flags, environment and the section of ./jobbatch.toml.

    Args:
        schema: one of this module's dataclasses.
        flags: by field name; None where a flag was not given.
        section: the table of jobbatch.toml that belongs to the command.

    Raises:
        UsageError: naming every fault of the first source that has one.
    """
    names = [f.name for f in dataclasses.fields(schema)]  # type: ignore[arg-type]
    given = {name: value for name, value in flags.items() if value is not None}
    merged = _defaults(section, names) | _environment(names) | given
    return from_mapping(schema, merged, where=f"jobbatch {section}")


def with_environment(settings: S) -> S:
    """Return settings read from a file, changed where the environment says so.

    Raises:
        UsageError: naming every wrong value.
    """
    names = [f.name for f in dataclasses.fields(settings)]  # type: ignore[arg-type]
    values = {name: getattr(settings, name) for name in names} | _environment(names)
    return from_mapping(type(settings), values, where="environment")


def _defaults(section: str, names: Sequence[str]) -> dict[str, Any]:
    """Return the section of ./jobbatch.toml, if there is one."""
    if not os.path.isfile(DEFAULTS_FILE):
        return {}
    tables = load_toml(Path(DEFAULTS_FILE))
    faults = [f"unknown table or key {t!r}" for t in tables if t not in _SECTIONS]
    table = tables.get(section, {})
    if isinstance(table, dict):
        faults += [
            f"[{section}] has the unknown key {name!r}" for name in table if name not in names
        ]
    else:
        faults.append(f"{section!r} is not a table")
    if faults:
        raise UsageError(f"{DEFAULTS_FILE}: {'; '.join(faults)}")
    return dict(table)


def _environment(names: Sequence[str]) -> dict[str, str]:
    """Return the settings that the environment names."""
    variables = {name: f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in names}
    return {name: os.environ[v] for name, v in variables.items() if v in os.environ}


def _convert(value: Any, hint: Any, relative_to: Path | None) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast("type[Any]", hint), value, relative_to)
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        inner = next(a for a in typing.get_args(hint) if a is not type(None))
        return None if value is None else _convert(value, inner, relative_to)
    if origin is Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise ValueError(f"{value!r} is none of {', '.join(map(str, choices))}")
        return value
    if origin in {tuple, Mapping}:
        return _collection(value, hint, relative_to)
    return _path(value, relative_to) if hint is Path else _scalar(value, hint)


def _collection(value: Any, hint: Any, relative_to: Path | None) -> Any:
    if typing.get_origin(hint) is Mapping:
        if not isinstance(value, Mapping):
            raise ValueError(f"{value!r} is not a table")
        kind = typing.get_args(hint)[1]
        return {name: _convert(item, kind, relative_to) for name, item in value.items()}
    if typing.get_args(hint)[0] is Path:
        paths = [value] if isinstance(value, str | Path) else value
        if not isinstance(paths, Sequence):
            raise ValueError(f"{value!r} is not a list of paths")
        return tuple(_path(path, relative_to) for path in paths)
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, Sequence) or not all(isinstance(p, str) for p in parts):
        raise ValueError(f"{value!r} is not a list of texts")
    return tuple(p.strip() for p in parts if p.strip())


def _path(value: Any, relative_to: Path | None) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError(f"{value!r} is not a path")
    if "\0" in str(value):
        raise ValueError(f"{value!r} has a NUL, which no path can have")
    if "://" in str(value):
        raise ValueError(f"{value!r} is a URL, which is not supported yet: name a local path")
    # Unlike Path.expanduser, this takes "~$budget.xlsx" for a file's own name.
    path = Path(os.path.expanduser(value))  # noqa: PTH111
    return relative_to / path if relative_to else path


def _scalar(value: Any, hint: type) -> Any:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if hint is bool:
        if isinstance(value, str) and value.lower() in words:
            return words[value.lower()]
        if not isinstance(value, bool):
            raise ValueError(f"{value!r} is not true or false")
        return value
    if hint is str:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not a text")
        if "\0" in value:
            raise ValueError(f"{value!r} has a NUL, which no name can have")
        return value
    if hint is int and isinstance(value, float):
        raise ValueError(f"{value!r} is not a whole number")
    try:
        number = hint("no number" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{value!r} is not a number") from error
    if not 0 <= number < math.inf:
        raise ValueError(f"{value!r} is below 0 or not finite")
    return number
