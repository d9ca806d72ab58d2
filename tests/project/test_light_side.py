"""Labelling needs no PyTorch, help needs nothing at all, and what is missing is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

HEAVY = {
    "torch",
    "transformers",
    "optimum",
    "sklearn",
    "onnx",
    "datasets",
    "scipy",
    "pandas",
    "matplotlib",
    "cleanlab",
}
LIGHT = {"polars", "numpy", "onnxruntime", "tokenizers", "rich", "fastexcel", "xlsxwriter"}
REPORT_MODULES = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted({n.split(".")[0] for n in sys.modules}))))
"""
RUN = "from jobbatch.cli import main\nmain()"
LABEL_HERE = """
import os
from pathlib import Path
from jobbatch import LabelSettings, label_file
asked = LabelSettings(
    input=Path("people.csv"), output=Path(sys.argv[1]), model=os.environ["JOBBATCH_MODEL"]
)
label_file(asked, isolated=False)
"""


def run(
    code: str, *arguments: str, variables: Mapping[str, str] | None = None, first: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run code; `first` runs when each of its processes starts."""
    Path("first").mkdir(exist_ok=True)
    Path("first/sitecustomize.py").write_text(first)
    path = os.pathsep.join([str(Path("first").absolute()), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": path, **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def imported(code: str, *arguments: str, variables: Mapping[str, str] | None = None) -> set[str]:
    """Return the top-level modules that are loaded when `code` has run."""
    done = run(REPORT_MODULES + code, *arguments, variables=variables)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def without(*modules: str) -> str:
    """Return code that makes modules look as if they were not installed."""
    return f"import sys\nsys.modules.update(dict.fromkeys({modules!r}))\n"


@pytest.fixture
def people(word_model: Path, tmp_path: Path) -> Mapping[str, str]:
    """Write people.csv, and return the variables that name the word model."""
    Path("people.csv").write_text("id,Job Title\n1,nurse\n")
    return {"JOBBATCH_MODEL": str(word_model), "JOBBATCH_CACHE_DIR": str(tmp_path / "scores")}


@pytest.mark.parametrize("output", ["out.xlsx", "out.parquet"])
def test_labelling_loads_nothing_of_training(people: Mapping[str, str], output: str) -> None:
    loaded = imported(LABEL_HERE, output, variables=people)
    assert "onnxruntime" in loaded
    assert loaded & HEAVY == set()


def test_the_process_that_publishes_loads_nothing_that_could_read_a_table(
    people: Mapping[str, str],
) -> None:
    loaded = imported(RUN, "label", "people.csv", "out.parquet", variables=people)
    assert loaded & (HEAVY | LIGHT) == {"rich"}


def test_a_label_job_loads_nothing_of_training(people: Mapping[str, str]) -> None:
    Path("job.toml").write_text(
        '[job]\ncommand = "label"\n[label]\ninput = "people.csv"\noutput = "out.csv"\n'
    )
    assert imported(RUN, "run", "job.toml", variables=people) & HEAVY == set()
    assert Path("out.csv").exists()
    assert (
        imported("from jobbatch.jobs import load\nload(__import__('pathlib').Path('job.toml'))")
        & HEAVY
        == set()
    )


def test_reading_a_workbook_loads_nothing_of_training() -> None:
    assert imported("import jobbatch.tables.convert") & HEAVY == set()


def test_predicting_loads_nothing_of_training(people: Mapping[str, str]) -> None:
    loaded = imported(RUN, "predict", "nurse", variables=people)
    assert "onnxruntime" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("label",),
        ("predict",),
        ("train",),
        ("evaluate",),
        ("audit",),
        ("export-onnx",),
        ("run",),
        ("schedule",),
        ("cache",),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_help_is_instant_because_it_loads_nothing(arguments: tuple[str, ...]) -> None:
    assert imported(RUN, *arguments, "--help") & (HEAVY | LIGHT) == set()


def test_importing_the_package_loads_nothing() -> None:
    assert imported("import jobbatch") & (HEAVY | LIGHT | {"typer"}) == set()


@pytest.mark.parametrize("arguments", [("label", "people.csv", "out.csv"), ("predict", "nurse")])
def test_without_onnx_runtime_the_two_ways_to_get_it_are_named(
    people: Mapping[str, str], arguments: tuple[str, ...]
) -> None:
    done = run(RUN, *arguments, variables=people, first=without("onnxruntime"))
    assert done.returncode == 24
    assert "pip install 'jobbatch[cpu]'" in done.stderr
    assert "pip install 'jobbatch[cuda]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not Path("out.csv").exists()


@pytest.mark.parametrize("missing", ["torch", "optimum", "sklearn", "matplotlib"])
def test_without_the_extra_train_names_what_is_missing_and_how_to_get_it(
    people: Mapping[str, str], missing: str
) -> None:
    done = run(without(missing) + RUN, "train", "people.csv", "--out", "mine", variables=people)
    assert done.returncode == 24
    assert missing in done.stderr
    assert "pip install 'jobbatch[train,cpu]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not Path("mine").exists()


def test_without_the_extra_export_onnx_says_so_too(people: Mapping[str, str]) -> None:
    recipe = ("--recipe", "cpu-int8.toml")
    done = run(without("torch") + RUN, "export-onnx", "mine", *recipe, variables=people)
    assert done.returncode == 24
    assert "pip install 'jobbatch[train,cpu]'" in done.stderr


def test_without_the_extra_audit_says_so_too(people: Mapping[str, str]) -> None:
    blocked = without("cleanlab") + RUN
    done = run(blocked, "audit", "people.csv", "--out", "a.xlsx", variables=people)
    assert done.returncode == 24
    assert "cleanlab" in done.stderr
    assert "pip install 'jobbatch[train,cpu]'" in done.stderr


def test_without_the_extra_labelling_works(people: Mapping[str, str]) -> None:
    done = run(RUN, "label", "people.csv", "out.csv", variables=people, first=without(*HEAVY))
    assert done.returncode == 0, done.stderr
    assert "Individual Contributor/Staff" in Path("out.csv").read_text()


def test_of_two_onnx_runtimes_that_spoilt_each_other_the_mending_is_told(
    people: Mapping[str, str],
) -> None:
    spoilt = "import sys, types\nsys.modules['onnxruntime'] = types.ModuleType('onnxruntime')\n"
    arguments = ("label", "people.csv", "out.csv", "--device=cpu")
    done = run(RUN, *arguments, variables=people, first=spoilt)
    assert done.returncode == 24
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in done.stderr
