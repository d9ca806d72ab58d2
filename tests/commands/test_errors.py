"""Each mistake of a user: one message that says what is wrong, its exit code, and nothing left."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from tests import hostile, wordmodel, workbooks
from tests.commands.ran import Command, Files

OUT = "out.csv"


@dataclass(frozen=True)
class Mistake:
    """What a user does wrong, and what must be answered."""

    code: int
    says: str
    arguments: tuple[str, ...] = ("people.csv", OUT)
    prepare: Callable[[], object] = lambda: None


def table(text: str) -> Callable[[], object]:
    return lambda: Path("people.csv").write_text(text)


def raw(name: str, content: bytes) -> Callable[[], object]:
    return lambda: Path(name).write_bytes(content)


def a_folder() -> None:
    Path("people.parquet").mkdir()


def a_workbook_cut_short() -> None:
    pl.DataFrame({"title": ["nurse"]}).write_excel("people.xlsx")
    Path("people.xlsx").write_bytes(Path("people.xlsx").read_bytes()[:2_000])


def an_archive_that_is_no_workbook() -> None:
    with zipfile.ZipFile("people.xlsx", "w") as archive:
        archive.writestr("readme.txt", "hello")


def a_parquet_file_cut_short() -> None:
    pl.DataFrame({"title": ["nurse"]}).write_parquet("people.parquet")
    Path("people.parquet").write_bytes(Path("people.parquet").read_bytes()[:-9])


def an_arrow_file_with_a_damaged_length() -> None:
    Path("people.arrow").write_bytes(hostile.damaged(hostile.table(".arrow"), seed=112))


def an_existing_output() -> None:
    Path(OUT).write_text("mine")


def a_settings_file(text: str) -> Callable[[], object]:
    return lambda: Path("jobbatch.toml").write_text(text)


def a_protected_workbook() -> None:
    content = workbooks.protected_xlsx(hostile.table(".xlsx", rows=1), "open")
    Path("people.xlsx").write_bytes(content)


MISTAKES = {
    # The command line and its settings
    "a URL as input": Mistake(2, "is a URL", ("https://example.org/a.csv", OUT)),
    "a URL as output": Mistake(2, "is a URL", ("people.csv", "s3://bucket/out.csv")),
    "an input of unknown kind": Mistake(2, ".pdf cannot be read", ("people.pdf", OUT)),
    "an output of unknown kind": Mistake(2, ".xls cannot be written", ("people.csv", "out.xls")),
    "no ending": Mistake(2, "nothing cannot be read", ("people", OUT)),
    "an unknown device": Mistake(2, "'gpu' is none of", ("people.csv", OUT, "--device", "gpu")),
    "less than no threads": Mistake(2, "is below 0", ("people.csv", OUT, "--threads=-1")),
    "an unknown encoding": Mistake(
        2, "there is no such encoding", ("people.csv", OUT, "--encoding", "ut8")
    ),
    "an unknown key in jobbatch.toml": Mistake(
        2, "[label] has the unknown key 'prefx'", prepare=a_settings_file('[label]\nprefx = "a"')
    ),
    "an unknown table in jobbatch.toml": Mistake(
        2, "unknown table or key 'lable'", prepare=a_settings_file('[lable]\nprefix = "a"')
    ),
    "a value where jobbatch.toml has a table": Mistake(
        2, "'label' is not a table", prepare=a_settings_file("label = 3")
    ),
    "a value of the wrong kind in jobbatch.toml": Mistake(
        2, "'prefix': 3 is not a text", prepare=a_settings_file("[label]\nprefix = 3")
    ),
    "a part of a thread": Mistake(
        2, "1.5 is not a whole number", prepare=a_settings_file("[label]\nthreads = 1.5")
    ),
    "a jobbatch.toml that is no TOML": Mistake(
        2, "jobbatch.toml is not valid TOML", prepare=a_settings_file("[label")
    ),
    # The input
    "a missing input": Mistake(10, "missing.csv does not exist", ("missing.csv", OUT)),
    "a folder as input": Mistake(10, "people.parquet", ("people.parquet", OUT), a_folder),
    "an empty file": Mistake(10, "people.csv is empty", prepare=table("")),
    "an empty workbook file": Mistake(10, "is empty", ("people.xlsx", OUT), raw("people.xlsx", b"")),
    "a CSV named .xlsx": Mistake(
        10,
        "is not a spreadsheet (looks like CSV)",
        ("people.xlsx", OUT),
        raw("people.xlsx", b"id,title\n1,nurse\n"),
    ),
    "a workbook cut short": Mistake(
        10, "cannot be read as a spreadsheet", ("people.xlsx", OUT), a_workbook_cut_short
    ),
    "an archive named .xlsx": Mistake(
        10, "cannot be read as a spreadsheet", ("people.xlsx", OUT), an_archive_that_is_no_workbook
    ),
    "a Parquet file cut short": Mistake(
        10, "people.parquet cannot be read", ("people.parquet", OUT), a_parquet_file_cut_short
    ),
    "an Arrow file with a damaged length": Mistake(
        10,
        "people.arrow cannot be read: failed to fill whole buffer",
        ("people.arrow", OUT),
        an_arrow_file_with_a_damaged_length,
    ),
    "text named .parquet": Mistake(
        10, "cannot be read", ("people.parquet", OUT), raw("people.parquet", b"id,title\n" * 9)
    ),
    "broken JSON lines": Mistake(
        10, "people.jsonl cannot be read", ("people.jsonl", OUT), raw("people.jsonl", b'{"title"')
    ),
    "text that is not UTF-8": Mistake(
        10, "byte 11 does not decode", prepare=raw("people.csv", b"id,title\n1,\xe9v\xeaque\n")
    ),
    "a row with too many fields": Mistake(
        10, "people.csv cannot be read", prepare=table("id,title\n1,nurse\n2,nurse,3\n")
    ),
    "a workbook with a password": Mistake(
        12, "protected by a password", ("people.xlsx", OUT), a_protected_workbook
    ),
    "no title column": Mistake(13, "'a' (0.00), 'b' (0.00)", prepare=table("a,b\n1,2\n")),
    "two title columns": Mistake(
        13, "several columns may hold job titles", prepare=table("title,job title\nnurse,nurse\n")
    ),
    "a title column that is not there": Mistake(
        13, "there is no such column", ("people.csv", OUT, "--title-column", "Beruf")
    ),
    "a title column of lists": Mistake(
        13,
        "the title column 'title' holds List(String), which is no text",
        ("people.jsonl", OUT),
        raw("people.jsonl", b'{"title": ["nurse"]}\n'),
    ),
    "a sheet that is not there": Mistake(
        13,
        "there is no sheet 'B'. Sheets: Sheet1",
        ("people.xlsx", OUT, "--sheet", "B"),
        lambda: pl.DataFrame({"title": ["nurse"]}).write_excel("people.xlsx"),
    ),
    "no rows": Mistake(
        14, "has no data rows", ("people.csv", OUT, "--fail-if-empty"), table("id,title\n")
    ),
    # The model and what it runs on
    "no such model": Mistake(
        20, "nowhere is not a model folder", ("people.csv", OUT, "--model", "nowhere")
    ),
    "CUDA without CUDA": Mistake(
        21, "pass --device cpu", ("people.csv", OUT, "--device", "cuda")
    ),
    # The output
    "an existing output": Mistake(30, "pass --overwrite", prepare=an_existing_output),
    "the input as output": Mistake(30, "the same file", ("people.csv", "people.csv")),
    "a folder that does not exist": Mistake(30, "make it first", ("people.csv", "a/out.csv")),
    "a column named as ours": Mistake(
        30, "has the columns labels already", prepare=table("title,labels\nnurse,x\n")
    ),
    "nested columns in a flat format": Mistake(
        31,
        "cannot hold the nested columns who",
        ("people.jsonl", OUT),
        raw("people.jsonl", b'{"title": "nurse", "who": {"first": "A"}}\n'),
    ),
}  # fmt: skip

FAULTS = {
    10: ("an existing output", "the input as output"),
    12: (
        "an empty file",
        "an empty workbook file",
        "a CSV named .xlsx",
        "a workbook cut short",
        "an archive named .xlsx",
    ),
    17: (
        "a Parquet file cut short",
        "text named .parquet",
        "an Arrow file with a damaged length",
    ),
    19: ("a workbook with a password",),
    20: ("no title column", "two title columns", "a title column that is not there"),
    25: ("text that is not UTF-8",),
    26: ("a row with too many fields",),
    27: ("no rows",),
    28: ("a column named as ours",),
    43: ("a URL as input", "a URL as output"),
}
"""The promises that they prove."""


def marks(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.fault(row) for row, names in FAULTS.items() if name in names]


@pytest.mark.parametrize(
    "mistake", [pytest.param(m, id=name, marks=marks(name)) for name, m in MISTAKES.items()]
)
@pytest.mark.usefixtures("people_csv")
def test_a_mistake_gets_one_line_and_leaves_nothing_behind(
    command: Command, files: Files, mistake: Mistake
) -> None:
    mistake.prepare()
    before = {name: Path(name).read_bytes() for name in files()}
    ran = command("label", *mistake.arguments)
    assert ran.err.startswith("jobbatch: ")
    assert mistake.says in ran.err
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err
    assert ran.code == mistake.code
    assert ran.out == ""
    assert {name: Path(name).read_bytes() for name in files()} == before


@pytest.mark.usefixtures("people_csv")
def test_a_wrong_variable_is_a_mistake_too(
    command: Command, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBBATCH_THREADS", "many")
    monkeypatch.setenv("JOBBATCH_OVERWRITE", "perhaps")
    ran = command("label", "people.csv", OUT)
    assert ran.code == 2
    assert "'threads': 'many' is not a number" in ran.err
    assert "'overwrite': 'perhaps' is not true or false" in ran.err
    assert files() == ["people.csv"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("label", "people.csv"), "Missing argument 'OUTPUT'"),
        (("label", "people.csv", OUT, "--ovewrite"), "No such option"),
        (("label", "people.csv", OUT, "--threads", "many"), "--threads"),
        (("lable",), "No such command 'lable'"),
        (("predict",), "Missing argument"),
        (("train", "people.csv"), "Missing option '--out'"),
    ],
)
def test_a_wrong_command_line_is_explained(
    command: Command, files: Files, arguments: tuple[str, ...], says: str
) -> None:
    ran = command(*arguments)
    assert ran.code == 2
    assert says.lower() in ran.err.lower()
    assert "Try 'jobbatch" in ran.err
    assert "Traceback" not in ran.err
    assert files() == []


# Model folders that are not whole


def _with_nan(folder: Path) -> None:
    graph = folder / "onnx" / "model_int8.onnx"
    bias = struct.pack("<6f", *[wordmodel.BIAS] * 6)
    assert graph.read_bytes().count(bias) == 1
    graph.write_bytes(graph.read_bytes().replace(bias, struct.pack("<6f", *[float("nan")] * 6)))
    _sign(folder)


def _sign(folder: Path, **changes: object) -> None:
    """Write a manifest that fits the folder, but for the changes."""
    manifest = wordmodel.Manifest.from_json((folder / "manifest.json").read_bytes())
    fields = {name: getattr(manifest, name) for name in wordmodel.Manifest.__dataclass_fields__}
    wordmodel.write_manifest(folder, wordmodel.Manifest(**(fields | changes)))  # type: ignore[arg-type]


def _replace_with_link(folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.rename(folder.parent / "elsewhere.json")
    path.symlink_to(folder.parent / "elsewhere.json")


def _edit_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"words"', '"other"'))


def _append(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + b" ")


def _change_vocabulary_size(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"vocab_size": 7}))
    _sign(folder)


def _canary(folder: Path) -> None:
    _sign(folder, canaries=(wordmodel.Canary(title="nurse", probabilities=(0.5,) * 6),))


MODEL_FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "is not a model folder"),
    "an edited manifest": (_edit_manifest, "manifest.json was altered"),
    "another graph": (_append("onnx/model_int8.onnx"), "model_int8.onnx is corrupt"),
    "another tokenizer": (_append("tokenizer.json"), "tokenizer.json is corrupt"),
    "other decisions": (_append("decisions.json"), "decisions.json is corrupt"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "a link": (_replace_with_link, "tokenizer.json is missing (or a link"),
    "another normaliser": (lambda f: _sign(f, normaliser_version="0"), "normaliser 0"),
    "a label too many": (lambda f: _sign(f, labels=tuple("abcdefg")), "names 7 labels"),
    "another vocabulary": (_change_vocabulary_size, "tokenizer.json has 12 tokens"),
    "not a number": (_with_nan, "not finite"),
    "other answers": (_canary, "the canary titles' probabilities are off"),
}


@pytest.mark.fault(31, 33)
@pytest.mark.parametrize(("spoil", "says"), MODEL_FAULTS.values(), ids=MODEL_FAULTS)
@pytest.mark.usefixtures("people_csv")
def test_a_model_that_is_not_whole_labels_nothing(
    command: Command,
    files: Files,
    word_model: Path,
    tmp_path: Path,
    spoil: Callable[[Path], object],
    says: str,
) -> None:
    folder = tmp_path / "spoiled"
    shutil.copytree(word_model, folder)
    spoil(folder)
    before = files()
    ran = command("label", "people.csv", OUT, "--model", folder)
    assert ran.code == 20
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert files() == before


# Job files


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ("", ["'job' is missing"]),
        ('[job]\ncommand = "label"\n[gate]', ["'gate'"]),
        (
            '[job]\ncommand = "label"\n[train]\nout = "mine"',
            ["the command 'label' needs a table [label]", "[train] is not of the command 'label'"],
        ),
        (
            '[job]\ncommand = "train"\nkeep = 0\nping_url = "file:///etc/passwd"\ncron = "daily"',
            ["'keep' is 0", "neither http:// nor https://", "'daily' has not five fields"],
        ),
        ("job = 3", ["'job': 3 is not a table"]),
        (
            '[job]\ncommand="label"\ncorn="* * * * *"\n[label]\ninput="a.csv"\noutptu=""\n[lable]',
            ["'corn'", "'outptu'", "'output' is missing", "'lable'"],
        ),
        (
            '[job]\ncommand = "labels"\n[label]\ninput = 3\noutput = "b.csv"\nthreads = "many"',
            ["'labels' is none of label", "3 is not a path", "'many' is not a number"],
        ),
        ("[job", ["is not valid TOML"]),
    ],
)
def test_a_wrong_job_file_has_all_its_faults_named_at_once(
    command: Command, files: Files, job: str, says: list[str]
) -> None:
    Path("job.toml").write_text(job)
    ran = command("run", "job.toml")
    assert ran.code == 2
    assert ran.err.startswith("jobbatch: job.toml")
    assert ran.err.count("\n") == 1
    assert [text for text in says if text not in ran.err] == []
    assert files() == ["job.toml"]


def test_a_missing_job_file_is_a_usage_error(command: Command) -> None:
    ran = command("run", "job.toml")
    assert (ran.code, ran.err) == (
        2,
        "jobbatch: job.toml cannot be read: No such file or directory\n",
    )


# Whoever may not read or write


@pytest.fixture
def as_nobody_special() -> list[str]:
    """Return what makes a command obey permissions, which root does not."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may read and write everything")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]


