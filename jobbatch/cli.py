"""The commands: read options, call one function, print its report.

Messages go to stderr, data to stdout. Each command imports what it runs, so that `--help` is
instant and labelling never loads PyTorch.
"""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from jobbatch import __version__
from jobbatch.errors import JobbatchError

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
Overwrite = Annotated[bool | None, typer.Option("--overwrite", help="Replace the output.")]
DeviceName = Annotated[str | None, typer.Option(help="auto (default), cpu or cuda.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads; all cores if left out.")]
TitleColumn = Annotated[
    str | None, typer.Option(help="Header of the titles' column; found if left out.")
]


class Interrupted(BaseException):
    """A signal asked the run to stop."""

    def __init__(self, signum: int) -> None:
        self.exit_code = 128 + signum


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        typer.echo(f"jobbatch {__version__}")
        raise typer.Exit
    del context


@app.command()
def label(
    input: Annotated[Path, typer.Argument(help="Table with job titles.", readable=False)],  # noqa: A002
    output: Annotated[Path, typer.Argument(help="File to write.", readable=False)],
    title_column: TitleColumn = None,
    sheet: Sheet = None,
    encoding: Annotated[str | None, typer.Option(help="Of a .csv that is not UTF-8.")] = None,
    model: Model = None,
    device: DeviceName = None,
    threads: Threads = None,
    prefix: Annotated[str | None, typer.Option(help="Before the new columns' names.")] = None,
    probabilities: Annotated[
        bool | None, typer.Option("--probabilities", help="Add a column p_<label> per label.")
    ] = None,
    overwrite: Overwrite = None,
    fail_if_empty: Annotated[
        bool | None, typer.Option("--fail-if-empty", help="Exit 14 if there are no rows.")
    ] = None,
    cache_dir: Annotated[Path | None, typer.Option(help="Where known scores are kept.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Label a table: its rows, order and columns stay, the labels' columns are added.

    \b
    jobbatch label contacts.xlsx labelled.xlsx
    jobbatch label crm.parquet out.parquet --title-column position --probabilities
    jobbatch label export.csv labelled.csv --encoding latin-1 --overwrite

    \b
    Reads  .xlsx .xlsm .xls .xlsb .ods .csv .tsv .parquet .jsonl .arrow
    Writes .parquet .xlsx .csv .tsv .jsonl .arrow
    """
    options = _given(locals())
    from jobbatch import config, console, pipeline
    from jobbatch.settings import LabelSettings

    settings = config.resolve(LabelSettings, options, "label")
    with console.progress("scoring new titles", quiet=quiet or json) as progress:
        report = pipeline.label_file(settings, progress)
    console.show_label_report(report, as_json=json, quiet=quiet)


@app.command()
def predict(
    titles: Annotated[list[str], typer.Argument(help="Titles; '-' reads lines of stdin.")],
    model: Model = None,
    device: DeviceName = None,
    json: Json = False,
) -> None:
    """Label titles given on the spot: a table in a terminal, JSON else.

    \b
    jobbatch predict "SVP & CIO" "Founder/CEO"
    cut -f3 people.tsv | jobbatch predict - --json
    """
    options = {"model": model, "device": device}
    from jobbatch import config, console
    from jobbatch.labeller import Labeller
    from jobbatch.model import OpenOptions, TitleModel
    from jobbatch.settings import PredictSettings
    from jobbatch.weights import resolve_model

    settings = config.resolve(PredictSettings, options, "predict")
    raw = _lines_of_stdin() if titles == ["-"] else titles
    opened = TitleModel(resolve_model(settings.model), OpenOptions(device=settings.device))
    console.show_predictions(Labeller(opened).predict(raw), opened, as_json=json)


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="Table of labelled titles.", readable=False)],
    out: Annotated[Path, typer.Option(help="Model folder to make.")],
    title_column: TitleColumn = None,
    label_columns: Annotated[
        str | None, typer.Option(help="Headers of the label columns, with commas between.")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Between several labels in one cell, for example ';'.")
    ] = None,
    sheet: Sheet = None,
    base: Annotated[
        str | None,
        typer.Option(
            help="minilm, a Hub name such as roberta-base, or a model folder; the shipped "
            "model if left out."
        ),
    ] = None,
    layers: Annotated[int | None, typer.Option(help="Layers of the base to keep.")] = None,
    vocabulary_titles: Annotated[
        Path | None, typer.Option(help="Table of titles whose frequent tokens are kept too.")
    ] = None,
    notes: Annotated[Path | None, typer.Option(help="Markdown file for the model card.")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most; it stops earlier.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Titles per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of AdamW.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the splits and the weights.")] = None,
    device: DeviceName = None,
    expand: Annotated[
        bool | None, typer.Option(help="Expand abbreviations and misspellings.")
    ] = None,
    remove_digits: Annotated[bool | None, typer.Option(help="Drop digits.")] = None,
    remove_stop_words: Annotated[bool | None, typer.Option(help="Drop stop words.")] = None,
    overwrite: Overwrite = None,
    resume: Annotated[
        bool | None, typer.Option("--resume", help="Go on where an interrupted run was.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune a RoBERTa classifier on labelled titles; makes a model folder.

    \b
    jobbatch train labelled.xlsx --out weights/mine --base minilm
    jobbatch train people.csv --out weights/dept --label-columns department
    jobbatch export-onnx weights/mine --recipe export/cpu-int8.toml
    """
    options = _given(locals())
    from jobbatch import config, console, training
    from jobbatch.settings import TrainSettings

    training.require_extra()
    from jobbatch.training import train as training_run

    settings = config.resolve(TrainSettings, options, "train")
    report = training_run.train(settings, console.epochs(quiet=quiet or json))
    console.show_train_report(report, as_json=json, quiet=quiet)


@app.command("export-onnx")
def export_onnx(
    model: Annotated[Path, typer.Argument(help="Model folder that `train` made.")],
    recipe: Annotated[Path, typer.Option(help="TOML file, for example export/cpu-int8.toml.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Add an ONNX graph to a model folder, proven equal to its PyTorch model first.

    \b
    jobbatch export-onnx weights/mine --recipe export/cpu-int8.toml
    """
    from jobbatch import console, training

    training.require_extra()
    from jobbatch.training import export

    report = export.export_onnx(model, export.load_recipe(recipe))
    console.show_export_report(report, as_json=json, quiet=quiet)


@app.command()
def run(
    job: Annotated[Path, typer.Argument(help="Job file, for example jobs/nightly.toml.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run one job of jobs/: lock, work, manifest, exit code.

    \b
    jobbatch run jobs/nightly.toml
    """
    from jobbatch import console, jobs

    loaded = jobs.load(job)
    with console.progress("scoring new titles", quiet=quiet or json) as progress:
        report = jobs.run(loaded, progress)
    console.show_label_report(report, as_json=json, quiet=quiet)


@app.command()
def schedule(
    paths: Annotated[list[Path], typer.Argument(help="Job files, or folders of them.")],
) -> None:
    """Print the crontab lines that run jobs; installs nothing.

    \b
    jobbatch schedule jobs/
    (crontab -l; jobbatch schedule jobs/) | crontab -
    """
    from jobbatch import jobs

    for line in jobs.crontab(paths):
        typer.echo(line)


def _lines_of_stdin() -> list[str]:
    # What is not UTF-8 is told apart later, with the title that it is in.
    lines = (line.decode("utf-8", "surrogateescape") for line in sys.stdin.buffer)
    return [line.rstrip("\r\n") for line in lines]


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that belong to the settings, None where one was not given."""
    return {k: v for k, v in options.items() if k not in {"json", "quiet"}}


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise Interrupted(signum)


def main() -> None:
    """Run the command line and exit with its code."""
    logging.basicConfig(format="jobbatch: %(message)s", level=logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        # Titles and file names are in any script, whatever the locale.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _stop)
    code = _exit_code()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away, as `| head` does; nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _exit_code() -> int | str | None:
    try:
        app()
    except JobbatchError as error:
        print(f"jobbatch: {error}", file=sys.stderr)
        return error.exit_code
    except Interrupted as interruption:
        print("jobbatch: interrupted; run the same command again to go on", file=sys.stderr)
        return interruption.exit_code
    except SystemExit as leaving:
        # Typer makes a closed stdout an exit of 1.
        return 0 if isinstance(leaving.__context__, BrokenPipeError) else leaving.code
    return 0
