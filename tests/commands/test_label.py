"""`jobbatch label` as a user meets it: its output, its messages, and what interrupts it."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
import pytest

from jobbatch.runs import exclusive
from tests.commands.ran import Command, Files

pytestmark = pytest.mark.usefixtures("people_csv")

# Titles in chunks of one, so that five titles take several commits.
SMALL_CHUNKS = """
import os, signal, sys
from pathlib import Path
from jobbatch import model, scores
from jobbatch.tables import sink

model.CHUNK_TITLES["cpu"] = 1
commit, write, replace = scores.ScoreStore.commit, sink.write, Path.replace
committed = []

def stop(signum):
    # The process that reads the table ends with the one that was started.
    reader = "jobbatch.worker" in sys.orig_argv
    os.kill(os.getppid() if reader else os.getpid(), signum)
    while reader:
        signal.pause()
"""
TITLES = "title\nowner\nnurse\ndirector\nmanager\nfounder\n"


# What it prints


def test_it_labels_the_table_and_tells_about_it_on_stderr(
    jobbatch: Command, tmp_path: Path
) -> None:
    ran = jobbatch("label", "people.csv", "out.csv")
    assert ran.code == 0
    assert ran.out == ""
    assert "5 rows, 4 distinct titles (3 new), 1 to review (20%)" in ran.err
    assert "Individual Contributor/Staff" in ran.err
    assert "model words on cpu" in ran.err
    assert "out.csv" in ran.err.splitlines()[-1]
    assert (tmp_path / "out.csv").read_text() == (
        "id,Job Title,notes,labels,primary_label,confidence,needs_review,review_reason\n"
        "007,Chief Cheese Officer,n/a,Chief Officer,Chief Officer,0.8967,false,\n"
        '008,nurse,"",Individual Contributor/Staff,Individual Contributor/Staff,0.8967,false,\n'
        '009,,=1+1,"",,,true,empty title\n'
        '010,Owner / Manager,"a\nb",Owner; Manager,Owner,0.8967,false,\n'
        '011,nurse,"x;y,z",Individual Contributor/Staff,Individual Contributor/Staff,0.8967,false,\n'
    )


def test_nothing_to_do_is_said_and_is_a_success(command: Command) -> None:
    command("label", "people.csv", "out.csv")
    ran = command("label", "people.csv", "out.csv")
    assert ran.code == 0
    assert ran.err.startswith("Nothing to do: out.csv")


def test_json_is_one_object_on_stdout_and_nothing_else(command: Command) -> None:
    for up_to_date in (False, True):
        ran = command("label", "people.csv", "out.csv", "--json")
        report = json.loads(ran.out)
        assert ran.err == ""
        assert report["up_to_date"] is up_to_date
        assert report["new_titles"] == (0 if up_to_date else 3)
        assert report["manifest"]["counts"]["rows"] == 5
        assert report["manifest"]["output"]["path"] == "out.csv"


def test_quiet_prints_nothing(command: Command, tmp_path: Path) -> None:
    for _ in range(2):
        ran = command("label", "people.csv", "out.jsonl", "--quiet")
        assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert (tmp_path / "out.jsonl").exists()


def test_progress_is_drawn_on_a_terminal_only(terminal: Command, jobbatch: Command) -> None:
    shown = terminal("label", "people.csv", "out.csv")
    assert shown.code == 0
    assert "\x1b[" in shown.out
    assert "scoring new titles" in shown.out
    assert "scoring new titles" not in jobbatch("label", "people.csv", "out.jsonl").err


def test_options_reach_the_output(command: Command, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(
        "id;Beruf;label\n1;Gesch\xe4ftsf owner;x\n".encode("latin-1")
    )
    options = ["--title-column", "beruf", "--encoding", "latin-1", "--prefix", "jb_"]
    ran = command("label", "people.csv", "out.parquet", *options, "--probabilities")
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert ran.code == 0
    assert frame.columns[:4] == ["id", "Beruf", "label", "jb_labels"]
    assert frame["jb_labels"].to_list() == [["Owner"]]
    assert frame["jb_p_Owner"][0] > 0.9


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments", ["label people.csv out.csv --json", "predict nurse", "label --help"]
)
def test_a_reader_that_goes_away_ends_it_quietly(
    environment: Mapping[str, str], arguments: str, unbuffered: str
) -> None:
    readable, writable = os.pipe()
    os.close(readable)
    done = subprocess.run(
        [sys.executable, "-m", "jobbatch", *arguments.split()],
        stdout=writable,
        stderr=subprocess.PIPE,
        env={**environment, "PYTHONUNBUFFERED": unbuffered},
        check=False,
    )
    os.close(writable)
    assert (done.returncode, done.stderr) == (0, b"")
    assert Path("out.csv").exists() == ("out.csv" in arguments)


# Where options come from


def columns(path: str) -> list[str]:
    return pl.read_csv(path).columns


def test_a_flag_beats_the_environment_which_beats_the_file(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("jobbatch.toml").write_text('[label]\nprefix = "file_"\nprobabilities = true\n')
    command("label", "people.csv", "a.csv")
    assert "file_labels" in columns("a.csv")
    assert "file_p_Owner" in columns("a.csv")
    monkeypatch.setenv("JOBBATCH_PREFIX", "variable_")
    command("label", "people.csv", "b.csv")
    assert "variable_p_Owner" in columns("b.csv")
    monkeypatch.setenv("JOBBATCH_PROBABILITIES", "no")
    command("label", "people.csv", "c.csv", "--prefix", "flag_")
    assert columns("c.csv")[3:] == [
        f"flag_{c}" for c in ("labels", "primary_label", "confidence", "needs_review")
    ] + ["flag_review_reason"]


def test_the_environment_may_hold_what_a_flag_would(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out.csv").write_text("old")
    monkeypatch.setenv("JOBBATCH_OVERWRITE", "true")
    monkeypatch.setenv("JOBBATCH_THREADS", "1")
    assert command("label", "people.csv", "out.csv").code == 0
    assert "labels" in columns("out.csv")


def test_it_runs_with_next_to_no_environment(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jobbatch", "label", "people.csv", "out.csv", "--json"],
        env={"JOBBATCH_MODEL": environment["JOBBATCH_MODEL"], "LC_ALL": "C", "TZ": "Nowhere/None"}
        | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    assert json.loads(done.stdout)["new_titles"] == 3


# Killed, and run again


KILLED_AT = {
    "while the second chunk is committed": """
