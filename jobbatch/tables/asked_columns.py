"""The columns that the user named by their headers."""

from __future__ import annotations

from collections.abc import Sequence

from jobbatch.errors import UsageError
from jobbatch.tables.source import Table
from jobbatch.tables.title_column import normalise_header


def asked_columns(
    table: Table, asked: Sequence[str], *, option: str, where: str
) -> tuple[tuple[str, str], ...]:
    """Return name and header of each column that `asked` names, once.

    Args:
        table: the table.
        asked: names or headers; case and signs do not count where none is exactly so.
        option: that they were given to, for messages.
        where: names the table in messages.

    Raises:
        UsageError: if one is not there, or several are called so.
    """
    names = table.frame.collect_schema().names()
    pairs = list(zip(names, table.headers, strict=True))
    return tuple(dict.fromkeys(_asked(pairs, column, option, where) for column in asked))


def context_columns(table: Table, asked: Sequence[str], *, where: str) -> tuple[str, ...]:
    """Return the names of the columns that `--context` asks for.

    Raises:
        UsageError: if one is not there, several are called so, or its cells are no texts.
    """
    schema = table.frame.collect_schema()
    found = asked_columns(table, asked, option="--context", where=where)
    for name, _ in found:
        if schema[name].is_nested():
            raise UsageError(f"{where}: --context {name!r}: its cells are {schema[name]}, no texts")
    return tuple(name for name, _ in found)


def _asked(
    pairs: Sequence[tuple[str, str]], asked: str, option: str, where: str
) -> tuple[str, str]:
    wanted = normalise_header(asked)
    # Of two columns 'dept' the second is named 'dept_2', so that a name tells them apart.
    found = (
        [p for p in pairs if p[0] == asked]
        or [p for p in pairs if p[1] == asked]
        or [p for p in pairs if normalise_header(p[1]) == wanted]
    )
    if len(found) != 1:
        problem = "several columns are called so" if found else "there is no such column"
        raise UsageError(
            f"{where}: {option} {asked!r}: {problem}. "
            f"Columns: {', '.join(repr(n) for n, _ in pairs)}"
        )
    return found[0]
