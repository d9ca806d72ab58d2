"""The commands that label: label, predict, cache, run, schedule, doctor.

Each command imports what it runs, so that `--help` is instant and labelling never loads PyTorch.
"""

from __future__ import annotations

import contextlib
import math
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from jobbatch.cli.options import (
    CacheDir,
    Context,
    DeviceName,
    Encoding,
    Json,
    Model,
    Overwrite,
    Quiet,
    Sheet,
    Threads,
    TitleColumn,
    app,
    given,
)
from jobbatch.errors import UsageError


@app.command()
def label(
    input: Annotated[Path, typer.Argument(help="Table with job titles.", readable=False)],  # noqa: A002
    output: Annotated[Path, typer.Argument(help="File to write.", readable=False)],
    title_column: TitleColumn = None,
    context: Context = None,
    sheet: Sheet = None,
    encoding: Encoding = None,
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
    cache_dir: CacheDir = None,
    read_timeout: Annotated[
        float | None, typer.Option(help="Seconds that the input may take to be read; 3,600.")
    ] = None,
    max_unzipped: Annotated[
        str | None, typer.Option(help="To which size a spreadsheet may unzip; 4GiB.")
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password of a spreadsheet.")
    ] = None,
    bad_rows: Annotated[
        str | None,
        typer.Option(help="Lines of a .csv with too many fields: fail (default) or quarantine."),
    ] = None,
    safe_csv: Annotated[
        bool | None, typer.Option("--safe-csv", help="Put a ' before text that could run.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Label a table: its rows, order and columns stay, the labels' columns are added.

    \b
    jobbatch label contacts.xlsx labelled.xlsx
    jobbatch label crm.parquet out.parquet --title-column position --probabilities
    jobbatch label export.csv labelled.csv --encoding cp1252 --overwrite

    \b
    Reads  .xlsx .xlsm .xls .xlsb .ods .csv .tsv .parquet .jsonl .arrow
    Writes .parquet .xlsx .csv .tsv .jsonl .arrow
    """
    options = given(locals())
    from jobbatch import config, console, pipeline
    from jobbatch.settings.labelling import LabelSettings

    settings = config.resolve(LabelSettings, options, "label")
    with console.progress("scoring new titles", quiet=quiet or json) as progress:
        report = pipeline.label_file(settings, progress)
    console.show_label_report(report, as_json=json, quiet=quiet)
    pipeline.require_whole(report)


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
    from jobbatch.settings.labelling import PredictSettings
    from jobbatch.weights import resolve_model

    settings = config.resolve(PredictSettings, options, "predict")
    raw = _lines_of_stdin() if titles == ["-"] else titles
    opened = TitleModel(resolve_model(settings.model), OpenOptions(device=settings.device))
    console.show_predictions(Labeller(opened).predict(raw), opened, as_json=json)


@app.command()
def cache(
    cache_dir: CacheDir = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove what is not in use.")] = False,
    json: Json = False,
) -> None:
    """Show the scores that are kept, model by model, or remove those that are not in use.

    \b
    jobbatch cache
    jobbatch cache --clear
    """
    from jobbatch import config, console, scores
    from jobbatch.settings.labelling import CacheSettings

    settings = config.resolve(CacheSettings, {"cache_dir": cache_dir}, "cache")
    folder = scores.cache_folder(settings.cache_dir)
    if clear:
        scores.remove_unused(folder, scores.IN_USE)
    console.show_cache(folder, scores.stores(folder), as_json=json)


@app.command()
def run(
    job: Annotated[Path, typer.Argument(help="Job file, for example jobs/nightly.toml.")],
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for another run of the job to end.", min=0)
    ] = 0.0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run one job of jobs/: lock, work, manifest, exit code.

    \b
    jobbatch run jobs/nightly.toml
    jobbatch run jobs/nightly.toml --wait 600
    """
    from jobbatch import console, jobs

    if math.isnan(wait):
        raise UsageError("--wait nan: name a number of seconds")
    loaded = jobs.load(job)
    silent = quiet or json
    unwatched = silent or loaded.schedule.command != "label"
    ended: list[jobs.JobRun] = []
    try:
        with console.progress("scoring new titles", quiet=unwatched) as progress:
            told = console.lines(quiet=silent)
            watch = jobs.Watch(scoring=progress, training=told, ended=ended.append)
            jobs.run(loaded, watch, wait_seconds=wait)
    finally:
        # Of a reader that went away, the end of the command tells; here it would hide a failure.
        with contextlib.suppress(BrokenPipeError):
            for found in ended:
                console.show_job_run(found, as_json=json, quiet=quiet)


@app.command()
def schedule(
    paths: Annotated[list[Path], typer.Argument(help="Job files, or folders of them.")],
    format: Annotated[  # noqa: A002
        Literal["cron", "systemd"], typer.Option(help="Lines of a crontab, or units of systemd.")
    ] = "cron",
    out: Annotated[Path | None, typer.Option(help="Folder to write systemd's units to.")] = None,
) -> None:
    """Print the crontab lines that run jobs, or systemd's units; installs nothing.

    \b
    jobbatch schedule jobs/
    (crontab -l; jobbatch schedule jobs/) | crontab -
    jobbatch schedule jobs/ --format systemd --out ~/.config/systemd/user
    """
    from jobbatch import jobs

    if format == "cron":
        if out is not None:
            raise UsageError("--out is for --format systemd; pipe a crontab to where it belongs")
        typer.echo("\n".join(jobs.crontab(paths)))
        return
    units = jobs.systemd(paths)
    if out is None:
        typer.echo("\n".join(f"# {name}\n{text}" for name, text in units.items()))
    else:
        typer.echo("\n".join(map(str, jobs.write_units(units, out))))


@app.command()
def doctor(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Job files, or folders of them.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find what would go wrong tonight: on this machine, in the models, in the jobs.

    \b
    jobbatch doctor
    jobbatch doctor jobs/

    The exit code is that of the first problem, or 0.
    """
    from jobbatch import config, console, doctor
    from jobbatch.settings.labelling import LabelSettings

    # Input and output are the jobs' own; what matters here is what label would else have.
    unused = {"input": Path("-"), "output": Path("-")}
    checks = doctor.examine(config.resolve(LabelSettings, unused, "label"), paths or [])
    console.show_checks(checks, as_json=json, quiet=quiet)
    raise typer.Exit(doctor.exit_code(checks))


def _lines_of_stdin() -> list[str]:
    # What is not UTF-8 is told apart later, with the title that it is in.
    lines = (line.decode("utf-8", "surrogateescape") for line in sys.stdin.buffer)
    return [line.rstrip("\r\n") for line in lines]
