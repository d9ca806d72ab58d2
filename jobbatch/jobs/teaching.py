"""The jobs that need the extra `train`: train, evaluate, export-onnx.

What they run is imported where it runs, so that a label job neither needs nor loads it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from jobbatch.jobs.history import JobRun, states
from jobbatch.settings.teaching import EvaluateSettings, ExportSettings, TrainSettings
from jobbatch.weights import MANIFEST, resolve_model

logger = logging.getLogger(__name__)

Told = Callable[[object], None]
"""Called with each epoch."""


def require_extra() -> None:
    """Check that the extra `train` is installed.

    Raises:
        MissingExtraError: naming what is not.
    """
    from jobbatch import training

    training.require_extra()


def train(settings: TrainSettings, found: JobRun, told: Told | None) -> None:
    """Train a model; what is found is noted in `found`.

    Raises:
        JobbatchError: whatever stands in the way.
    """
    require_extra()
    from jobbatch.training import train as training_run
    from jobbatch.training.labelled_table import sources

    found.inputs += states([source.path for source in sources(settings)])
    report = training_run.train(settings, _logged(told))
    found.counts = {"rows": report.data.rows, "distinct_titles": report.data.distinct}
    found.label_shares = {
        name: round(rows / max(report.data.rows, 1), 4)
        for name, rows in report.data.support.items()
    }
    found.figures = {
        "micro_f1": report.test.micro_f1,
        "macro_f1": report.test.macro_f1,
        "exact_match": report.test.exact_match,
    }
    found.outputs += states([settings.out / MANIFEST])
    found.reports.append(report)


def _logged(told: Told | None) -> Told:
    def tell(epoch: object) -> None:
        logger.info("%s", epoch)
        if told is not None:
            told(epoch)

    return tell


def evaluate(settings: EvaluateSettings, found: JobRun) -> None:
    """Measure a model; what is found is noted in `found`.

    Raises:
        JobbatchError: whatever stands in the way.
    """
    require_extra()
    from jobbatch.training import evaluate as evaluation
    from jobbatch.training.labelled_table import sources

    model = resolve_model(settings.model)
    found.inputs += states([*(s.path for s in sources(settings)), model / MANIFEST])
    report = evaluation.evaluate(settings)
    top = report.headline
    found.counts = {"rows": top.rows}
    found.figures = {
        "micro_f1": top.micro_f1.value,
        "macro_f1": top.macro_f1.value,
        "exact_match": top.exact_match.value,
        "review_share": top.review_share.value,
    }
    page = evaluation.page(settings)
    found.outputs += [] if page is None else states([page])
    found.reports.append(report)


def export_onnx(settings: ExportSettings, found: JobRun) -> None:
    """Add an ONNX graph to a model; what is found is noted in `found`.

    Raises:
        JobbatchError: whatever stands in the way.
    """
    require_extra()
    from jobbatch.training import export

    found.inputs += states([settings.recipe, settings.model / "model.safetensors"])
    report = export.export_onnx(settings.model, export.load_recipe(settings.recipe))
    found.counts = {"titles": report.parity.titles, "changed": report.parity.changed}
    found.figures = {"largest_difference": report.parity.largest_difference}
    found.outputs += states([report.model / report.file])
    found.reports.append(report)
