"""Job files: what they mean, and what is wrong with one that is wrong."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from jobbatch import jobs
from jobbatch.errors import LockedError, UsageError
from jobbatch.runs import exclusive

JOB = """
[job]
command = "label"

[label]
input = "people.csv"
output = "/somewhere/out.parquet"
model = "../weights/mine"
cache_dir = "scores"
threads = 2
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "jobs" / "nightly.toml"
    path.parent.mkdir()
    path.write_text(JOB)
    return path


def test_paths_are_relative_to_the_job_file(
    job: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for current, named in [(tmp_path, job), (job.parent, Path("nightly.toml"))]:
        monkeypatch.chdir(current)
        settings = jobs.load(named).settings
        assert settings.input == job.parent / "people.csv"
        assert settings.output == Path("/somewhere/out.parquet")
        assert settings.model == str(job.parent / "../weights/mine")
        assert settings.cache_dir == job.parent / "scores"
        assert settings.threads == 2


def test_a_job_replaces_its_output_unless_it_says_otherwise(job: Path) -> None:
    assert jobs.load(job).settings.overwrite is True
    job.write_text(JOB + "overwrite = false\n")
    assert jobs.load(job).settings.overwrite is False


def test_what_is_left_out_has_its_default(job: Path) -> None:
    job.write_text(JOB.replace('model = "../weights/mine"', ""))
    loaded = jobs.load(job)
    assert loaded.settings.model is None
    assert loaded.settings.device == "auto"
    assert loaded.schedule.cron == "0 2 * * *"


def test_the_environment_beats_the_file(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBBATCH_THREADS", "4")
    monkeypatch.setenv("JOBBATCH_MODEL", "weights/other")
    settings = jobs.load(job).settings
    assert settings.threads == 4
    assert settings.model == "weights/other"
    assert settings.input == job.parent / "people.csv"


def test_a_wrong_variable_is_named(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBBATCH_DEVICE", "tpu")
    with pytest.raises(UsageError, match="environment: 'device': 'tpu' is none of auto, cpu, cuda"):
        jobs.load(job)


def test_all_faults_of_a_file_are_named_at_once(job: Path) -> None:
    job.write_text(JOB.replace('"label"', '"export"') + 'shet = "A"\nprefix = 1\n[ping]\n')
    with pytest.raises(UsageError) as raised:
        jobs.load(job)
    message = str(raised.value)
    assert message.startswith(f"{job}: ")
    for fault in ("'export' is none of label", "'shet'", "1 is not a text", "'ping'"):
        assert fault in message


@pytest.mark.parametrize("cron", ["30 2 * *", "", "@daily", "30 2 * * * root"])
def test_a_time_without_five_fields_is_refused(job: Path, cron: str) -> None:
    job.write_text(JOB.replace("[job]", f'[job]\ncron = "{cron}"'))
    with pytest.raises(UsageError, match="has not five fields"):
        jobs.load(job)


def test_a_job_does_not_run_beside_itself(job: Path) -> None:
    loaded = jobs.load(job)
    with exclusive(job), pytest.raises(LockedError, match=r"nightly\.toml"):
        jobs.run(loaded)


def test_jobs_are_listed_in_the_order_given_and_folders_by_name(job: Path) -> None:
    for name in ("b.toml", "a.toml"):
        (job.parent / name).write_text(JOB)
    lines = list(jobs.crontab([job, job.parent]))[1::2]
    names = [Path(shlex.split(line)[-2]).name for line in lines]
    assert names == ["nightly.toml", "a.toml", "b.toml", "nightly.toml"]


def test_one_wrong_file_of_several_stops_the_listing(job: Path) -> None:
    (job.parent / "z.toml").write_text("")
    with pytest.raises(UsageError, match=r"z\.toml"):
        list(jobs.crontab([job.parent]))
