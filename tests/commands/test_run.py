"""`jobbatch run`: one job from its file, under its lock."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from jobbatch.runs import exclusive
from tests.commands.ran import Command, Files

JOB = """
[job]
command = "label"
cron = "30 2 * * *"

[label]
input = "../data/people.csv"
output = "../out/deep/labelled.parquet"
"""


@pytest.fixture
def job(tmp_path: Path, people_csv: Path) -> Path:
    """Write a job file whose paths lead to data/ and out/, beside its own folder."""
    (tmp_path / "data").mkdir()
    people_csv.rename(tmp_path / "data" / "people.csv")
    (tmp_path / "jobs").mkdir()
    path = tmp_path / "jobs" / "nightly.toml"
    path.write_text(JOB)
    return path


def test_it_labels_what_its_file_says_wherever_it_is_started(
    command: Command, job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    ran = command("run", job)
    assert (ran.code, ran.out) == (0, "")
    assert "5 rows" in ran.err
    output = tmp_path / "out" / "deep" / "labelled.parquet"
    assert pl.read_parquet(output)["id"].to_list() == ["007", "008", "009", "010", "011"]
    assert output.with_name("labelled.parquet.jobbatch.json").exists()


def test_every_night_replaces_the_output_of_the_last(
    command: Command, job: Path, tmp_path: Path
) -> None:
    assert json.loads(command("run", job, "--json").out)["new_titles"] == 3
    assert json.loads(command("run", job, "--json").out)["up_to_date"] is True
    (tmp_path / "data" / "people.csv").write_text("id,Job Title\n1,director\n")
    report = json.loads(command("run", job, "--json").out)
    assert report["up_to_date"] is False
    assert report["manifest"]["counts"]["rows"] == 1


def test_quiet_prints_nothing(command: Command, job: Path) -> None:
    ran = command("run", job, "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_a_job_that_runs_already_is_not_run_twice(jobbatch: Command, job: Path) -> None:
    with exclusive(job):
        ran = jobbatch("run", job)
    assert ran.code == 11
    assert f"another run is working on {job}" in ran.err
    assert not (job.parent.parent / "out").exists()


def test_the_environment_beats_the_job_file(
    command: Command, job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.write_text(JOB + 'prefix = "file_"\nmodel = "no/such/model"\n')
    monkeypatch.setenv("JOBBATCH_PREFIX", "variable_")
    assert command("run", job, "--quiet").code == 0
    output = tmp_path / "out" / "deep" / "labelled.parquet"
    assert "variable_labels" in pl.read_parquet(output).columns


def test_its_exit_code_is_that_of_its_work(command: Command, job: Path, files: Files) -> None:
    job.write_text(JOB.replace("people.csv", "missing.csv"))
    ran = command("run", job)
    assert ran.code == 10
    assert "missing.csv does not exist" in ran.err
    assert files() == []


def test_an_output_folder_that_cannot_be_made_is_a_write_error(
    command: Command, job: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file")
    ran = command("run", job)
    assert ran.code == 32
    assert "out/deep cannot be made" in ran.err
