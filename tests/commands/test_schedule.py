"""`jobbatch schedule`: crontab lines that really run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import polars as pl
import pytest

from tests.commands.ran import Command

JOB = """
[job]
command = "label"
cron = "30 2 * * 1-5"

[label]
input = "people.csv"
output = "out.parquet"
cache_dir = "scores"
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    folder = tmp_path / "jobs"
    folder.mkdir()
    return folder


def test_each_job_gets_a_comment_and_a_line(command: Command, jobs: Path) -> None:
    (jobs / "b.toml").write_text(JOB)
    (jobs / "a.toml").write_text(JOB.replace("30 2", "0 4").replace("people", "a"))
    (jobs / "notes.txt").write_text("not a job")
    ran = command("schedule", jobs)
    lines = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert lines[0] == f"# label: {jobs}/a.csv -> {jobs}/out.parquet"
    assert lines[1].startswith("0 4 * * 1-5 ")
    assert lines[1].endswith(f" -m jobbatch run {jobs}/a.toml --quiet")
    assert lines[3].startswith("30 2 * * 1-5 ")
    assert len(lines) == 4


@pytest.mark.parametrize("folder", ["plain", 'a b\'s 100% "job"; $HOME *'])
def test_the_line_runs_as_cron_runs_it(
    command: Command, word_model: Path, people_csv: Path, tmp_path: Path, folder: str
) -> None:
    place = tmp_path / folder
    place.mkdir()
    people_csv.rename(place / "people.csv")
    (place / "job.toml").write_text(f"{JOB}\nmodel = '../{word_model.name}'\n")
    (tmp_path / word_model.name).symlink_to(word_model)
    _, line = command("schedule", place / "job.toml").out.splitlines()
    # The first five fields are the time; an unescaped % would end the command, \% is a %.
    run_line = line.split(" ", 5)[5]
    assert "%" not in run_line.replace(r"\%", "")
    done = subprocess.run(
        ["/usr/bin/env", "-i", "/bin/sh", "-c", run_line.replace(r"\%", "%")],
        cwd="/",
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert pl.read_parquet(place / "out.parquet").height == 5


def test_it_installs_and_runs_nothing(command: Command, jobs: Path) -> None:
    (jobs / "a.toml").write_text(JOB)
    command("schedule", jobs)
    assert [path.name for path in jobs.iterdir()] == ["a.toml"]


def test_a_wrong_job_file_is_named(command: Command, jobs: Path) -> None:
    (jobs / "a.toml").write_text(JOB.replace("30 2 * * 1-5", "at night"))
    ran = command("schedule", jobs)
    assert ran.code == 2
    assert "a.toml" in ran.err
    assert "'at night' has not five fields" in ran.err


def test_a_folder_without_jobs_is_a_mistake(command: Command, jobs: Path) -> None:
    ran = command("schedule", jobs)
    assert ran.code == 2
    assert ran.err == f"jobbatch: no job files (*.toml) in {jobs}\n"


def test_no_path_can_break_out_of_its_line(command: Command, jobs: Path) -> None:
    broken = JOB.replace("people.csv", "a\\n* * * * * echo broken.csv")
    (jobs / "a.toml").write_text(broken)
    assert len(command("schedule", jobs / "a.toml").out.splitlines()) == 2
    (jobs / "a\nb.toml").write_text(JOB)
    ran = command("schedule", jobs / "a\nb.toml")
    assert ran.code == 2
    assert "line break" in ran.err
