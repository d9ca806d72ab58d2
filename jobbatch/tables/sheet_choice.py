"""Chooses the sheet of a workbook that holds the job titles."""

from __future__ import annotations

from typing import Protocol

from jobbatch.errors import InputError, TitleColumnError
from jobbatch.tables.sheet_xml import Rows
from jobbatch.tables.title_column import header_worth, normalise_header


class Book(Protocol):
    """A workbook."""

    names: list[str]

    def beginning(self, name: str) -> tuple[bool, Rows]:
        """Return whether a sheet is visible, and its first rows."""
        ...


def choose_sheet(
    book: Book, source: str, asked: str | None, title_column: str | None
) -> tuple[str, list[str]]:
    """Return the sheet's name, and what to say of those that are hidden and passed over.

    Args:
        book: the workbook.
        source: its file, for messages.
        asked: the sheet that the user named, if any.
        title_column: the header that the user named, if any.

    Raises:
        InputError: if it has no sheets.
        TitleColumnError: if the sheet is not there, or several may be meant.
    """
    names = book.names
    if not names:
        raise InputError(f"{source} has no sheet with cells")
    if asked is not None:
        if asked not in names:
            raise TitleColumnError(
                f"{source}: there is no sheet {asked!r}. Sheets: {', '.join(names)}"
            )
        return asked, []
    if len(names) == 1:
        return names[0], []
    beginnings = {name: book.beginning(name) for name in names}
    visible = {name: rows for name, (is_visible, rows) in beginnings.items() if is_visible}
    candidates = visible or {name: rows for name, (_, rows) in beginnings.items()}
    filled = {n: rows for n, rows in candidates.items() if any(c for r in rows for c in r)}
    hidden = [n for n in names if n not in candidates]
    candidates = filled or candidates
    worth = {n: _worth(rows, title_column) for n, rows in candidates.items()}
    best = max(worth.values())
    titled = [n for n in candidates if worth[n] == best and best > 0]
    if len(titled) > 1:
        raise TitleColumnError(
            f"{source}: several sheets may hold job titles: {', '.join(titled)}. "
            "Choose one with --sheet"
        )
    chosen = titled[0] if titled else next(iter(candidates))
    listed = ", ".join(map(repr, hidden))
    said = f"{len(hidden):,} hidden sheets were passed over: {listed}; --sheet takes one"
    return chosen, [said] if hidden else []


def _worth(rows: Rows, asked: str | None) -> float:
    """Return how clearly a cell of a sheet is the header of the titles' column."""
    cells = [cell for row in rows for cell in row if cell]
    if asked is not None and normalise_header(asked) in map(normalise_header, cells):
        return 3.0
    return max(map(header_worth, cells), default=0.0)
