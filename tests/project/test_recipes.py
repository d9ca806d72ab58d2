"""Every recipe and job in the repository is one that the program accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobbatch import config, jobs
from jobbatch.settings.teaching import ExportRecipe

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "export").rglob("*.toml"))
JOBS = sorted((ROOT / "jobs").rglob("*.toml"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def load_recipe(path: Path) -> ExportRecipe:
    return config.from_mapping(
        ExportRecipe, config.load_toml(path), where=str(path), relative_to=path.parent
    )


def test_there_is_a_recipe_for_each_target_and_precision() -> None:
    recipes = [load_recipe(path) for path in RECIPES]
    made = {(recipe.target, recipe.precision) for recipe in recipes}
    assert {("cpu", "int8"), ("cpu", "fp32"), ("cuda", "fp16")} <= made


@pytest.mark.parametrize("path", RECIPES, ids=named)
def test_every_recipe_loads_and_its_bounds_can_fail(path: Path) -> None:
    recipe = load_recipe(path)
    assert path.stem.startswith(f"{recipe.target}-{recipe.precision}")
    assert recipe.parity_titles.is_file()
    assert 0 < recipe.max_difference < 0.2
    assert 0 <= recipe.max_changed_share <= 0.01


def test_the_parity_titles_are_many_and_distinct() -> None:
    for path in {load_recipe(recipe).parity_titles for recipe in RECIPES}:
        titles = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        assert len(set(titles)) >= 2_000


def test_there_is_a_job_to_start_from() -> None:
    assert JOBS


@pytest.mark.parametrize("path", JOBS, ids=named)
def test_every_job_loads_and_its_input_is_there(path: Path) -> None:
    job = jobs.load(path)
    assert job.settings.input.is_file()
    assert job.settings.overwrite


def test_every_job_can_be_scheduled() -> None:
    lines = list(jobs.crontab([ROOT / "jobs"]))
    assert len(lines) == 2 * len(sorted((ROOT / "jobs").glob("*.toml")))
