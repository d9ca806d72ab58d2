"""A tiny base, labelled titles of our own, and the model folders made of both."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobbatch.settings.teaching import ExportRecipe, TrainSettings
from tests import tinymodel

if TYPE_CHECKING:
    from jobbatch.training.export import ExportReport
    from jobbatch.training.train_report import TrainReport

collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    # Threads cost more than they bring on a network this small.
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Hugging Face folder of a RoBERTa that knows nothing yet."""
    return tinymodel.build_base(tmp_path_factory.mktemp("bases") / "tiny")


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the table of our own titles as CSV."""
    path = tmp_path_factory.mktemp("data") / "labelled.csv"
    tinymodel.own_titles().write_csv(path)
    return path


@pytest.fixture(scope="session")
def make_settings(labelled: Path, tiny_base: Path) -> Callable[..., TrainSettings]:
    """Return a maker of settings for short trainings."""

    def make(out: Path, **changes: object) -> TrainSettings:
        fields: dict[str, object] = {
            "data": (labelled,),
            "out": out,
            "base": str(tiny_base),
            "epochs": 3,
            "batch_size": 8,
            "learning_rate": 3e-3,
            "validation_share": 0.2,
            "device": "cpu",
        }
        return TrainSettings(**(fields | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def fp32_recipe(tmp_path_factory: pytest.TempPathFactory) -> ExportRecipe:
    """Return a recipe that allows no difference to speak of."""
    titles = tmp_path_factory.mktemp("parity") / "titles.txt"
    titles.write_text("\n".join([*tinymodel.own_titles()["Job Title"], "", "whistling ladders"]))
    return ExportRecipe(
        target="cpu",
        precision="fp32",
        parity_titles=titles,
        max_difference=0.0001,
        max_changed_share=0.0,
    )


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, make_settings: Callable[..., TrainSettings]
) -> tuple[Path, TrainReport]:
    """Return a model folder just trained, not to be changed, and the report."""
    from jobbatch.training.train import train

    out = tmp_path_factory.mktemp("weights") / "tiny"
    return out, train(make_settings(out, epochs=6))


@pytest.fixture(scope="session")
def exported(
    trained: tuple[Path, TrainReport],
    fp32_recipe: ExportRecipe,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, ExportReport]:
    """Return a copy of the model folder with an fp32 graph, and the export's report."""
    from jobbatch.training.export import export_onnx

    folder = tmp_path_factory.mktemp("exported") / "tiny"
    shutil.copytree(trained[0], folder)
    return folder, export_onnx(folder, fp32_recipe)
