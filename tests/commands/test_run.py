"""`jobbatch run`: one job from its file, under its lock."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from jobbatch.jobs import ping
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
    assert json.loads(command("run", job, "--json").out)["counts"]["new_titles"] == 3
    assert json.loads(command("run", job, "--json").out)["files"][0]["up_to_date"] is True
    (tmp_path / "data" / "people.csv").write_text("id,Job Title\n1,director\n")
    manifest = json.loads(command("run", job, "--json").out)
    assert manifest["files"][0]["up_to_date"] is False
    assert manifest["counts"]["rows"] == 1


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


def test_a_failed_run_is_told_as_json_too(command: Command, job: Path) -> None:
    job.write_text(JOB.replace("people.csv", "missing.csv"))
    ran = command("run", job, "--json")
    assert ran.code == json.loads(ran.out)["exit_code"] == 10
    assert "missing.csv does not exist" in ran.err


def test_a_wait_that_is_no_number_is_a_mistake(command: Command, job: Path) -> None:
    ran = command("run", job, "--wait", "nan")
    assert ran.code == 2
    assert "--wait nan" in ran.err


def test_an_output_folder_that_cannot_be_made_is_a_write_error(
    command: Command, job: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file")
    ran = command("run", job)
    assert ran.code == 32
    assert "out/deep cannot be made" in ran.err


def runs(job: Path) -> list[dict[str, Any]]:
    """Return the manifests of a job's runs, oldest first."""
    kept = sorted((job.parent / f"{job.stem}.runs").glob("*.json"))
    return [json.loads(path.read_bytes()) for path in kept]


def log(job: Path) -> str:
    """Return the log of the job's last run."""
    return max((job.parent / f"{job.stem}.runs").glob("*.log")).read_text(encoding="utf-8")