def killing(store, chunk):
    stop(signal.SIGKILL) if committed else committed.append(commit(store, chunk))
scores.ScoreStore.commit = killing
""",
    "between two chunks": """
def killing(store, chunk):
    committed.append(commit(store, chunk))
    if len(committed) == 3:
        stop(signal.SIGKILL)
scores.ScoreStore.commit = killing
""",
    "with the output half written": """
def killing(frame, path, *args, **kwargs):
    path.write_bytes(b"half")
    stop(signal.SIGKILL)
sink.write = killing
""",
    "before the manifest is published": """
def killing(path, target):
    if str(target).endswith(".jobbatch.json"):
        stop(signal.SIGKILL)
    return replace(path, target)
Path.replace = killing
""",
    "before the output is published": """
def killing(path, target):
    if str(target).endswith("out.parquet"):
        stop(signal.SIGKILL)
    return replace(path, target)
Path.replace = killing
""",
    "after the output is published": """
def killing(path, target):
    replace(path, target)
    if str(target).endswith("out.parquet"):
        stop(signal.SIGKILL)
Path.replace = killing
""",
}
SCORED_BEFORE = dict(zip(KILLED_AT, (1, 3, 5, 5, 5, 5), strict=True))


@pytest.mark.fault(1)
@pytest.mark.parametrize("point", KILLED_AT)
def test_a_killed_run_is_simply_run_again(
    jobbatch: Command,
    command: Command,
    files: Files,
    point: str,
) -> None:
    Path("people.csv").write_text(TITLES)
    command("label", "people.csv", "undisturbed.parquet", "--cache-dir", "other")
    killed = jobbatch("label", "people.csv", "out.parquet", patch=SMALL_CHUNKS + KILLED_AT[point])
    assert killed.code == -signal.SIGKILL
    assert ("out.parquet" in files()) == point.startswith("after")

    again = command("label", "people.csv", "out.parquet", "--json")
    assert again.code == 0
    assert json.loads(again.out)["new_titles"] == 5 - SCORED_BEFORE[point]
    assert Path("out.parquet").read_bytes() == Path("undisturbed.parquet").read_bytes()
    assert [name for name in files() if "undisturbed" not in name] == [
        "out.parquet",
        "out.parquet.jobbatch.json",
        "people.csv",
    ]


@pytest.mark.fault(1)
@pytest.mark.parametrize(
    "point", ["with the output half written", "before the output is published"]
)
def test_a_killed_run_leaves_the_old_output_untouched(
    jobbatch: Command, command: Command, point: str
) -> None:
    command("label", "people.csv", "out.parquet")
    old = Path("out.parquet").read_bytes()
    Path("people.csv").write_text(TITLES)
    arguments = ("label", "people.csv", "out.parquet", "--overwrite")
    killed = jobbatch(*arguments, patch=SMALL_CHUNKS + KILLED_AT[point])
    assert killed.code == -signal.SIGKILL
    assert Path("out.parquet").read_bytes() == old
    assert command(*arguments).code == 0
    assert pl.read_parquet("out.parquet").height == 5


@pytest.mark.fault(2)
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_run_says_how_to_go_on(
    jobbatch: Command,
    command: Command,
    files: Files,
    signum: signal.Signals,
    code: int,
) -> None:
    Path("people.csv").write_text(TITLES)
    interrupting = f"""
