"""The application that the commands join, and the options that several of them share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Label job titles with their organisational level: Chief Officer, Owner, Vice "
    "President, Director, Manager, Individual Contributor/Staff; or with labels of your own.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and warnings only.")]
Model = Annotated[str | None, typer.Option(help="Model folder; the shipped model if left out.")]
Sheet = Annotated[str | None, typer.Option(help="Sheet of a spreadsheet.")]
Encoding = Annotated[str | None, typer.Option(help="Of a .csv that is not UTF-8.")]
Overwrite = Annotated[bool | None, typer.Option("--overwrite", help="Replace the output.")]
DeviceName = Annotated[str | None, typer.Option(help="auto (default), cpu or cuda.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads; all cores if left out.")]
CacheDir = Annotated[Path | None, typer.Option(help="Where known scores are kept.")]
TitleColumn = Annotated[
    str | None, typer.Option(help="Header of the titles' column; found if left out.")
]
Context = Annotated[
    str | None,
    typer.Option(help="Headers of columns with context, with commas between: company,department."),
]
LabelColumns = Annotated[
    str | None, typer.Option(help="Headers of the label columns, with commas between.")
]
Delimiter = Annotated[
    str | None, typer.Option(help="Between several labels in one cell, for example ';'.")
]
OwnTitles = Annotated[
    bool | None, typer.Option("--own-titles", help="Add the package's own titles.")
]
LabelledData = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Tables of labelled titles; the package's own titles if left out.", readable=False
    ),
]


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that belong to the settings, None where one was not given."""
    return {k: v for k, v in options.items() if k not in {"json", "quiet"}}
