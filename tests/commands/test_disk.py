"""Disks that are full, sealed or broken: exit 32, the old output as it was, and no fragment."""

from __future__ import annotations

import hashlib
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest

from tests.commands.ran import Command, Files, Ran

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

static int calls = 0;

int fsync(int descriptor) {
    int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, "fsync");
    if (++calls == atoi(getenv("TEST_FAILING_FSYNC"))) {
        errno = EIO;
        return -1;
    }
    return real(descriptor);
}
"""
"""A disk that reports at its n-th fsync that it lost what was written."""


@pytest.fixture
def many(tmp_path: Path) -> pl.DataFrame:
    """Write many.csv and many.xlsx, whose outputs take 200 KB or more in every format."""
    notes = [hashlib.sha256(bytes(str(i), "ascii")).hexdigest() for i in range(9_000)]
    titles = [f"nurse of ward {i}" for i in range(9_000)]
    table = pl.DataFrame({"title": titles, "notes": notes})
    table.write_csv(tmp_path / "many.csv")
    table.write_excel(tmp_path / "many.xlsx")
    return table


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


@pytest.mark.system
@pytest.mark.usefixtures("many")
class TestFull:
    @pytest.mark.fault(3)
    @pytest.mark.parametrize("ending", [".parquet", ".xlsx", ".csv"])
    def test_a_full_disk_keeps_the_old_output_and_no_fragment(
        self, disk: Callable[..., Path], command: Command, ending: str
    ) -> None:
        folder = disk("size=100k")
        output = folder / f"out{ending}"
        output.write_text("old")
        ran = command("label", "many.csv", output, "--overwrite")
        assert ran.code == 32
        says = f"jobbatch: {output} cannot be written: the disk is full. Free some space\n"
        assert ran.err == says
        assert names(folder) == [output.name]
        assert output.read_text() == "old"
        assert command("label", "many.csv", f"elsewhere{ending}").code == 0

    @pytest.mark.fault(4)
    def test_a_full_temporary_folder_is_named(
        self, disk: Callable[..., Path], jobbatch: Command, files: Files
    ) -> None:
        folder, before = disk("size=20k"), files()
        ran = jobbatch("label", "many.xlsx", "out.csv", variables={"TMPDIR": str(folder)})
        assert ran.code == 32
        assert ran.err.startswith(f"jobbatch: {folder}")
        assert "is full: free some space, or set TMPDIR" in ran.err
        assert "Traceback" not in ran.err
        assert files() == before
        assert names(folder) == []

    @pytest.mark.fault(4)
    def test_a_full_score_store_is_named(
        self, disk: Callable[..., Path], command: Command, files: Files
    ) -> None:
        folder, before = disk("size=8k"), files()
        ran = command("label", "many.csv", "out.csv", "--cache-dir", folder)
        assert ran.code == 32
        assert "No space left on device" in ran.err
        assert "another folder with --cache-dir" in ran.err
        assert files() == before
        assert not list(folder.rglob("*.tmp"))


@pytest.mark.fault(4)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    ("arguments", "stream"),
    [
        (("predict", "nurse"), "stdout"),
        (("label", "people.csv", "out.csv"), "stderr"),
        (("label", "missing.csv", "out.csv"), "stderr"),
    ],
    ids=["answers", "summary", "message"],
)
def test_what_is_printed_onto_a_full_disk_is_an_exit_code_and_no_traceback(
    environment: Mapping[str, str], people_csv: Path, arguments: tuple[str, ...], stream: str
) -> None:
    del people_csv
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "jobbatch", *arguments],
            env=environment,
            check=False,
            **(pipes | {stream: full}),
        )
    assert done.returncode == (10 if "missing.csv" in arguments else 32)
    assert (done.stdout or b"") == b""
    assert (done.stderr or b"").count(b"\n") == (1 if stream == "stdout" else 0)


@pytest.mark.fault(7)
@pytest.mark.system
def test_a_disk_that_may_only_be_read_is_told_before_titles_are_scored(
    disk: Callable[..., Path], command: Command, people_csv: Path, tmp_path: Path
) -> None:
    folder = disk("size=1m")
    (folder / "out.csv").write_text("old")
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    ran = command("label", people_csv, folder / "out.csv", "--overwrite")
    assert (ran.code, ran.err.count("\n")) == (32, 1)
    assert "cannot be written: Read-only file system" in ran.err
    assert (folder / "out.csv").read_text() == "old"
    assert not (tmp_path / "scores").exists()


@pytest.mark.fault(7)
@pytest.mark.system
def test_a_disk_that_is_full_already_is_told_before_titles_are_scored(
    disk: Callable[..., Path], command: Command, people_csv: Path, tmp_path: Path
) -> None:
    folder = disk("size=64k")
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4_096))
    ran = command("label", people_csv, folder / "out.csv")
    assert (ran.code, ran.err.count("\n")) == (32, 1)
    assert "the disk is full" in ran.err
    assert [path.name for path in folder.iterdir() if path.suffix != ".lock"] == ["filler"]
    assert not (tmp_path / "scores").exists()


def growing_limits() -> Iterator[int]:
    """Yield sizes in bytes, from what the message itself takes on."""
    size = 4_096
    while True:
        yield size
        size += size // 2


@pytest.mark.fault(5)
@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("ending", [".parquet", ".xlsx", ".csv", ".arrow"])
def test_writing_may_fail_after_any_number_of_bytes(
    command: Command, files: Files, ending: str
) -> None:
    output = Path(f"out{ending}")
    output.write_text("old")
    before = files()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    failures = 0
    for limit in growing_limits():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            ran: Ran = command("label", "many.csv", output, "--overwrite")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
        if ran.code == 0:
            break
        failures += 1
        assert ran.code == 32, ran.err
        assert ran.err.count("\n") == 1
        assert output.read_text() == "old"
        assert files() == before
    assert failures > 5
    assert output.stat().st_size > limit // 2


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library of a disk that loses what was written."""
    if shutil.which("gcc") is None or not sys.platform.startswith("linux"):
        pytest.skip("there is no gcc to make the library with")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    library = folder / "shim.so"
    command = ["gcc", "-shared", "-fPIC", "-o", library, folder / "shim.c", "-ldl"]
    subprocess.run(command, check=True)
    return library


@pytest.mark.fault(5)
def test_a_disk_that_loses_what_was_written_is_never_taken_for_a_success(
    jobbatch: Command,
    command: Command,
    people_csv: Path,
    shim: Path,
    environment: Mapping[str, str],
) -> None:
    del environment
    command("label", people_csv, "undisturbed.parquet", "--cache-dir", "other")
    new = Path("undisturbed.parquet").read_bytes()
    output = Path("out.parquet")
    for failing in range(1, 20):
        output.write_bytes(b"old")
        variables = {"LD_PRELOAD": str(shim), "TEST_FAILING_FSYNC": str(failing)}
        cache = ("--cache-dir", f"cache{failing}")
        ran = jobbatch("label", people_csv, output, "--overwrite", *cache, variables=variables)
        if ran.code == 0:
            break
        assert ran.code == 32
        assert "Input/output error" in ran.err
        assert ran.err.count("\n") == 1
        assert output.read_bytes() in {b"old", new}
    assert failing > 4, "a part, the manifest, the output and their folders are synced"
    assert output.read_bytes() == new