@pytest.mark.fault(7)
@pytest.mark.parametrize(
    ("sealed", "code", "says"),
    [
        ("people.csv", 10, "people.csv cannot be read: Permission denied"),
        ("folder", 32, "folder cannot be written: Permission denied"),
    ],
)
@pytest.mark.usefixtures("people_csv")
def test_missing_permissions_are_told(
    environment: Mapping[str, str], as_nobody_special: list[str], sealed: str, code: int, says: str
) -> None:
    Path("folder").mkdir()
    Path(sealed).chmod(0o500 if sealed == "folder" else 0)
    done = unprivileged(
        environment, as_nobody_special, "label", "people.csv", "folder/out.csv", sealed=sealed
    )
    assert done.returncode == code
    assert done.stderr.decode() == f"jobbatch: {says}\n"
    assert {path.suffix for path in Path("folder").iterdir()} <= {".lock"}


JOB_THERE = '[job]\ncommand = "label"\n[label]\ninput = "{}"\noutput = "{}"\n'


@pytest.mark.fault(7)
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("label", "sealed/people.csv", OUT), 10, "sealed/people.csv cannot be read: Permission"),
        (("label", "people.csv", "sealed/out.csv"), 32, "sealed cannot be written: Permission denied"),
        (("label", "people.csv", OUT, "--model", "sealed/model"), 20, "cannot be read: Permission"),
        (("run", "sealed/job.toml"), 2, "sealed/job.toml cannot be read: Permission denied"),
        (("run", "in.toml"), 10, "sealed/people.csv cannot be read: Permission denied"),
        (("run", "inbox.toml"), 10, "sealed/inbox cannot be read: Permission denied"),
        (("run", "out.toml"), 32, "sealed/out cannot be made: Permission denied"),
        (("doctor", "in.toml"), 10, "sealed/people.csv cannot be read: Permission denied"),
        (("doctor", "out.toml"), 32, "cannot be written: Permission denied"),
        (("doctor", "inbox.toml"), 10, "sealed/inbox cannot be read: Permission denied"),
        (("label", "people.csv", OUT, "--cache-dir", "sealed/cache"), 32, "score cache cannot be written"),
        (("cache", "--cache-dir", "sealed/cache"), 0, ""),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("people_csv")
