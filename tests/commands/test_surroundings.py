"""What a scheduler's bare surroundings lack, and what a device that is not there is answered."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from jobbatch.jobs import runner
from tests.commands.ran import Command, Files

JOBBATCH = (sys.executable, "-m", "jobbatch")
DONE = ["Chief Officer", "Individual Contributor/Staff"]


@pytest.fixture
def table(tmp_path: Path) -> str:
    """Write a table whose name and content no ASCII locale can show."""
    path = tmp_path / "Köche 主厨.csv"
    path.write_text("nom,Job Title\nÅsa,Chief Cheese Officer\n主厨,nurse\n", encoding="utf-8")
    return path.name


@pytest.fixture
def options(word_model: Path) -> tuple[str, ...]:
    return ("--model", str(word_model), "--cache-dir", "scores")


@pytest.mark.fault(46)
@pytest.mark.parametrize("variables", [(), ("LC_ALL=C",), ("LC_ALL=POSIX", "TZ=nowhere", "HOME=")])
def test_it_labels_without_home_language_time_zone_or_terminal(
    table: str, options: tuple[str, ...], variables: tuple[str, ...]
) -> None:
    done = subprocess.run(
        ["env", "-i", *variables, *JOBBATCH, "label", table, "out.csv", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert pl.read_csv("out.csv")["labels"].to_list() == DONE
    assert pl.read_csv("out.csv")["nom"].to_list() == ["Åsa", "主厨"]
    assert done.stdout == b""
    assert b"\x1b" not in done.stderr


@pytest.mark.fault(46)
def test_where_there_is_no_home_the_scores_are_kept_in_the_users_own() -> None:
    find = "from jobbatch.labeller import cache_folder; print(cache_folder(None).is_absolute())"
    done = subprocess.run(
        ["env", "-i", sys.executable, "-c", find], capture_output=True, check=False, text=True
    )
    assert done.stdout == "True\n", done.stderr


@pytest.mark.fault(46)
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing_but_what_is_told(
    table: str, options: tuple[str, ...], closed: str
) -> None:
    script = f'exec "$@" {closed}'
    command = [*JOBBATCH, "label", table, "out.csv", "--json", *options]
    done = subprocess.run(["sh", "-c", script, "sh", *command], capture_output=True, check=False)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert pl.read_csv("out.csv")["labels"].to_list() == DONE


@pytest.mark.fault(46)
def test_a_mistake_has_its_exit_code_though_nobody_can_be_told() -> None:
    command = [*JOBBATCH, "label", "missing.csv", "out.csv"]
    done = subprocess.run(["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *command], check=False)
    assert done.returncode == 10


@pytest.mark.fault(46)
@pytest.mark.parametrize("arguments", [("predict", "-", "--json"), ("doctor",)])
def test_a_reader_that_leaves_early_ends_the_command_quietly(
    arguments: tuple[str, ...], options: tuple[str, ...]
) -> None:
    # More than a pipe holds, so that the command is still writing when its reader leaves.
    titles = "brass kite director\n" * 20_000
    model = options[:2] if arguments[0] == "predict" else ()
    script = '{ "$@"; echo "$?" > code; } | head -c 1'
    done = subprocess.run(
        ["bash", "-c", script, "bash", *JOBBATCH, *arguments, *model],
        input=titles.encode(),
        capture_output=True,
        check=False,
    )
    assert Path("code").read_text() == "0\n"
    assert len(done.stdout) == 1
    assert done.stderr == b""


@pytest.mark.fault(46)
def test_a_clock_that_jumps_back_does_not_mix_up_a_jobs_runs(
    command: Command, people_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("job.toml").write_text(
        f'[job]\ncommand = "label"\nkeep = 2\n[label]\ninput = "{people_csv}"\noutput = "out.csv"\n'
    )
    now = datetime(2026, 10, 25, 2, 59, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            nonlocal now
            assert tz is UTC
            now -= timedelta(hours=1)
            return now

    monkeypatch.setattr(runner, "datetime", Clock)
    for _ in range(3):
        assert command("run", "job.toml").code == 0
    assert sorted(path.name for path in Path("job.runs").glob("*.json")) == [
        "000002.json",
        "000003.json",
    ]


@pytest.mark.fault(36)
@pytest.mark.parametrize("through", ["flag", "variable", "jobbatch.toml", "job"])
def test_cuda_that_is_asked_for_and_not_there_is_an_error_and_never_the_cpu(
    command: Command,
    people_csv: Path,
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
    through: str,
) -> None:
    arguments: list[object] = ["label", people_csv, "out.csv"]
    if through == "flag":
        arguments += ["--device", "cuda"]
    elif through == "variable":
        monkeypatch.setenv("JOBBATCH_DEVICE", "cuda")
    elif through == "jobbatch.toml":
        Path("jobbatch.toml").write_text('[label]\ndevice = "cuda"\n')
    else:
        Path("job.toml").write_text(
            '[job]\ncommand = "label"\n[label]\ninput = "people.csv"\noutput = "out.csv"\n'
            'device = "cuda"\n'
        )
        arguments = ["run", "job.toml"]
    before = files()
    ran = command(*arguments)
    assert ran.code == 21
    assert "--device cuda: " in ran.err
    assert "or pass --device cpu" in ran.err
    assert files() == before


@pytest.mark.fault(36)
def test_the_device_that_auto_takes_is_told_and_recorded_with_its_reason(
    command: Command, people_csv: Path
) -> None:
    report = json.loads(command("label", people_csv, "out.csv", "--json").out)
    assert report["manifest"]["model"]["device"] == "cpu"
    assert report["device_reason"]
    assert report["device_reason"] in " ".join(command("label", people_csv, "out2.csv").err.split())
    Path("job.toml").write_text(
        '[job]\ncommand = "label"\n[label]\ninput = "people.csv"\noutput = "out3.csv"\n'
    )
    run = json.loads(command("run", "job.toml", "--json").out)
    assert (run["model"]["device"], run["device_reason"]) == ("cpu", report["device_reason"])
