"""[gates] of a label job: what is not as it should be is not published."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from jobbatch.weights import Manifest, write_manifest
from tests.commands.ran import Command

JOB = """
[job]
command = "label"

[label]
input = "people.csv"
output = "out.csv"

[gates]
min_rows = 4
"""
ORDINARY = ["nurse", "nurse", "director", "manager"]

Write = Callable[..., Path]


@pytest.fixture
def job(tmp_path: Path) -> Write:
    """Return a writer of a job with gates, over a table of some titles."""

    def write(gates: str, *titles: str) -> Path:
        pl.DataFrame({"Job Title": titles}).write_csv(tmp_path / "people.csv")
        (tmp_path / "job.toml").write_text(JOB + gates)
        return tmp_path / "job.toml"

    return write


def labelled() -> list[str]:
    return pl.read_csv("out.csv")["Job Title"].to_list()


@pytest.mark.parametrize(
    ("gates", "titles", "says"),
    [
        ("most = { Owner = 0.5 }", ["owner"] * 3 + ["nurse"], "Owner 75.0%, at most 50.0%"),
        ("least = { Director = 0.1 }", ["nurse"] * 4, "Director 0.0%, at least 10.0%"),
        ("max_review = 0.4", ["nurse", "", "", "n/a"], "rows to review 75.0%, at most 40.0%"),
        (
            "max_unknown_words = 0.3",
            ["kite nurse", "nurse", "brass kite", "nurse"],
            "unknown words 50.0%, at most 30.0%",
        ),
        ("max_drift = 0.3", ["nurse"] * 4 + ["owner"] * 4, "Owner 50.0%, 0.0% in the last good run"),
        ("max_drift = 0.3", ["kite nurse", "nurse", "brass director", "manager"], "unknown words 33.3%"),
    ],
)  # fmt: skip
def test_an_output_beyond_a_bound_is_not_published(
    command: Command, job: Write, gates: str, titles: list[str], says: str
) -> None:
    assert command("run", job(gates, *ORDINARY)).code == 0
    old = {path: path.read_bytes() for path in (Path("out.csv"), Path("out.csv.jobbatch.json"))}
    ran = command("run", job(gates, *titles))
    assert ran.code == 23
    assert "out.csv is not published, the old one stays" in ran.err
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert {path: path.read_bytes() for path in old} == old
    run = json.loads(max(Path("job.runs").glob("*.json")).read_bytes())
    assert run["exit_code"] == 23
    assert says in run["error"]


def test_all_broken_bounds_are_named_at_once(command: Command, job: Write) -> None:
    gates = "max_review = 0.1\nmost = { Owner = 0.1 }\nleast = { Manager = 0.1 }"
    ran = command("run", job(gates, "owner", "owner", "", "nurse"))
    assert ran.code == 23
    for name in ("rows to review", "Owner", "Manager"):
        assert name in ran.err


def test_a_refused_output_passes_when_its_gates_are_widened(command: Command, job: Write) -> None:
    assert command("run", job("max_review = 0.1", "", "", "nurse", "nurse")).code == 23
    assert not Path("out.csv").exists()
    assert command("run", job("max_review = 0.5", "", "", "nurse", "nurse")).code == 0
    assert len(labelled()) == 4


def test_drift_is_counted_from_the_last_good_run_and_not_from_a_refused_one(
    command: Command, job: Write
) -> None:
    owners = ["nurse"] * 4 + ["owner"] * 4
    assert command("run", job("max_drift = 0.3", *ORDINARY)).code == 0
    for _ in range(2):
        assert command("run", job("max_drift = 0.3", *owners)).code == 23
    assert command("run", job("max_drift = 0.3", *ORDINARY)).code == 0


def test_drift_is_not_counted_from_a_run_of_few_rows(command: Command, job: Write) -> None:
    assert command("run", job("max_drift = 0.3", *ORDINARY)).code == 0
    assert command("run", job("max_drift = 0.3", "owner")).code == 0
    assert command("run", job("max_drift = 0.3")).code == 0
    assert command("run", job("max_drift = 0.3", *ORDINARY, "owner")).code == 0
    ran = command("run", job("max_drift = 0.3", *["owner"] * 4))
    assert "Owner 100.0%, 20.0% in the last good run" in ran.err


def test_drift_is_counted_from_a_run_in_which_some_tables_failed(
    command: Command, job: Write, tmp_path: Path
) -> None:
    path = job("max_drift = 0.3", *ORDINARY)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "never.csv").write_text("a,b\n1,2\n")
    (tmp_path / "people.csv").rename(inbox / "people.csv")
    path.write_text(path.read_text().replace("people.csv", "inbox").replace("out.csv", "done"))
    assert command("run", path).code == 3
    pl.DataFrame({"Job Title": ["owner"] * 4}).write_csv(inbox / "people.csv")
    ran = command("run", path)
    assert "Owner 100.0%, 0.0% in the last good run" in ran.err


def test_drift_is_not_counted_from_a_run_of_another_command(
    command: Command, job: Write, tmp_path: Path
) -> None:
    path = job("max_drift = 0.3", *ORDINARY)
    assert command("run", path).code == 0
    manifest = tmp_path / "job.runs" / "000001.json"
    run = json.loads(manifest.read_bytes())
    run |= {"command": "evaluate", "counts": {"rows": 100}, "label_shares": {"Owner": 1.0}}
    manifest.write_text(json.dumps(run))
    assert command("run", job("max_drift = 0.3", *ORDINARY, "nurse")).code == 0


def test_drift_without_a_run_to_compare_with_is_told(
    command: Command, job: Write, caplog: pytest.LogCaptureFixture
) -> None:
    path = job("max_drift = 0.3", *ORDINARY)
    assert command("run", path).code == 0
    assert "max_drift has nothing to compare with" in caplog.text
    caplog.clear()
    assert command("run", path).code == 0
    assert "max_drift" not in caplog.text


def test_an_output_of_few_rows_is_not_judged(command: Command, job: Write) -> None:
    assert command("run", job("most = { Owner = 0.1 }", "owner", "owner", "owner")).code == 0


def test_of_several_tables_those_beyond_a_bound_are_left_out(
    command: Command, job: Write, tmp_path: Path
) -> None:
    path = job("most = { Owner = 0.5 }", *ORDINARY)
    (tmp_path / "inbox").mkdir()
    for name, titles in (("a", ["owner"] * 4), ("b", ORDINARY)):
        pl.DataFrame({"Job Title": titles}).write_csv(tmp_path / "inbox" / f"{name}.csv")
    path.write_text(path.read_text().replace("people.csv", "inbox").replace("out.csv", "done"))
    ran = command("run", path)
    assert ran.code == 3
    assert "1 of 2 files failed: a.csv. " in ran.err
    assert [path.name for path in (tmp_path / "done").glob("*.csv")] == ["b.csv"]


@pytest.fixture
def profiled_model(word_model: Path, tmp_path: Path) -> Path:
    """Return the word model with figures of a test on titles half of which were owners'."""
    folder = tmp_path / "profiled"
    shutil.copytree(word_model, folder)
    labels = [{"label": "Owner", "support": 50}, {"label": "Director", "support": 25}]
    figures = {"test": {"rows": 100, "review_share": 0.0, "per_label": labels}}
    (folder / "metrics.json").write_text(json.dumps(figures))
    manifest = Manifest.from_json((folder / "manifest.json").read_bytes())
    write_manifest(folder, replace(manifest, files={}))
    return folder