def interrupting(store, chunk):
    committed.append(commit(store, chunk))
    if len(committed) == 2:
        stop({int(signum)})
scores.ScoreStore.commit = interrupting
"""
    ran = jobbatch("label", "people.csv", "out.csv", patch=SMALL_CHUNKS + interrupting)
    assert ran.code == code
    assert ran.err == "jobbatch: interrupted; run the same command again to go on\n"
    assert files() == ["people.csv"]
    again = command("label", "people.csv", "out.csv", "--json")
    assert json.loads(again.out)["new_titles"] == 3


@pytest.mark.fault(42)
def test_damaged_scores_are_scored_again_with_a_warning(
    jobbatch: Command, command: Command, tmp_path: Path
) -> None:
    command("label", "people.csv", "undisturbed.parquet")
    (part,) = (tmp_path / "scores").rglob("*.parquet")
    part.write_bytes(part.read_bytes()[:-7])
    ran = jobbatch("label", "people.csv", "out.parquet", "--quiet")
    assert ran.code == 0
    assert ran.err.startswith("jobbatch: the cached scores")
    assert Path("out.parquet").read_bytes() == Path("undisturbed.parquet").read_bytes()


# Two at a time


@pytest.mark.fault(8)
def test_the_second_run_on_an_output_ends_at_once(jobbatch: Command, files: Files) -> None:
    with exclusive(Path("out.csv")):
        ran = jobbatch("label", "people.csv", "out.csv")
    assert ran.code == 11
    assert "another run is working on out.csv" in ran.err
    assert files() == ["people.csv"]


@pytest.mark.fault(9)
def test_the_lock_of_a_killed_run_holds_nobody_up(jobbatch: Command, command: Command) -> None:
    patch = f"{SMALL_CHUNKS}\nsink.write = lambda *_, **__: stop(signal.SIGKILL)"
    assert jobbatch("label", "people.csv", "out.csv", patch=patch).code == -signal.SIGKILL
    assert list(Path.cwd().glob(".*.lock"))
    assert command("label", "people.csv", "out.csv").code == 0


# A disk that is full


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let no file grow beyond 20,000 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def many() -> pl.DataFrame:
    notes = [f"{i * 7919 % 104729:x}" * 8 for i in range(4_000)]
    table = pl.DataFrame({"title": ["nurse"] * 4_000, "notes": notes})
    table.write_csv("many.csv")
    table.write_excel("many.xlsx")
    return table


@pytest.mark.fault(3)
@pytest.mark.parametrize("ending", [".parquet", ".xlsx", ".csv", ".jsonl", ".arrow"])
def test_a_full_disk_keeps_the_old_output_and_no_fragment(
    many: pl.DataFrame, command: Command, files: Files, full_disk: None, ending: str
) -> None:
    del many, full_disk
    output = Path(f"out{ending}")
    output.write_text("old")
    before = files()
    ran = command("label", "many.csv", output, "--overwrite")
    assert ran.code == 32
    assert ran.err == f"jobbatch: {output} cannot be written: the disk is full. Free some space\n"
    assert output.read_text() == "old"
    assert files() == before


@pytest.mark.fault(4)
@pytest.mark.parametrize(
    "arguments", [("many.xlsx",), ("many.csv", "--encoding", "latin-1")], ids=lambda a: a[0]
)
def test_a_full_temporary_folder_is_said_to_be_the_reason(
    many: pl.DataFrame, command: Command, files: Files, full_disk: None, arguments: tuple[str, ...]
) -> None:
    del many, full_disk
    before = files()
    source, *options = arguments
    ran = command("label", source, "out.parquet", *options)
    assert ran.code == 32
    assert "is full: free some space, or set TMPDIR" in ran.err
    assert files() == before