def test_a_folder_that_may_not_be_entered_is_told(
    environment: Mapping[str, str],
    as_nobody_special: list[str],
    arguments: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    Path("sealed").mkdir(mode=0)
    jobs = {
        "in": ("sealed/people.csv", "out.csv"),
        "inbox": ("sealed/inbox/*.csv", "done"),
        "out": ("people.csv", "sealed/out/out.csv"),
    }
    for name, paths in jobs.items():
        Path(f"{name}.toml").write_text(JOB_THERE.format(*paths))
    done = unprivileged(environment, as_nobody_special, *arguments, sealed="sealed")
    assert done.returncode == code, done.stderr.decode()
    assert says in (done.stdout + done.stderr).decode()
    assert b"Traceback" not in done.stderr


def unprivileged(
    environment: Mapping[str, str], prefix: list[str], *arguments: str, sealed: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command as somebody who obeys permissions, then unseal a path."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "jobbatch", *arguments],
        env=environment,
        capture_output=True,
        check=False,
    )
    Path(sealed).chmod(0o700)
    return done


def test_a_bug_is_not_dressed_up_as_a_mistake(jobbatch: Command, people_csv: Path) -> None:
    patch = "from jobbatch import labeller\nlabeller.ScoreStore.commit = lambda *_: 1 / 0"
    ran = jobbatch("label", people_csv, OUT, patch=patch)
    assert ran.code == 1
    assert "ZeroDivisionError" in ran.err
