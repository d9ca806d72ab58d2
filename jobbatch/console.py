"""What a person sees: progress, summaries and tables. Drawn with rich, loaded only to draw."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    from jobbatch.doctor import Check
    from jobbatch.jobs import JobRun
    from jobbatch.labeller import Progress
    from jobbatch.model import TitleModel
    from jobbatch.pipeline import LabelReport
    from jobbatch.scores import StoredScores
    from jobbatch.training.audit import AuditReport
    from jobbatch.training.export import ExportReport
    from jobbatch.training.pretraining import PretrainReport
    from jobbatch.training.report import Report
    from jobbatch.training.train_report import TrainReport

_BAR_WIDTH = 24


@contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Progress | None]:
    """Yield a callback that moves a bar on a terminal; none where nobody watches."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(what, total=None)
        yield lambda done, total: drawn.update(task, completed=done, total=total)


def lines(*, quiet: bool) -> Callable[[object], None] | None:
    """Return a callback that prints what it is told as a line; none where nobody reads it."""
    return None if quiet else _print_line


def _print_line(record: object) -> None:
    print(record, file=sys.stderr, flush=True)


def show_label_report(report: LabelReport, *, as_json: bool, quiet: bool) -> None:
    """Print what a labelling run did: JSON on stdout, or a summary on stderr."""
    manifest = report.manifest
    if as_json:
        print(json.dumps(asdict(report), ensure_ascii=False))
        return
    if quiet and not manifest.warnings:
        return
    from rich.console import Console
    from rich.markup import escape

    out = Console(stderr=True, highlight=False)
    for warning in () if report.up_to_date else manifest.warnings:
        out.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True)
    if quiet:
        return
    if report.up_to_date:
        out.print(
            f"Nothing to do: [bold]{escape(manifest.output.path)}[/] was made from this input by "
            "this model already"
        )
        return
    counts = manifest.counts
    rows, review = counts["rows"], counts["to_review"]
    context = ", ".join(manifest.options["context"])
    beside = f" with context [bold]{escape(context)}[/]" if context else ""
    out.print(f"titles in column [bold]{escape(manifest.title_column)}[/]{beside}")
    out.print(
        f"{rows:,} rows, {counts['distinct_titles']:,} distinct titles "
        f"({report.new_titles:,} new), {review:,} to review ({_percent(review, rows)})"
    )
    width = max(map(len, manifest.label_shares), default=0)
    for name, share in manifest.label_shares.items():
        bar = "█" * round(share * _BAR_WIDTH)
        out.print(f"  {escape(name):<{width}}  [cyan]{bar:<{_BAR_WIDTH}}[/] {share:6.1%}")
    speed = counts["distinct_titles"] / max(report.seconds, 1e-9)
    out.print(
        f"{report.seconds:.1f} s, {speed:,.0f} distinct titles/s, model {manifest.model['name']} "
        f"on {manifest.model['device']} ({escape(report.device_reason)})"
    )
    out.print(f"[bold]{escape(manifest.output.path)}[/]", soft_wrap=True)


def _percent(part: int, whole: int) -> str:
    return f"{part / max(whole, 1):.0%}"


def show_predictions(answers: pl.DataFrame, model: TitleModel, *, as_json: bool) -> None:
    """Print answers: a table on a terminal, else one JSON object."""
    if as_json or not sys.stdout.isatty():
        identity = {"name": model.folder.manifest.name, "fingerprint": model.fingerprint}
        print(json.dumps({"model": identity, "answers": answers.to_dicts()}, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("title", "labels", "confidence", "review"):
        table.add_column(header, justify="right" if header == "confidence" else "left")
    for row in answers.iter_rows(named=True):
        confidence = "" if row["confidence"] is None else f"{row['confidence']:.2f}"
        labels, reason = escape("; ".join(row["labels"])), row["review_reason"] or ""
        table.add_row(escape(row["title"] or ""), labels, confidence, f"[yellow]{reason}[/]")
    Console(highlight=False).print(table)


def show_job_run(run: JobRun, *, as_json: bool, quiet: bool) -> None:
    """Print what a job did: its manifest as JSON on stdout, or its command's summary on stderr."""
    if as_json:
        print(json.dumps(run.to_json_dict(), ensure_ascii=False))
    elif run.command == "label":
        for report in run.reports:
            show_label_report(report, as_json=False, quiet=quiet)
    else:
        for report in run.reports:
            _show({}, report.summary_lines(), as_json=False, quiet=quiet)


def show_cache(folder: Path, stores: Sequence[StoredScores], *, as_json: bool) -> None:
    """Print what is kept in the cache folder: JSON, or a line for each model."""
    if as_json:
        fields = {"path": str(folder), "models": [asdict(store) for store in stores]}
        print(json.dumps(fields, ensure_ascii=False))
        return
    print(folder)
    for store in stores:
        size = f"{store.titles:,} titles, {store.size / 1e6:,.1f} MB"
        print(f"  model {store.fingerprint}: {size}, last used {store.last_used}")
    if not stores:
        print("  no scores")


def show_checks(checks: Sequence[Check], *, as_json: bool, quiet: bool) -> None:
    """Print a line for each check on stdout, or all as a JSON object; quiet: the ones that are not ok."""
    if as_json:
        print(json.dumps({"checks": [asdict(check) for check in checks]}, ensure_ascii=False))
        return
    for check in checks:
        if not quiet or check.state != "ok":
            print(f"{check.state:<8} {check.what}: {check.text}")


def show_train_report(report: TrainReport, *, as_json: bool, quiet: bool) -> None:
    """Print a training run's figures."""
    _show(report.to_json_dict(), report.summary_lines(), as_json=as_json, quiet=quiet)


def show_pretrain_report(report: PretrainReport, *, as_json: bool, quiet: bool) -> None:
    """Print how a pre-training went."""
    _show(report.to_json_dict(), report.summary_lines(), as_json=as_json, quiet=quiet)


def show_evaluation(report: Report, page: Path | None, *, as_json: bool, quiet: bool) -> None:
    """Print a model's figures, and where their page is."""
    lines = report.summary_lines() + ([] if page is None else [f"report: {page}"])
    _show(report.to_json_dict(), lines, as_json=as_json, quiet=quiet)


def show_audit_report(report: AuditReport, *, as_json: bool, quiet: bool) -> None:
    """Print how many labels are suspicious and what to do next."""
    _show(report.to_json_dict(), report.summary_lines(), as_json=as_json, quiet=quiet)


def show_export_report(report: ExportReport, *, as_json: bool, quiet: bool) -> None:
    """Print what was exported and how close it is."""
    _show(report.to_json_dict(), report.summary_lines(), as_json=as_json, quiet=quiet)


def _show(fields: dict[str, Any], lines: list[str], *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print(json.dumps(fields, ensure_ascii=False))
    elif not quiet:
        print("\n".join(lines), file=sys.stderr)
