"""Finds the row of column headers in a sheet that may begin with banners and blank rows."""

from __future__ import annotations

from collections.abc import Sequence

from jobbatch.tables.title_column import header_worth, normalise_header

PREVIEW_ROWS = 60
"""Rows from the top among which the headers are looked for."""


def find_header_row(rows: Sequence[Sequence[str | None]], asked: str | None) -> int | None:
    """Return the index of the header row; none if the sheet is empty.

    It is the first row that holds the asked header, if there is one that fills at least half of the
    sheet's width, of these; else the row with the header that most
    clearly means job title, if no row above it could be the headers as well; else the first that
    fills at least half of the sheet's width.

    Args:
        rows: the first rows as text, from the sheet's top.
        asked: the title column's header, if the user named it.
    """
    filled = [[cell for cell in row if cell and cell.strip()] for row in rows]
    width = max(map(len, filled), default=0)
    if asked is not None:
        wanted = normalise_header(asked)
        holding = [i for i, row in enumerate(filled) if wanted in map(normalise_header, row)]
        if holding:
            return next((i for i in holding if 2 * len(filled[i]) >= width), holding[0])
    if width == 0:
        return None
    worth = [max(map(header_worth, cells), default=0.0) for cells in filled]
    best = max(worth)
    wide = [i for i, cells in enumerate(filled) if 2 * len(cells) >= width]
    named = next((i for i in wide if worth[i] == best and best > 1), wide[0])
    # A cell of the data can look like a header ('Cargo'); a header has only lesser rows above it.
    lesser = all(not worth[i] and len(filled[i]) < len(filled[named]) for i in wide if i < named)
    return named if lesser else wide[0]


def clean_headers(cells: Sequence[str | None]) -> tuple[list[str], list[str]]:
    """Return unique column names and the headers as they stand, '' for a blank one."""
    headers = [cell or "" for cell in cells]
    names: list[str] = []
    for i, header in enumerate(headers):
        name = base = header.strip() or f"column_{i + 1}"
        count = 1
        while name in names:
            count += 1
            name = f"{base}_{count}"
        names.append(name)
    return names, headers
