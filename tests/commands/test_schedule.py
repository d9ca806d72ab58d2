"""`jobbatch schedule`: crontab lines that really run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
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


@pytest.mark.parametrize(
    ("cron", "events"),
    [
        ("30 2 * * *", ["*-*-* 02:30:00"]),
        ("*/20 8-18/5 * * 1-5", ["Mon,Tue,Wed,Thu,Fri *-*-* 08,13,18:00,20,40:00"]),
        ("0 0 1,15 jan *", ["*-01-01,15 00:00:00"]),
        ("0 4 1 * sun", ["*-*-01 04:00:00", "Sun *-*-* 04:00:00"]),
        ("5 4 * * 0,7", ["Sun *-*-* 04:05:00"]),
        ("5 4 */2 * 1", [f"Mon *-*-{','.join(f'{d:02}' for d in range(1, 32, 2))} 04:05:00"]),
    ],
)
def test_a_timer_has_the_times_of_the_crontab(
    command: Command, jobs: Path, cron: str, events: list[str]
) -> None:
    (jobs / "a.toml").write_text(JOB.replace("30 2 * * 1-5", cron))
    ran = command("schedule", jobs, "--format", "systemd")
    found = [line for line in ran.out.splitlines() if line.startswith("OnCalendar=")]
    assert found == [f"OnCalendar={event}" for event in events]
    if shutil.which("systemd-analyze") is not None:
        for event in events:
            subprocess.run(["systemd-analyze", "calendar", event], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("cron", "says"),
    [
        ("60 2 * * *", "'60' is no minute (0 to 59)"),
        ("0 2 0 * *", "'0' is no day of the month (1 to 31)"),
        ("0 2 * tag *", "'tag' is no month"),
        ("0 5-2 * * *", "'5-2' is no hour"),
        ("*/0 2 * * *", "'*/0' is no minute"),
        ("1..3 2 * * *", "'1..3' is no minute"),
        ("0 2 * * 8", "'8' is no day of the week (0 to 7)"),
        ("5/15 2 * * *", "'5/15' is no minute"),
        ("0 2 L * *", "'L' is no day of the month"),
        ("\u0665 2 * * *", "is no minute"),
        ("0 2 30 2 *", "'30' is no day of the month '2'"),
        ("0 2 31 2,4-6/2 *", "'31' is no day of the month '2,4-6/2'"),
    ],
)
@pytest.mark.parametrize("kind", ["cron", "systemd"])
def test_a_time_that_no_clock_shows_is_refused(
    command: Command, jobs: Path, cron: str, says: str, kind: str
) -> None:
    (jobs / "a.toml").write_text(JOB.replace("30 2 * * 1-5", cron))
    ran = command("schedule", jobs, "--format", kind)
    assert (ran.code, ran.out) == (2, "")
    assert "a.toml" in ran.err
    assert says in ran.err


@pytest.mark.parametrize("kind", ["cron", "systemd"])
def test_a_path_that_is_not_utf8_is_refused(command: Command, jobs: Path, kind: str) -> None:
    path = os.fsdecode(os.fsencode(jobs) + b"/caf\xe9.toml")
    Path(path).write_text(JOB)
    ran = command("schedule", path, "--format", kind)
    assert (ran.code, ran.out) == (2, "")
    assert "not UTF-8" in ran.err


def test_units_are_written_where_they_are_wanted(
    command: Command, jobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/a 100%")
    (jobs / "nightly run.toml").write_text(JOB)
    units = tmp_path / "units"
    ran = command("schedule", jobs, "--format=systemd", "--out", units)
    names = [rf"jobbatch-nightly\x20run.{kind}" for kind in ("service", "timer")]
    assert ran.out.splitlines() == [str(units / name) for name in names]
    service = (units / names[0]).read_text()
    assert f'-m" "jobbatch" "run" "{jobs}/nightly run.toml" "--quiet"' in service
    assert 'Environment="HOME=/home/a 100%%"' in service
    assert "Persistent=true" in (units / names[1]).read_text()
    assert command("schedule", jobs, "--format=systemd", "--out", units).code == 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
@pytest.mark.parametrize("folder", ["plain", 'a b\'s 100% "job"; $HOME *'])
def test_systemd_finds_nothing_wrong_with_the_units(
    command: Command, tmp_path: Path, folder: str
) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "job.toml").write_text(JOB)
    command("schedule", tmp_path / folder, "--format=systemd", "--out", "units")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, Path("units").iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in done.stderr.splitlines() if "jobbatch" in line] == []


def test_two_jobs_of_one_name_are_told_apart_before_anything_is_written(
    command: Command, jobs: Path, tmp_path: Path
) -> None:
    for folder in (jobs, tmp_path):
        (folder / "a.toml").write_text(JOB)
    ran = command("schedule", jobs, tmp_path, "--format=systemd", "--out", "units")
    assert ran.code == 2
    assert "another job is named a too" in ran.err
    assert not Path("units").exists()
    assert command("schedule", jobs, tmp_path).code == 0


CRON = """
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /var/spool/cron
mount -t tmpfs tmpfs /etc/cron.d
mount -t tmpfs tmpfs /run
mkdir -m 1730 /var/spool/cron/crontabs
: > "$1/empty"
mount --bind "$1/empty" /etc/crontab
crontab "$2"
exec cron -f
"""
"""Runs cron in a mount namespace of its own: its spool, system crontabs and pid file are seen by
nobody else, and gone with it."""


@pytest.mark.system
def test_a_cron_daemon_runs_the_lines(
    command: Command, word_model: Path, people_csv: Path, jobs: Path, tmp_path: Path
) -> None:
    if os.geteuid() != 0 or None in map(shutil.which, ("cron", "crontab", "unshare")):
        pytest.skip("needs root, and the package cron")
    people_csv.rename(jobs / "people.csv")
    job = JOB.replace("30 2 * * 1-5", "* * * * *") + f"model = '{word_model}'\n"
    (jobs / "100% night.toml").write_text(job)
    lines = command("schedule", jobs).out
    (tmp_path / "crontab").write_text(lines)
    daemon = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", CRON, "sh", str(tmp_path), str(tmp_path / "crontab")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    try:
        for _ in range(130):
            if list((jobs / "100% night.runs").glob("*.json")) or daemon.poll() is not None:
                break
            time.sleep(1)
    finally:
        daemon.terminate()
        _, said = daemon.communicate(timeout=60)
    (manifest,) = (jobs / "100% night.runs").glob("*.json")
    assert json.loads(manifest.read_bytes())["exit_code"] == 0, said
    assert pl.read_parquet(jobs / "out.parquet").height == 5
