"""A report as files: one page that needs nothing else, and the same numbers as JSON."""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from jobbatch.errors import OutputError
from jobbatch.tables.publish import make_folder, publish_bytes
from jobbatch.training.data_report import RARE
from jobbatch.training.report import plots
from jobbatch.training.report.contents import Report
from jobbatch.training.report.figures import MOST_CONFIDENT, RIGHT_MOST_CONFIDENT
from jobbatch.training.report.intervals import COVERAGE, RESAMPLES, Estimate
from jobbatch.training.tuning import RIGHT_UNREVIEWED
from jobbatch.weights import MANIFEST

PAGE = "report.html"
NUMBERS = "report.json"


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Check that a report may be written into `folder`.

    Raises:
        OutputError: if it is no folder, has a report that may not be replaced, or belongs to a
            model folder: these are passed on, and the page shows titles.
    """
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise OutputError(f"{folder} is not a folder. Name another one")
    for path in (folder.absolute(), *folder.absolute().parents):
        if all(os.path.isfile(path / name) for name in (MANIFEST, "config.json")):
            raise OutputError(
                f"{path} is a model folder, which is passed on, and a report shows titles. "
                "Name another folder"
            )
    found = [name for name in (PAGE, NUMBERS) if os.path.exists(folder / name)]
    if found and not overwrite:
        raise OutputError(f"{folder / found[0]} exists. Name another folder, or pass --overwrite")


def write(folder: Path, report: Report) -> None:
    """Write the page and the JSON file of a report into a folder, replacing those of another.

    Raises:
        WriteError: if they cannot be written.
    """
    make_folder(folder)
    numbers = json.dumps(report.to_json_dict(), indent=2, ensure_ascii=False)
    publish_bytes(folder / PAGE, render(report).encode())
    publish_bytes(folder / NUMBERS, f"{numbers}\n".encode())


def render(report: Report) -> str:
    """Return the page: HTML with its style and its plots inside."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"estimate": _estimate, "share": _share, "labels": _labels}
    source = files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source).render(
        report=report,
        # The plots' texts were escaped by matplotlib.
        plots={name: Markup(svg) for name, svg in plots.draw(report).items()},  # noqa: S704
        wanted=RIGHT_UNREVIEWED,
        most_confident=MOST_CONFIDENT,
        wanted_most_confident=RIGHT_MOST_CONFIDENT,
        rare=RARE,
        coverage=COVERAGE,
        resamples=RESAMPLES,
        panels=plots.PANELS,
        bars=plots.BARS,
        numbers=NUMBERS,
    )


def _estimate(estimate: Estimate) -> str:
    if estimate.value is None:
        return "n/a"
    return Markup("{:.3f} <small>{:.3f}–{:.3f}</small>").format(  # noqa: RUF001
        estimate.value, estimate.low, estimate.high
    )


def _share(value: float) -> str:
    return f"{100 * value:g} %"


def _labels(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "(no label)"
