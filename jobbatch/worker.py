"""From a table to its labelled copy, on one screen: what is done in a process of its own.

    distinct  = the table's distinct titles and how often each occurs     first scan, streaming
                (with --context, its distinct pairs of title and context)
    answers   = labels, confidence and review flag of each distinct title
    output    = the table joined with its answers                         second scan, streaming

The table is scanned twice and that is the design: the first scan reads one column. Cost grows
with distinct new titles, memory with distinct titles, neither with rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import polars as pl
from polars import selectors as cs

from jobbatch import child, provenance
from jobbatch.errors import EmptyInputError, InputError, OutputError, TitleColumnError
from jobbatch.labeller import CONTEXT, TITLE, Labeller, Progress
from jobbatch.lookup import with_answers
from jobbatch.model import OpenOptions, TitleModel
from jobbatch.runs import FileState, Labelled, bad_rows_path
from jobbatch.settings.labelling import LabelSettings, size_in_bytes
from jobbatch.tables import formats, publish, sink
from jobbatch.tables.asked_columns import context_columns
from jobbatch.tables.source import READ_ERRORS, Handling, Table, first_line, open_table
from jobbatch.tables.title_column import find_title_column, reads_like_title
from jobbatch.titles import context_cell
from jobbatch.weights import resolve_model

_ROWS = "__rows"
_GROUPS_AT_HAND = 2_000_000
"""Polars' streaming engine counts so many distinct titles in place; the rows of others pile up until all
are read. Its own 4,096 take 3 GiB for 100 million rows of 100,000 titles, these 0.3."""
_OF_THE_SYSTEM = "os error"
"""In what Polars says of a file that cannot be written; a damaged one that it reads has none."""


def label_table(
    settings: LabelSettings,
    staged: Path,
    workspace: Path,
    progress: Progress | None = None,
    when_read: Callable[[], None] | None = None,
    *,
    count_words: bool = False,
) -> Labelled:
    """Write the table with its answers to `staged`, unless the output is made of it already.

    Args:
        settings: what is asked.
        staged: the file to make.
        workspace: a folder for intermediate files.
        progress: told after each scored chunk.
        when_read: told when the first scan is done.
        count_words: count the words, and those that the model does not know whole, for the manifest.

    Raises:
        JobbatchError: whatever stands in the way.
    """
    options = OpenOptions(device=settings.device, threads=settings.threads)
    labeller = Labeller(TitleModel(resolve_model(settings.model), options), settings.cache_dir)
    labeller.model.check_reads(settings.context)
    source = FileState.of(settings.input)
    made_by = provenance.of_model(labeller.model)
    earlier = provenance.finished_before(settings, source, made_by)
    manifest = earlier
    if manifest is None:
        table = open_table(
            settings.input,
            workspace=workspace,
            sheet=settings.sheet,
            title_column=settings.title_column,
            encoding=settings.encoding,
            handling=Handling(
                password_file=settings.password_file,
                max_unzipped=size_in_bytes(settings.max_unzipped),
                quarantine=settings.bad_rows == "quarantine",
            ),
        )
        texts, counted = _counted(settings, table, labeller)
        title_column = texts[TITLE].meta.output_name()
        warnings = _warnings(settings, table, title_column)
        if when_read is not None:
            when_read()
        answers = labeller.answers(counted, progress)
        _write(settings, source, table, texts, answers, labeller, staged)
        manifest = provenance.manifest(
            settings,
            source,
            FileState.of(staged, becomes=settings.output),
            labeller.model,
            title_column=title_column,
            answers=answers,
            rows=answers[_ROWS],
        )
        counts = labeller.words(answers, _ROWS) if count_words else {}
        if table.n_bad:
            counts |= {"bad_rows": table.n_bad}
        manifest = replace(manifest, warnings=warnings, counts=manifest.counts | counts)
    return Labelled(
        manifest=manifest,
        up_to_date=earlier is not None,
        new_titles=labeller.new_titles,
        device_reason=labeller.model.device.reason,
    )


def main() -> None:
    """Answer the request of standard input: a labelled table."""
    os.environ.setdefault("POLARS_HOT_TABLE_SIZE", str(_GROUPS_AT_HAND))
    # Times of zones that are no more than an offset are refused otherwise.
    os.environ.setdefault("POLARS_IGNORE_TIMEZONE_PARSE_ERROR", "1")
    child.serve(_answer)


def _answer(request: child.Message, say: Callable[[child.Message], None]) -> child.Message:
    settings = dict(request["settings"])
    names = ("input", "output", "cache_dir", "password_file")
    paths = {name: Path(settings[name]) for name in names if settings[name]}
    settings |= paths | {"context": tuple(settings["context"])}
    labelled = label_table(
        LabelSettings(**settings),
        Path(request["staged"]),
        Path(request["workspace"]),
        lambda done, total: say({"progress": [done, total], child.STILL_READING: False}),
        lambda: say({child.STILL_READING: False}),
        count_words=request["count_words"],
    )
    return asdict(labelled)


def _counted(
    settings: LabelSettings, table: Table, labeller: Labeller
) -> tuple[dict[str, pl.Expr], pl.DataFrame]:
    """Return what an answer depends on, and how often each of it occurs; the output is possible."""
    try:
        context = context_columns(table, settings.context, where=str(settings.input))
        title = find_title_column(
            table.frame,
            table.headers,
            settings.title_column,
            where=str(settings.input),
            others=context,
        )
        dtype = table.frame.collect_schema()[title]
        if dtype.is_nested() or dtype in (pl.Binary, pl.Duration):
            raise TitleColumnError(
                f"{settings.input}: the title column {title!r} holds {dtype}, which is no text. "
                "Choose another with --title-column"
            )
        texts = _texts(title, context)
        counted = (
            table.frame.group_by(text.alias(name) for name, text in texts.items())
            .len(_ROWS)
            .collect()
        )
        _check_output(settings, table, labeller, int(counted[_ROWS].sum()))
    except TitleColumnError as error:
        raise TitleColumnError(". ".join([str(error), *table.warnings])) from error
    except READ_ERRORS as error:
        raise InputError(f"{settings.input} cannot be read: {first_line(error)}") from error
    return texts, counted


def _warnings(settings: LabelSettings, table: Table, title_column: str) -> list[str]:
    """Return what a person should know of the table and how it was read."""
    said = list(table.warnings)
    if settings.title_column is None and reads_like_title(title_column):
        said.append(
            f"the title column's header is {title_column!r}: if it is a title, the table has no header "
            "row, and its first row is not labelled"
        )
    if table.n_bad:
        said.append(
            f"{table.n_bad:,} lines have more fields than the header: they are in "
            f"{bad_rows_path(settings.output).name} and not labelled"
        )
    ending = settings.output.suffix.lower()
    try:
        runnable = sink.runnable(table.frame, table.headers) if ending in formats.DELIMITED else 0
        not_finite = sink.not_finite(table.frame) if ending in formats.JSON_LINES else 0
    except READ_ERRORS as error:
        raise InputError(f"{settings.input} cannot be read: {first_line(error)}") from error
    if not_finite:
        said.append(
            f"{not_finite:,} numbers are NaN or infinite, which JSON cannot hold: they are null"
        )
    if runnable:
        outcome = (
            "a ' stands before them"
            if settings.safe_csv
            else "they are written as they were read; --safe-csv makes them text"
        )
        said.append(f"{runnable:,} cells could run as formulas in a spreadsheet: {outcome}")
    return said


def _texts(title: str, context: Sequence[str]) -> dict[str, pl.Expr]:
    """Return what an answer depends on, by the names that the labeller knows it under."""
    # Selectors, since pl.col takes '*' and '^...$' for patterns.
    cells = [context_cell(cs.by_name(name).as_expr()) for name in context]
    return {TITLE: cs.by_name(title).as_expr().cast(pl.String)} | {
        f"{CONTEXT}_{i}": cell for i, cell in enumerate(cells)
    }


def _check_output(settings: LabelSettings, table: Table, labeller: Labeller, n_rows: int) -> None:
    if n_rows == 0 and settings.fail_if_empty:
        raise EmptyInputError(f"{settings.input} has no data rows")
    added = _added_columns(settings, labeller)
    clash = sorted(set(added) & set(table.frame.collect_schema().names()))
    if clash:
        raise OutputError(
            f"{settings.input} has the columns {', '.join(clash)} already: pass a prefix for the "
            "new ones, for example --prefix jobbatch_"
        )
    sink.check_fits(table.frame, settings.output.suffix.lower(), n_rows, len(added))


def _added_columns(settings: LabelSettings, labeller: Labeller) -> list[str]:
    columns = ["labels", "primary_label", "confidence", "needs_review", "review_reason"]
    if settings.probabilities:
        columns += [f"p_{name}" for name in labeller.model.labels.names]
    return [settings.prefix + column for column in columns]


def _write(
    settings: LabelSettings,
    source: FileState,
    table: Table,
    texts: Mapping[str, pl.Expr],
    answers: pl.DataFrame,
    labeller: Labeller,
    staged: Path,
) -> None:
    """Write the table with its answers to `staged`, and reopen it."""
    added = _added_columns(settings, labeller)
    labelled = with_answers(table.frame, texts, answers, settings.prefix, added)
    ending = settings.output.suffix.lower()
    n_rows = int(answers[_ROWS].sum())
    columns, headers = labelled.collect_schema().names(), [*table.headers, *added]
    if settings.safe_csv and ending in formats.DELIMITED:
        labelled, headers = sink.neutralised(labelled, headers)
    with publish.write_errors(settings.output):
        try:
            sink.write(
                labelled,
                staged,
                ending,
                headers=headers,
                metadata={
                    f"jobbatch.{k}": v for k, v in provenance.of_model(labeller.model).items()
                },
                n_rows=n_rows,
                separator=table.separator if settings.input.suffix.lower() == ending else None,
            )
        except READ_ERRORS as error:
            if publish.is_full(error):
                raise
            source.check_unchanged(settings.input)  # which then is the reason
            if isinstance(error, OSError) and (error.errno or _OF_THE_SYSTEM in str(error)):
                raise
            raise InputError(f"{settings.input} cannot be read: {first_line(error)}") from error
        except Exception:
            source.check_unchanged(settings.input)
            raise
        sink.verify(staged, ending, n_rows, columns)


if __name__ == "__main__":
    main()