def test_an_output_is_compared_with_what_the_model_was_tested_on(
    command: Command, job: Write, profiled_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBBATCH_MODEL", str(profiled_model))
    alike = ["owner", "owner", "director", "nurse"]
    assert command("run", job("max_profile_drift = 0.2", *alike)).code == 0
    ran = command("run", job("max_profile_drift = 0.2", *ORDINARY))
    assert ran.code == 23
    assert "Owner 0.0%, 50.0% where the model was tested" in ran.err


def test_a_model_without_figures_cannot_be_compared_with(command: Command, job: Write) -> None:
    ran = command("run", job("max_profile_drift = 0.2", *ORDINARY))
    assert ran.code == 20
    assert "metrics.json" in ran.err
    assert not Path("out.csv").exists()


@pytest.mark.parametrize(
    ("gates", "says"),
    [
        ("most = { Boss = 0.5 }", "does not have: Boss. It has Chief Officer, Owner"),
        ("most = { Owner = 50 }", "most of Owner is 50.0, a share is 0 to 1"),
        ("most = 0.5", "0.5 is not a table"),
        ("max_reviews = 0.5", "unknown key 'max_reviews'"),
    ],
)
def test_a_wrong_gate_is_a_usage_error(command: Command, job: Write, gates: str, says: str) -> None:
    ran = command("run", job(gates, *ORDINARY))
    assert ran.code == 2
    assert says in ran.err
    assert not Path("out.csv").exists()
