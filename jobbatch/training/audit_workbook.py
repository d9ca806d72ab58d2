"""The workbook of an audit: suspicious titles to work through, the labels, and how to.

`corrections.read` takes it as it is: its first sheet has the columns that a correction needs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from jobbatch.tables.workbook import MAX_CHARACTERS
from jobbatch.training.corrections import DIGEST_COLUMN, LABEL_COLUMN, TITLE_COLUMN
from jobbatch.training.dataset import Dataset
from jobbatch.training.label_columns import NO_LABEL
from jobbatch.training.suspicions import Findings, Suspicion, text

TO_CHECK, LABELS, HOW_TO, CHOICES = "to check", "labels", "how to", "choices"
WIDTHS = {
    "rank": 7,
    TITLE_COLUMN: 38,
    "labels": 24,
    "suggested labels": 24,
    LABEL_COLUMN: 26,
    "why": 58,
    "rows": 18,
    DIGEST_COLUMN: 14,
}
"""The columns of the first sheet and their widths in characters."""
NAMED_ROWS = 20
"""Row numbers that a cell spells out."""
LINE_POINTS = 15
MAX_LINES = 20
"""Above 27 lines a row is higher than a spreadsheet allows."""
_FORMULA = ("=", "+", "-", "@")
_HEADER = PatternFill("solid", fgColor="DDE6F0")
_TO_FILL = PatternFill("solid", fgColor="FFF8DC")
_HELP = (
    "This workbook lists titles whose labels are suspicious, the most suspicious first.",
    "Work through the sheet 'to check' from the top; stop where hardly anything is wrong any more.",
    "Column 'why' says what makes the labels suspicious. A suspicion is not an error.",
    "Labels wrong: put the right ones into 'corrected labels', from the list or typed in.",
    "Several labels: with ; between, for example: {example}",
    "No label applies: {no_label}",
    "Labels right: leave the cell empty, which changes nothing.",
    "'rows' says where the title stands in your data, counted with the header.",
    "Leave the columns' headers and the sha256 as they are: they lead back to the titles.",
    "When done, save, and train with: jobbatch train DATA --corrections {name} --out MODEL",
)


def write(path: Path, findings: Findings, data: Dataset, *, name: str) -> None:
    """Write the workbook.

    Args:
        path: the file to make.
        findings: what to check.
        data: what was audited.
        name: what the file will be called, for its help.
    """
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = TO_CHECK
    choices = _choices(data)
    several_tables = len(data.report.tables) > 1
    _write_titles(sheet, findings.suspicions, len(choices), several_tables=several_tables)
    _write_labels(book.create_sheet(LABELS), findings, data)
    example = "; ".join(data.labels.names[:2])
    _write_help(book.create_sheet(HOW_TO), example=example, no_label=NO_LABEL, name=name)
    hidden = book.create_sheet(CHOICES)
    hidden.sheet_state = "hidden"
    for row, choice in enumerate(choices, 1):
        _put(hidden.cell(row, 1), choice)
    book.save(path)


def _choices(data: Dataset) -> list[str]:
    """Return what the drop-down list offers: each label, the sets that occur, and no label."""
    sets = Counter(data.key_labels).most_common()
    several = [text(labels) for labels, _ in sets if len(labels) > 1]
    return [*data.labels.names, *several, NO_LABEL]


def _write_titles(
    sheet: Worksheet, suspicions: Sequence[Suspicion], n_choices: int, *, several_tables: bool
) -> None:
    rows = (_cells(rank, s, several_tables=several_tables) for rank, s in enumerate(suspicions, 1))
    _fill(sheet, WIDTHS, rows)
    last = max(sheet.max_row, 2)
    place = {name: get_column_letter(i) for i, name in enumerate(WIDTHS, 1)}
    for row in range(2, last + 1):
        cell = sheet[f"{place[LABEL_COLUMN]}{row}"]
        cell.fill = _TO_FILL
        # As text, so that a spreadsheet leaves labels such as 1 or 2-3 as they are typed.
        cell.number_format = "@"
        sheet[f"{place[DIGEST_COLUMN]}{row}"].alignment = Alignment(vertical="top")
    sheet.auto_filter.ref = sheet.dimensions
    sheet.print_area = f"A1:{place['rows']}{last}"
    offered = DataValidation(
        "list", formula1=f"{CHOICES}!$A$1:$A${n_choices}", allow_blank=True, showErrorMessage=False
    )
    offered.add(f"{place[LABEL_COLUMN]}2:{place[LABEL_COLUMN]}{last}")
    sheet.add_data_validation(offered)


def _cells(rank: int, suspicion: Suspicion, *, several_tables: bool) -> list[str | int | None]:
    """Return a title's cells, one for each of `WIDTHS`."""
    return [
        rank,
        suspicion.title,
        text(suspicion.labels),
        text(suspicion.suggested),
        None,
        "\n".join(suspicion.reasons),
        _places(suspicion.rows, several_tables=several_tables),
        suspicion.sha256,
    ]


