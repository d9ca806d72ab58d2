"""`jobbatch cache`: what is kept of each model, and removing it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from jobbatch.scores import remove_unused
from tests import wordmodel
from tests.commands.ran import Command

pytestmark = pytest.mark.usefixtures("people_csv")


def label_with(command: Command, *model: object) -> Path:
    """Label with a model and return the folder of its scores."""
    folder = Path("scores", "scores")
    before = set(folder.glob("*"))
    assert command("label", "people.csv", "out.csv", "--overwrite", *model).code == 0
    (new,) = set(folder.glob("*")) - before
    return new


def used(folder: Path, ago: timedelta) -> None:
    """Make scores look as if they were last used so long ago."""
    then = time.time() - ago.total_seconds()
    os.utime(folder, (then, then))


@pytest.fixture
def other(tmp_path: Path) -> tuple[str, Path]:
    """Return the option that names another model."""
    words = {**wordmodel.WORDS, "cheese": "Owner"}
    return "--model", wordmodel.build(tmp_path / "other", words=words)


def test_it_shows_what_is_kept_of_each_model(
    command: Command, other: tuple[str, Path], tmp_path: Path
) -> None:
    first, second = label_with(command), label_with(command, *other)
    used(first, timedelta(days=1))
    ran = command("cache", "--json")
    assert (ran.code, ran.err) == (0, "")
    shown = json.loads(ran.out)
    assert shown["path"] == str(tmp_path / "scores")
    assert [model["fingerprint"] for model in shown["models"]] == [second.name, first.name]
    assert [model["titles"] for model in shown["models"]] == [3, 3]
    lines = command("cache").out.splitlines()
    assert lines[0] == str(tmp_path / "scores")
    assert lines[1].startswith(f"  model {second.name}: 3 titles, 0.0 MB, last used 20")


def test_clearing_removes_what_no_run_is_at_work_with(
    command: Command, other: tuple[str, Path]
) -> None:
    first, second = label_with(command), label_with(command, *other)
    used(first, timedelta(days=1))
    ran = command("cache", "--clear", "--json")
    assert [model["fingerprint"] for model in json.loads(ran.out)["models"]] == [second.name]
    assert not first.exists()
    assert command("label", "people.csv", "out.csv", "--overwrite").code == 0


def test_scores_that_no_run_asked_for_in_months_go_when_new_ones_come(
    command: Command, other: tuple[str, Path]
) -> None:
    first = label_with(command)
    used(first, timedelta(days=100))
    label_with(command, *other)
    assert not first.exists()


@pytest.mark.fault(41)
def test_that_scores_of_another_model_are_not_used_is_said_once(
    jobbatch: Command, command: Command, other: tuple[str, Path]
) -> None:
    assert "not used" not in jobbatch("label", "people.csv", "out.csv").err
    first = jobbatch("label", "people.csv", "other.parquet", *other, "--quiet")
    assert first.err == (
        "jobbatch: no scores of this model are kept yet; those of other models in "
        f"{Path.cwd() / 'scores'} are not used\n"
    )
    again = jobbatch("label", "people.csv", "other.jsonl", *other, "--quiet")
    assert (again.code, again.err) == (0, "")
    assert command("label", "people.csv", "out.jsonl", "--json").err == ""


def test_an_empty_cache_says_so(command: Command, tmp_path: Path) -> None:
    ran = command("cache")
    assert (ran.code, ran.out, ran.err) == (0, f"{tmp_path / 'scores'}\n  no scores\n", "")


def test_the_folder_is_the_one_asked_for(command: Command) -> None:
    assert command("cache", "--cache-dir", "elsewhere").out.startswith("elsewhere\n")


def test_runs_of_one_model_come_through_whatever_is_removed_under_them(
    command: Command, environment: Mapping[str, str]
) -> None:
    titles = "".join(f"nurse of ward {i}\n" for i in range(20_000))
    Path("people.csv").write_text(f"title\n{titles}")
    command("label", "people.csv", "undisturbed.csv", "--cache-dir", "other")
    arguments = [sys.executable, "-m", "jobbatch", "label", "people.csv", "--quiet"]
    runs = [
        subprocess.Popen([*arguments, f"out{i}.csv"], env=environment, stderr=subprocess.PIPE)
        for i in range(2)
    ]
    while any(run.poll() is None for run in runs):
        remove_unused(Path("scores"), timedelta(seconds=-1))
        time.sleep(0.02)
    for i, run in enumerate(runs):
        assert (run.communicate()[1], run.returncode) == (b"", 0)
        assert Path(f"out{i}.csv").read_bytes() == Path("undisturbed.csv").read_bytes()