def test_each_run_leaves_a_manifest_that_says_what_it_did(command: Command, job: Path) -> None:
    command("run", job)
    (run,) = runs(job)
    assert (run["command"], run["exit_code"], run["error"]) == ("label", 0, None)
    assert run["started"] <= run["ended"]
    assert run["counts"] == {"rows": 5, "distinct_titles": 4, "to_review": 1, "new_titles": 3}
    assert run["label_shares"]["Individual Contributor/Staff"] == 0.4
    for state, name in ((run["inputs"][0], "people.csv"), (run["outputs"][0], "labelled.parquet")):
        path = Path(state["path"])
        assert path.name == name
        assert state["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert {"fingerprint", "device"} <= set(run["model"])
    assert run["device_reason"]
    assert {"jobbatch", "polars"} <= set(run["versions"])


def test_a_failed_run_leaves_its_manifest_too(command: Command, job: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "people.csv").write_text("a,b\n1,2\n")
    ran = command("run", job)
    (run,) = runs(job)
    assert run["exit_code"] == ran.code == 13
    assert "people.csv: no column looks like job titles" in run["error"]
    assert "people.csv: no column looks like job titles" in ran.err
    assert run["inputs"][0]["path"].endswith("people.csv")
    assert run["outputs"] == []


def test_an_interrupted_run_leaves_its_manifest_too(jobbatch: Command, job: Path) -> None:
    stop = "import os, signal, time\nfrom jobbatch.model import TitleModel\n"
    stop += "ask = lambda *_: os.kill(os.getppid(), signal.SIGTERM) or time.sleep(60)\n"
    stop += "TitleModel.score_chunks = ask"
    assert jobbatch("run", job, patch=stop).code == 143
    assert runs(job)[0]["exit_code"] == 143


def test_a_bug_is_told_in_manifest_and_log(jobbatch: Command, job: Path) -> None:
    patch = "from jobbatch.model import TitleModel\nTitleModel.score_chunks = lambda *_: 1 / 0"
    assert jobbatch("run", job, patch=patch).code == 1
    assert runs(job)[0]["exit_code"] == 1
    assert runs(job)[0]["error"] == "ZeroDivisionError"
    traceback = json.loads(log(job).splitlines()[-1])["traceback"]
    assert "pipeline.py" in traceback
    assert "worker.py" in traceback  # where it happened, in a process of its own


def test_the_log_is_a_json_object_a_line_that_names_files_and_no_title(
    command: Command, job: Path
) -> None:
    command("run", job)
    lines = [json.loads(line) for line in log(job).splitlines()]
    assert any("people.csv" in line["message"] for line in lines)
    assert "nurse" not in log(job)
    assert "nurse" not in json.dumps(runs(job))


@pytest.mark.parametrize(
    "table",
    [
        'id,Job Title\n1,"brass owner\n2,brass nurse\n',
        "id,Job Title\n1,brass owner,3\n",
        "brass owner,brass nurse\nbrass kite,tin kite\n",
        "job title,title\nbrass owner,brass nurse\n",
    ],
)
@pytest.mark.parametrize("input_name", ["people.csv", "*.csv"])
def test_what_an_error_quotes_of_a_table_is_told_and_not_kept(
    command: Command, job: Path, tmp_path: Path, table: str, input_name: str
) -> None:
    (tmp_path / "data" / "people.csv").write_text(table)
    several = JOB.replace("people.csv", input_name).replace("labelled.parquet", "labelled")
    job.write_text(several if "*" in input_name else JOB)
    ran = command("run", job)
    assert ran.code in {3, 10, 13}
    assert "people.csv" in log(job)
    assert "people.csv" in runs(job)[0]["error"]
    assert "brass" not in log(job)
    assert "brass" not in json.dumps(runs(job))


def test_a_bug_that_quotes_a_cell_is_told_and_not_kept(jobbatch: Command, job: Path) -> None:
    patch = "from jobbatch import model\ndef fail(*_): raise KeyError('br' 'ass owner')\n"
    ran = jobbatch("run", job, patch=patch + "model.TitleModel.score_chunks = fail")
    assert ran.code == 1
    assert "brass" in ran.err
    assert "brass" not in log(job)
    assert "brass" not in json.dumps(runs(job))


def test_the_last_runs_are_kept_and_the_last_good_one(command: Command, job: Path) -> None:
    job.write_text(JOB.replace("[label]", "keep = 2\n[label]"))
    for _ in range(4):
        command("run", job)
    folder = job.parent / "nightly.runs"
    kept = ["000003.json", "000003.log", "000004.json", "000004.log"]
    assert sorted(path.name for path in folder.iterdir()) == kept
    job.write_text(JOB.replace("[label]", "keep = 2\n[label]").replace("people", "missing"))
    for _ in range(3):
        assert command("run", job).code == 10
    assert [path.name for path in sorted(folder.glob("*.json"))] == [
        "000004.json",
        "000006.json",
        "000007.json",
    ]


def test_a_killed_run_is_told_of_and_its_log_stays(jobbatch: Command, job: Path) -> None:
    die = "import os, signal\nfrom jobbatch.jobs import labelling\n"
    die += "labelling.label = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
    assert jobbatch("run", job, patch=die).code == -9
    ran = jobbatch("run", job)
    assert ran.code == 0
    folder = job.parent / "nightly.runs"
    assert (
        f"the run before this one was killed: it left no manifest; its log is {folder}/000001.log"
        in ran.err
    )
    kept = ["000001.log", "000002.json", "000002.log"]
    assert sorted(path.name for path in folder.iterdir()) == kept
    job.write_text(JOB.replace("[label]", "keep = 1\n[label]"))
    assert jobbatch("run", job, "--quiet").err == ""
    assert sorted(path.name for path in folder.iterdir()) == ["000003.json", "000003.log"]


FULL = """
set -eu
mkdir -p "$1"
mount -t tmpfs -o size=4k,nr_inodes="$2" tmpfs "$1"
head -c 4096 /dev/zero > "$1/filler"
shift 2
exec "$@"
"""


@pytest.mark.system
@pytest.mark.fault(4)
@pytest.mark.parametrize(("files_left", "outputs"), [("2", 0), ("9", 1)])
def test_a_full_folder_of_manifests_and_logs_is_a_write_error(
    environment: Mapping[str, str], job: Path, tmp_path: Path, files_left: str, outputs: int
) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root, to mount a folder that is full")
    folder = str(job.parent / "nightly.runs")
    mounted = ["unshare", "-m", "sh", "-c", FULL, "sh", folder, files_left]
    done = subprocess.run(
        [*mounted, sys.executable, "-m", "jobbatch", "run", str(job)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 32, done.stderr
    assert "nightly.runs" in done.stderr
    assert "Traceback" not in done.stderr
    # Where a log can be begun, the work comes first: its output is whole.
    assert len(list((tmp_path / "out").glob("*/labelled.parquet"))) == outputs


def test_the_lock_can_be_waited_for(jobbatch: Command, job: Path, tmp_path: Path) -> None:
    taken, free = tmp_path / "taken", tmp_path / "free"
    holder = (
        "import sys, time\nfrom pathlib import Path\nfrom jobbatch.runs import exclusive\n"
        "with exclusive(Path(sys.argv[1])):\n    Path(sys.argv[2]).touch()\n"
        "    while not Path(sys.argv[3]).exists(): time.sleep(0.01)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", holder, str(job), str(taken), str(free)])
    while not taken.exists():
        time.sleep(0.01)
    assert jobbatch("run", job, "--wait", "0.1").code == 11
    # Another run gives the lock back while this one waits.
    release = f"import threading, pathlib\nthreading.Timer(0.5, pathlib.Path({str(free)!r}).touch).start()"
    assert jobbatch("run", job, "--wait", "60", patch=release).code == 0
    assert process.wait(timeout=60) == 0


INBOX = """
[job]
command = "label"

[label]
input = "{}"
output = "done"
"""


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    for name, title in (("a", "nurse"), ("b", "director"), ("c", "owner")):
        (folder / f"{name}.csv").write_text(f"id,Job Title\n1,{title}\n2,{title}\n")
    return folder


@pytest.fixture(params=["inbox", "inbox/*.csv", "in*/[abc].csv"])
def inbox_job(inbox: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "inbox.toml"
    path.write_text(INBOX.format(request.param))
    assert inbox.is_dir()
    return path


def outcomes(job: Path) -> dict[str, str]:
    """Return what became of each table in the last run."""
    return {
        Path(file["input"]).name: "failed"
        if file["error"]
        else "up to date"
        if file["up_to_date"]
        else "labelled"
        for file in runs(job)[-1]["files"]
    }


def test_what_is_labelled_already_starts_no_process(
    command: Command, inbox_job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("run", inbox_job).code == 0
    monkeypatch.delattr("jobbatch.child.run")
    assert command("run", inbox_job).code == 0
    assert outcomes(inbox_job) == {f"{name}.csv": "up to date" for name in "abc"}


def test_of_a_folder_only_what_is_new_or_changed_is_labelled(
    command: Command, inbox_job: Path, inbox: Path, tmp_path: Path
) -> None:
    (inbox / "~$a.csv").write_text("an office program's own")
    assert command("run", inbox_job).code == 0
    assert outcomes(inbox_job) == {f"{name}.csv": "labelled" for name in "abc"}
    assert pl.read_csv(tmp_path / "done" / "b.csv")["labels"].to_list() == ["Director"] * 2
    assert runs(inbox_job)[0]["counts"]["rows"] == 6
    assert runs(inbox_job)[0]["label_shares"]["Director"] == pytest.approx(1 / 3, abs=1e-4)
    (inbox / "b.csv").write_text("id,Job Title\n1,manager\n")
    assert command("run", inbox_job).code == 0
    assert outcomes(inbox_job) == {
        "a.csv": "up to date",
        "b.csv": "labelled",
        "c.csv": "up to date",
    }
    assert pl.read_csv(tmp_path / "done" / "b.csv")["labels"].to_list() == ["Manager"]


def test_a_file_that_fails_does_not_end_the_others(
    command: Command, inbox_job: Path, inbox: Path, tmp_path: Path
) -> None:
    (inbox / "a.csv").write_text("x,y\n1,2\n")
    ran = command("run", inbox_job)
    assert ran.code == 3
    assert "1 of 3 files failed: a.csv. " in ran.err
    assert outcomes(inbox_job) == {"a.csv": "failed", "b.csv": "labelled", "c.csv": "labelled"}
    assert sorted(path.name for path in (tmp_path / "done").glob("*.csv")) == ["b.csv", "c.csv"]
    (inbox / "a.csv").write_text("id,Job Title\n1,nurse\n")
    assert command("run", inbox_job).code == 0
    assert outcomes(inbox_job) == {
        "a.csv": "labelled",
        "b.csv": "up to date",
        "c.csv": "up to date",
    }


def test_what_was_done_is_told_when_a_file_fails(
    command: Command, inbox_job: Path, inbox: Path
) -> None:
    (inbox / "a.csv").write_text("x,y\n1,2\n")
    ran = command("run", inbox_job)
    assert ran.code == 3
    assert ran.err.count("2 rows") == 2
    ran = command("run", inbox_job, "--json")
    told = json.loads(ran.out)
    assert (ran.code, told["exit_code"]) == (3, 3)
    assert [file["error"] is None for file in told["files"]] == [False, True, True]


def test_what_would_fail_for_every_file_ends_the_run(command: Command, inbox_job: Path) -> None:
    inbox_job.write_text(inbox_job.read_text() + 'device = "cuda"\n')
    assert command("run", inbox_job).code == 21
    assert len(runs(inbox_job)[0]["files"]) == 1


def test_an_empty_inbox_is_nothing_to_do_unless_it_shall_fail(
    command: Command, inbox_job: Path, inbox: Path
) -> None:
    for path in inbox.iterdir():
        path.unlink()
    assert command("run", inbox_job).code == 0
    inbox_job.write_text(inbox_job.read_text() + "fail_if_empty = true\n")
    assert command("run", inbox_job).code == 14


def test_a_missing_inbox_is_a_missing_input(command: Command, tmp_path: Path) -> None:
    job = tmp_path / "jobs [old]"
    job.mkdir()
    (job / "job.toml").write_text(INBOX.format("inbox/*.csv"))
    ran = command("run", job / "job.toml")
    assert ran.code == 10
    assert f"{job}/inbox does not exist" in ran.err


@pytest.mark.parametrize(
    ("input_name", "output", "code", "says"),
    [
        ("missing", "done", 10, "missing does not exist"),
        ("crm [1].csv", "done.csv", 10, "crm [1].csv does not exist"),
        ("inbox/*.csv", "done.csv", 10, "If it is a pattern, its output is a folder: name one"),
        ("inbox/**.csv", "done", 2, "inbox/**.csv is no pattern"),
        ("inbox", "inbox", 30, "name another output"),
        ("inbox/*.csv", "inbox", 30, "name another output"),
        ("inbox/../inbox/*.csv", "link", 30, "name another output"),
    ],
)
def test_an_input_or_output_that_cannot_be_is_told_and_makes_nothing(
    command: Command,
    inbox: Path,
    files: Files,
    input_name: str,
    output: str,
    code: int,
    says: str,
) -> None:
    Path("link").symlink_to(inbox)
    Path("job.toml").write_text(INBOX.format(input_name).replace('"done"', f'"{output}"'))
    before = files()
    ran = command("run", "job.toml")
    assert (ran.code, ran.err.count("\n")) == (code, 1)
    assert says in ran.err
    assert files() == before


def test_outputs_below_a_pattern_are_no_inputs(
    command: Command, inbox: Path, tmp_path: Path
) -> None:
    job = tmp_path / "job.toml"
    job.write_text(INBOX.format("inbox/**/*.csv").replace('"done"', '"inbox/sub/done"'))
    for _ in range(2):
        assert command("run", job).code == 0
        assert len(outcomes(job)) == 3
    assert len(list((inbox / "sub" / "done").glob("*.csv"))) == 3
    for path in inbox.glob("*.csv"):
        path.unlink()
    assert command("run", job).code == 0
    assert outcomes(job) == {}


def test_a_table_whose_output_would_have_too_long_a_name_ends_no_other(
    command: Command, inbox: Path, tmp_path: Path
) -> None:
    (inbox / f"{'a' * 249}.xls").write_text("no workbook")
    job = tmp_path / "job.toml"
    job.write_text(INBOX.format("inbox"))
    ran = command("run", job)
    assert ran.code == 3
    assert "1 of 4 files failed" in ran.err
    assert "a file's name has 255 bytes at most" in ran.err
    assert len(list((tmp_path / "done").glob("?.csv"))) == 3


def test_a_format_that_is_not_written_becomes_a_workbook(command: Command, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    pl.DataFrame({"Job Title": ["nurse"]}).write_excel(tmp_path / "inbox" / "a.xlsx")
    (tmp_path / "inbox" / "a.xlsx").rename(tmp_path / "inbox" / "a.xlsm")
    (tmp_path / "job.toml").write_text(INBOX.format("inbox"))
    assert command("run", "job.toml").code == 0
    assert (tmp_path / "done" / "a.xlsm.xlsx").exists()


def test_two_inputs_never_share_an_output(command: Command, tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / "inbox" / name).mkdir(parents=True)
        (tmp_path / "inbox" / name / "a.csv").write_text("Job Title\nnurse\n")
    (tmp_path / "job.toml").write_text(INBOX.format("inbox/**/*.csv"))
    ran = command("run", "job.toml")
    assert ran.code == 2
    assert "would all be labelled into a.csv" in ran.err
    assert not (tmp_path / "done").exists()


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    """Run a web server that notes what is asked for."""
    served = Monitor()
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


class Monitor(http.server.HTTPServer):
    """Answers every path with `status`, and remembers them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked: list[str] = []
        self.status = 200
        self.url = f"http://127.0.0.1:{self.server_address[1]}/check"


class _Answer(http.server.BaseHTTPRequestHandler):
    server: Monitor

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def with_ping(url: str) -> str:
    return JOB.replace("[label]", f'ping_url = "{url}"\n[label]')


@pytest.mark.fault(47)
def test_the_monitor_is_told_of_start_success_and_failure(
    command: Command, job: Path, monitor: Monitor
) -> None:
    job.write_text(with_ping(monitor.url))
    assert command("run", job).code == 0
    job.write_text(with_ping(f"{monitor.url}?rid=1").replace("people.csv", "missing.csv"))
    assert command("run", job).code == 10
    told = ["/check/start", "/check", "/check/start?rid=1", "/check/fail?rid=1"]
    assert monitor.asked == told


@pytest.mark.fault(47)
def test_a_monitor_that_is_down_fails_no_run(
    command: Command, job: Path, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ping, "TIMEOUT_SECONDS", 0.1)
    monitor.status = 500
    job.write_text(with_ping(monitor.url))
    ran = command("run", job, "--quiet")
    assert ran.code == 0
    assert "HTTP Error 500" in log(job)
    assert monitor.url not in log(job)
    # A port that nobody listens on, and one that takes the call and never answers.
    job.write_text(with_ping("http://127.0.0.1:9/check"))
    assert command("run", job).code == 0
    with socket.create_server(("127.0.0.1", 0)) as mute:
        job.write_text(with_ping(f"http://127.0.0.1:{mute.getsockname()[1]}/check"))
        assert command("run", job).code == 0
    assert "did not arrive" in log(job)


@pytest.mark.fault(47)
def test_a_monitor_whose_answer_comes_in_drops_does_not_hold_the_job(
    command: Command, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ping, "TIMEOUT_SECONDS", 0.5)
    done = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            while not done.wait(0.1):
                connection.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        job.write_text(with_ping(f"http://127.0.0.1:{server.getsockname()[1]}/check"))
        assert command("run", job).code == 0
        assert thread.is_alive()
        done.set()
        thread.join()
    assert "no answer within 0.5 seconds" in log(job)


@pytest.mark.fault(47)
@pytest.mark.parametrize("url", ["https://[", "http://127.0.0.1:x/secret", "http://a b/secret"])
def test_what_is_no_url_fails_no_run_and_is_not_told(
    jobbatch: Command, job: Path, url: str
) -> None:
    job.write_text(with_ping(url))
    ran = jobbatch("run", job, "--quiet")
    assert (ran.code, ran.err.count("did not arrive")) == (0, 2)
    assert "secret" not in ran.err + log(job)


@pytest.mark.fault(47)
def test_a_dead_monitor_is_a_warning_on_standard_error(jobbatch: Command, job: Path) -> None:
    job.write_text(with_ping("http://127.0.0.1:9/check"))
    ran = jobbatch("run", job, "--quiet")
    assert ran.code == 0
    assert [line.startswith("jobbatch: the ping of") for line in ran.err.splitlines()] == [True] * 2
