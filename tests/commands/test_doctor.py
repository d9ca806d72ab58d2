"""`jobbatch doctor`: what would go wrong tonight, each with the exit code that it would end with."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from jobbatch.runs import exclusive
from tests.commands.ran import Command, Files

JOB = """
[job]
command = "label"

[label]
input = "people.csv"
output = "out/labelled.csv"
device = "cpu"
"""


@pytest.fixture
def job(people_csv: Path, tmp_path: Path) -> Path:
    assert people_csv.exists()
    path = tmp_path / "job.toml"
    path.write_text(JOB)
    return path


def states(out: str) -> dict[str, str]:
    """Return the state of each check of a JSON answer, by its last word or two."""
    return {c["what"].split(": ")[-1]: c["state"] for c in json.loads(out)["checks"]}


def test_where_all_is_well_every_check_has_a_line(command: Command, job: Path) -> None:
    ran = command("doctor", job)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert [line for line in lines if not line.startswith("ok ")] == []
    for what in ("ONNX Runtime", "files", "device cpu", "cache", "temporary", "lock", "input"):
        assert any(what in line for line in lines), what
    assert "runs on the cpu (asked for)" in ran.out
    assert command("doctor", job, "--quiet").out == ""


def test_it_changes_nothing(command: Command, job: Path, files: Files, tmp_path: Path) -> None:
    before = files()
    command("doctor", job)
    assert files() == before
    assert not (tmp_path / "out").exists()


def test_without_jobs_it_looks_at_the_machine_and_the_model(command: Command) -> None:
    ran = command("doctor", "--json")
    assert ran.code == 0
    found = states(ran.out)
    assert {"ONNX Runtime", "files", "device auto", "score cache", "temporary folder"} == set(found)


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ("people.csv", "missing.csv", 10, "input: "),
        ("people.csv", "missing/*.csv", 10, "input: "),
        ("out/labelled.csv", "people.csv/out/labelled.csv", 32, "output: "),
        ('"cpu"', '"cuda"', 21, "this ONNX Runtime has no CUDA provider"),
        ("[label]", "[labels]", 2, "unknown key 'labels'"),
        ("[label]", "[gates]\nmost = { Boss = 0.1 }\n[label]", 2, "gates: "),
        ("[label]", "", 2, "file: "),
    ],
)  # fmt: skip
def test_a_problem_has_the_exit_code_that_the_run_would_have(
    command: Command, job: Path, old: str, new: str, code: int, says: str
) -> None:
    job.write_text(JOB.replace(old, new))
    ran = command("doctor", job)
    (problem,) = [line for line in ran.out.splitlines() if line.startswith("problem ")]
    assert says in problem
    assert ran.code == code == command("run", job).code


@pytest.mark.parametrize(
    ("label", "code", "says"),
    [
        ('input = "people.csv"\noutput = "out.pdf"', 2, ".pdf cannot be written"),
        ('input = "people.pdf"\noutput = "out.csv"', 2, ".pdf cannot be read"),
        ('input = "people.csv"\noutput = "folder.csv"', 30, "is a folder"),
        ('input = "people.csv"\noutput = "people.csv"', 30, "the same file"),
        ('input = "people.csv"\noutput = "mine.csv"\noverwrite = false', 30, "mine.csv exists"),
        ('input = "people.csv"\noutput = "out.csv"\nencoding = "ut8"', 2, "no such encoding"),
        ('input = "inbox"\noutput = "done"', 3, "1 of 2 files"),
        ('input = "inbox"\noutput = "inbox"', 30, "name another output"),
        ('input = "inbox/**.csv"\noutput = "done"', 2, "is no pattern"),
    ],
)
def test_a_table_or_an_output_that_cannot_be_is_found_beforehand(
    command: Command, people_csv: Path, label: str, code: int, says: str
) -> None:
    for folder in ("folder.csv", "inbox"):
        Path(folder).mkdir()
    for file in ("people.pdf", "mine.csv", f"inbox/{'b' * 250}.xls"):
        Path(file).touch()
    shutil.copy(people_csv, "inbox")
    Path("job.toml").write_text(f'[job]\ncommand = "label"\n[label]\n{label}\n')
    ran = command("doctor", "job.toml")
    problems = [line for line in ran.out.splitlines() if line.startswith("problem ")]
    assert says in problems[0]
    assert ran.code == code == command("run", "job.toml").code


def test_a_missing_password_file_is_found_beforehand(command: Command, job: Path) -> None:
    job.write_text(f'{JOB}password_file = "secret.txt"\n')
    ran = command("doctor", job)
    assert ran.code == 10
    assert "secret.txt does not exist" in ran.out


def test_an_output_that_may_not_be_replaced_is_a_warning(command: Command, job: Path) -> None:
    assert command("run", job).code == 0
    job.write_text(f"{JOB}overwrite = false\n")
    ran = command("doctor", job, "--json")
    assert (ran.code, states(ran.out)["output"]) == (0, "warning")


def test_a_folder_of_runs_that_cannot_be_is_found_beforehand(command: Command, job: Path) -> None:
    job.with_name("job.runs").touch()
    ran = command("doctor", job)
    assert ran.code == 32 == command("run", job).code
    assert "job.toml: runs: " in ran.out


@pytest.mark.parametrize("setting", ["corrections", "unlabelled", "notes", "data"])
def test_a_missing_file_of_a_training_is_found_beforehand(command: Command, setting: str) -> None:
    train = f'[job]\ncommand = "train"\n[train]\nout = "mine"\n{setting} = "missing.csv"\n'
    Path("job.toml").write_text(train)
    ran = command("doctor", "job.toml")
    assert ran.code == 10 == command("run", "job.toml").code
    assert "missing.csv does not exist" in ran.out


@pytest.mark.fault(32)
@pytest.mark.parametrize(
    "name", ["tokenizer.json", "config.json", "decisions.json", "onnx/model_int8.onnx"]
)
def test_a_flipped_bit_in_any_file_of_the_model_is_found(
    command: Command, word_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / "flipped"
    shutil.copytree(word_model, folder)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    monkeypatch.setenv("JOBBATCH_MODEL", str(folder))
    ran = command("doctor")
    assert ran.code == 20
    assert f"{folder / name} is corrupt" in ran.out


def test_a_file_that_labelling_never_reads_is_looked_at_too(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobbatch.weights import default_model

    folder = tmp_path / "flipped"
    shutil.copytree(default_model(), folder)
    card = folder / "README.md"
    card.write_bytes(card.read_bytes()[:-1])
    monkeypatch.setenv("JOBBATCH_MODEL", str(folder))
    ran = command("doctor")
    assert ran.code == 20
    assert f"{card} is corrupt" in ran.out
    assert "the canary titles are right" in ran.out


def test_a_job_that_is_running_is_a_warning(command: Command, job: Path) -> None:
    with exclusive(job):
        ran = command("doctor", job, "--json")
    assert ran.code == 0
    assert states(ran.out)["lock"] == "warning"


def test_a_time_that_no_clock_shows_is_a_problem(command: Command, job: Path) -> None:
    job.write_text(JOB.replace("[label]", 'cron = "0 25 * * *"\n[label]'))
    ran = command("doctor", job)
    assert ran.code == 2 == command("schedule", job).code
    assert "'25' is no hour" in ran.out


Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - as shutil's


def test_little_space_is_a_warning_and_too_little_a_problem(
    command: Command, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, 1 << 20))
    ran = command("doctor", job, "--json")
    assert ran.code == 0
    assert {states(ran.out)[w] for w in ("output", "score cache", "temporary folder")} == {
        "warning"
    }
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, 1))
    ran = command("doctor", job)
    assert ran.code == 32
    assert "output: " in ran.out
    # What is labelled already takes no more space.
    assert command("run", job).code == 0
    assert command("doctor", job).code == 0


def test_two_onnx_runtimes_are_a_problem(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("onnxruntime", "onnxruntime_gpu"):
        folder = tmp_path / "site" / f"{name}-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Name: {name.replace('_', '-')}\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    ran = command("doctor")
    assert ran.code == 24
    assert "both installed" in ran.out


def test_a_job_that_needs_the_extra_says_that_it_is_missing(
    jobbatch: Command, tmp_path: Path
) -> None:
    (tmp_path / "job.toml").write_text('[job]\ncommand = "train"\n[train]\nout = "weights/mine"\n')
    ran = jobbatch("doctor", "job.toml", patch="import sys\nsys.modules['torch'] = None")
    assert ran.code == 24
    assert "torch" in ran.out
    assert jobbatch("doctor", "job.toml").code == 0


def test_all_jobs_of_a_folder_are_looked_at(command: Command, job: Path, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("[job")
    ran = command("doctor", tmp_path, "--json")
    assert ran.code == 2
    assert states(ran.out)["output"] == "ok"
    assert job.exists()
    assert command("doctor", tmp_path / "out").code == 2