def _places(rows: Iterable[tuple[str, int]], *, several_tables: bool) -> str:
    """Return the row numbers, table by table if there are several."""
    parts = []
    for table, group in groupby(rows, key=lambda row: row[0]):
        numbers = [number for _, number in group]
        listed = ", ".join(map(str, numbers[:NAMED_ROWS]))
        more = len(numbers) - NAMED_ROWS
        where = f"{table}: " if several_tables else ""
        parts.append(f"{where}{listed}" + (f" and {more} more" if more > 0 else ""))
    return "\n".join(parts)


def _write_labels(sheet: Worksheet, findings: Findings, data: Dataset) -> None:
    titles = Counter(name for labels in data.key_labels for name in labels)
    suspicious = Counter(name for s in findings.suspicions for name in s.labels)
    widths = {"label": 36, "rows": 10, "distinct titles": 16, "to check": 12}
    rows: Iterable[list[str | int]] = (
        [name, data.report.support[name], titles[name], suspicious[name]]
        for name in data.labels.names
    )
    _fill(sheet, widths, rows)


def _write_help(sheet: Worksheet, **values: str) -> None:
    for row, line in enumerate(_HELP, 1):
        _put(sheet.cell(row, 1), line.format(**values))
    sheet.column_dimensions["A"].width = 100


def _fill(
    sheet: Worksheet, widths: Mapping[str, int], rows: Iterable[Sequence[str | int | None]]
) -> None:
    """Write headers, rows and the layout that a person reads and prints them in."""
    for column, (header, width) in enumerate(widths.items(), 1):
        cell = sheet.cell(1, column)
        _put(cell, header)
        cell.font, cell.fill = Font(bold=True), _HEADER
        sheet.column_dimensions[get_column_letter(column)].width = width
    for row, values in enumerate(rows, 2):
        for column, value in enumerate(values, 1):
            cell = sheet.cell(row, column)
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            if value is not None:
                _put(cell, value)
        # Not every spreadsheet program fits the height to wrapped text by itself.
        sheet.row_dimensions[row].height = LINE_POINTS * max(map(_lines, values, widths.values()))
    sheet.freeze_panes = "A2"
    sheet.print_options.gridLines = True
    sheet.print_title_rows = "1:1"
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True


def _lines(value: str | int | None, width: int) -> int:
    """Return how many lines a cell takes, at most `MAX_LINES`; a hash is not wrapped."""
    parts = str(value or "").splitlines() if " " in str(value) else [""]
    return min(MAX_LINES, sum(max(1, math.ceil(1.1 * len(part) / width)) for part in parts))


def _put(cell: Cell, value: str | int) -> None:
    if isinstance(value, int):
        cell.value = value
        return
    cell.value = ILLEGAL_CHARACTERS_RE.sub(" ", value)[:MAX_CHARACTERS]
    # Text stays text, whatever it begins with, also after somebody edits the cell.
    cell.data_type = "s"
    cell.quotePrefix = value.startswith(_FORMULA)
