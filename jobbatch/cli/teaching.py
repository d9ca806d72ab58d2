"""The commands that need the extra `train`: train, pretrain, evaluate, audit, export-onnx.

Each command imports what it runs, so that `--help` is instant and labelling never loads PyTorch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobbatch.cli.options import (
    Context,
    Delimiter,
    DeviceName,
    Encoding,
    Json,
    LabelColumns,
    LabelledData,
    Model,
    Overwrite,
    OwnTitles,
    Quiet,
    Sheet,
    TitleColumn,
    app,
    given,
)


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Model folder to make.")],
    data: LabelledData = None,
    own_titles: OwnTitles = None,
    corrections: Annotated[
        Path | None, typer.Option(help="Table of labels that replace those of the data.")
    ] = None,
    title_column: TitleColumn = None,
    context: Context = None,
    label_columns: LabelColumns = None,
    delimiter: Delimiter = None,
    sheet: Sheet = None,
    encoding: Encoding = None,
    # Not `model`: JOBBATCH_MODEL names the folder that labels.
    model_type: Annotated[
        str | None, typer.Option("--model", help="encoder (default), classic or distilled.")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            help="minilm, a Hub name such as roberta-base, or a model folder; the shipped "
            "model if left out."
        ),
    ] = None,
    layers: Annotated[int | None, typer.Option(help="Layers of the base to keep.")] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            help="Table of titles without labels, to know their words and to distil with."
        ),
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
    """Fine-tune a RoBERTa classifier, or fit a classic one, on labelled titles: a model folder.

    \b
    jobbatch train labelled.xlsx --out weights/mine --base minilm
    jobbatch train people.csv --out weights/dept --label-columns department
    jobbatch train people.csv --out weights/quick --model classic
    jobbatch export-onnx weights/mine --recipe export/cpu-int8.toml
    """
    options = given(locals())
    from jobbatch import config, console, training
    from jobbatch.settings.teaching import TrainSettings

    training.require_extra()
    from jobbatch.training import train as training_run

    settings = config.resolve(TrainSettings, options, "train")
    report = training_run.train(settings, console.lines(quiet=quiet or json))
    console.show_train_report(report, as_json=json, quiet=quiet)


@app.command()
def evaluate(
    data: LabelledData = None,
    own_titles: OwnTitles = None,
    title_column: TitleColumn = None,
    context: Context = None,
    label_columns: LabelColumns = None,
    delimiter: Delimiter = None,
    sheet: Sheet = None,
    encoding: Encoding = None,
    model: Model = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.html and report.json.")
    ] = None,
    overwrite: Overwrite = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a model on labelled titles; writes a report that a browser shows.

    \b
    jobbatch evaluate labelled.xlsx --out report
    jobbatch evaluate people.csv --model weights/dept --label-columns department --json
    """
    options = given(locals())
    from jobbatch import config, console, training
    from jobbatch.settings.teaching import EvaluateSettings

    training.require_extra()
    from jobbatch.training import evaluate as evaluation_run

    settings = config.resolve(EvaluateSettings, options, "evaluate")
    report = evaluation_run.evaluate(settings)
    page = evaluation_run.page(settings)
    console.show_evaluation(report, page, as_json=json, quiet=quiet)


@app.command()
def pretrain(
    titles: Annotated[Path, typer.Argument(help="Table of titles.", readable=False)],
    out: Annotated[Path, typer.Option(help="Folder of the base to make.")],
    encoding: Encoding = None,
    base: Annotated[str | None, typer.Option(help="As for train.")] = None,
    layers: Annotated[int | None, typer.Option(help="Layers of the base to keep.")] = None,
    epochs: Annotated[int | None, typer.Option(help="1 if left out.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Titles per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of AdamW, at its peak.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the order and the masks.")] = None,
    device: DeviceName = None,
    overwrite: Overwrite = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Teach a base how titles are written, from titles without labels; for `train --base`.

    \b
    jobbatch pretrain titles.parquet --base minilm --layers 3 --out weights/base
    """
    options = given(locals())
    from jobbatch import config, console, training
    from jobbatch.settings.teaching import PretrainSettings

    training.require_extra()
    from jobbatch.training import pretraining

    settings = config.resolve(PretrainSettings, options, "pretrain")
    report = pretraining.pretrain(settings, console.lines(quiet=quiet or json))
    console.show_pretrain_report(report, as_json=json, quiet=quiet)


@app.command()
def audit(
    out: Annotated[Path, typer.Option(help="Workbook to make, .xlsx.")],
    data: LabelledData = None,
    own_titles: OwnTitles = None,
    title_column: TitleColumn = None,
    context: Context = None,
    label_columns: LabelColumns = None,
    delimiter: Delimiter = None,
    sheet: Sheet = None,
    encoding: Encoding = None,
    overwrite: Overwrite = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find suspicious labels; makes a workbook to check and correct them in.

    \b
    jobbatch audit labelled.xlsx --out audit.xlsx
    jobbatch audit people.csv --out audit.xlsx --label-columns department
    jobbatch train labelled.xlsx --corrections audit.xlsx --out weights/mine
    """
    options = given(locals())
    from jobbatch import config, console, training
    from jobbatch.settings.teaching import AuditSettings

    training.require_extra()
    from jobbatch.training import audit as auditing

    settings = config.resolve(AuditSettings, options, "audit")
    report = auditing.audit(settings)
    console.show_audit_report(report, as_json=json, quiet=quiet)


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
