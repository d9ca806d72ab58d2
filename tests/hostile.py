"""Files that harm whoever reads them, made by code: bombs, traps, and what a disk has damaged."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from tests import workbooks

_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_MAIN = "application/vnd.openxmlformats-officedocument.spreadsheetml"
DECLARATION = '<?xml version="1.0"?>'
LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
HEADER = '<row r="1"><c r="A1" t="inlineStr"><is><t>Job Title</t></is></c></row>'


def outside(path: Path) -> str:
    """Return a document type whose entity x is another file."""
    return f'<!DOCTYPE l [<!ENTITY x SYSTEM "file://{path}">]>'


def cell(text: str, row: int = 2) -> str:
    """Return a row with one cell."""
    return f'<row r="{row}"><c r="A{row}" t="inlineStr"><is><t>{text}</t></is></c></row>'


def workbook(
    path: Path, rows: Iterable[str], document_type: str = "", book: str = "workbook"
) -> Path:
    """Write an .xlsx with one sheet of these rows."""
    content = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/{book}.xml" ContentType="{_MAIN}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_MAIN}.worksheet+xml"/>'
        "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_RELATIONS}/officeDocument" Target="xl/{book}.xml"/></Relationships>',
        f"xl/{book}.xml": f'<workbook xmlns="{_SHEET}" xmlns:r="{_RELATIONS}"><sheets>'
        '<sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>',
        f"xl/_rels/{book}.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/>'
        "</Relationships>",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(name, DECLARATION + text)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            start = f'{DECLARATION}{document_type}<worksheet xmlns="{_SHEET}"><sheetData>'
            for part in (start, *rows, "</sheetData></worksheet>"):
                sheet.write(part.encode())
    return path


def bomb(path: Path) -> Path:
    """Write an .xlsx of 100 KB whose sheet unzips to 80 MB."""
    filler = " " * (1 << 20)
    return workbook(path, [HEADER, cell("nurse"), *[filler] * 80])


def sparse_corner(path: Path) -> Path:
    """Write an .xlsx whose two cells are as far apart as can be."""
    far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    return workbook(path, [HEADER, far])


def sparse_middle(path: Path) -> Path:
    """Write an .xlsx of two cells that would fill 7 GiB with what lies between them."""
    return workbook(path, [HEADER, '<row r="1048576"><c r="HR1048576"><v>1</v></c></row>'])


def ods(path: Path | io.BytesIO, rows: str) -> None:
    """Write an .ods with one sheet of these rows."""
    names = "".join(
        f' xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{short}:1.0"'
        for short in ("office", "table", "text")
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", kind)
        archive.writestr(
            "content.xml",
            f"{DECLARATION}<office:document-content{names}><office:body><office:spreadsheet>"
            f'<table:table table:name="S">{rows}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
        archive.writestr(
            "META-INF/manifest.xml",
            f"{DECLARATION}<m:manifest "
            'xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
            f'<m:file-entry m:full-path="/" m:media-type="{kind}"/></m:manifest>',
        )


_ODS_CELL = '<table:table-cell {} office:value-type="string"><text:p>{}</text:p></table:table-cell>'


def repeated(path: Path) -> Path:
    """Write an .ods with one cell that is to be repeated 17 thousand million times."""
    ods(
        path,
        "<table:table-row>" + _ODS_CELL.format("", "Job Title") + "</table:table-row>"
        '<table:table-row table:number-rows-repeated="1048576">'
        + _ODS_CELL.format('table:number-columns-repeated="16384"', "nurse")
        + "</table:table-row>",
    )
    return path


def table(ending: str, rows: int = 120) -> bytes:
    """Return a small table of that format."""
    frame = pl.DataFrame(
        {
            "title": (["nurse", "Owner, Shed", None, "Dir. of Kites"] * rows)[:rows],
            "n": range(rows),
            "x": [1.5] * rows,
            "tags": [["a", "b"]] * rows,
        }
    )
    made = io.BytesIO()
    if ending == ".parquet":
        frame.write_parquet(made)
    elif ending == ".arrow":
        frame.write_ipc(made)
    elif ending == ".jsonl":
        frame.write_ndjson(made)
    elif ending in {".csv", ".tsv"}:
        frame.drop("tags").write_csv(made, separator="\t" if ending == ".tsv" else ",")
    elif ending == ".ods":
        cells = [("title", "n"), *frame.select("title", "n").iter_rows()]
        lines = ("".join(_ODS_CELL.format("", cell or "") for cell in row) for row in cells)
        ods(made, "".join(f"<table:table-row>{line}</table:table-row>" for line in lines))
    elif ending in workbooks.WRITERS:
        plain = frame.drop("tags")
        return workbooks.WRITERS[ending]({"S": [plain.columns, *plain.iter_rows()]})
    else:
        frame.drop("tags").write_excel(made)
    return made.getvalue()


def damaged_inside(archive: bytes, seed: int) -> bytes:
    """Return a zipped file in one part of which a few bytes are changed or lost; its sums fit."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(made, "w") as new:
        parts = old.namelist()
        # What is read is the sheet, mostly.
        sheets = [name for name in parts if "sheet" in name or name == "content.xml"]
        large = [name for name in (*parts, *sheets * 3) if old.getinfo(name).file_size > 64]
        chosen = random.Random(seed).choice(large)  # noqa: S311
        for name in parts:
            content = old.read(name)
            new.writestr(name, damaged(content, seed) if name == chosen else content)
    return made.getvalue()


def damaged(content: bytes, seed: int) -> bytes:
    """Return the content with a few bytes changed or lost, but not its last four."""
    chance = random.Random(seed)  # noqa: S311 - the same damage on every run
    changed = bytearray(content[:-4])
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        place = chance.randrange(len(changed) - 30)
        if chance.random() < 0.8:
            changed[place] = chance.randrange(256)
        else:
            del changed[place : place + chance.randrange(1, 30)]
    return bytes(changed) + content[-4:]
