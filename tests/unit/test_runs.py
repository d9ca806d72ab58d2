"""The output lock, which a crash frees, and the manifest of a run."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from jobbatch.errors import InputError, LockedError, WriteError
from jobbatch.runs import FileState, RunManifest, exclusive, library_versions, manifest_path

ODD_NAMES = [
    "out.csv",
    "with space.csv",
    "-rf.csv",
    "line\nbreak.csv",
    "ü" * 125 + ".csv",
    "x" * 251 + ".csv",
]

HOLD = """
import sys, time
from pathlib import Path
from jobbatch.runs import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold_elsewhere(target: Path) -> subprocess.Popen[bytes]:
    """Start a process that holds the lock until its standard input ends, and wait for it to."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    return holder


class TestTheLock:
    @pytest.mark.fault(8)
    def test_a_second_run_on_the_same_output_is_told_so_at_once(self, tmp_path: Path) -> None:
        target = tmp_path / "out.csv"
        with (
            exclusive(target),
            pytest.raises(LockedError, match=r"working on .*out\.csv"),
            exclusive(target),
        ):
            raise AssertionError

    def test_it_is_free_again_afterwards_also_after_an_error(self, tmp_path: Path) -> None:
        target = tmp_path / "out.csv"
        with pytest.raises(KeyError), exclusive(target):
            raise KeyError
        with exclusive(target):
            pass

    @pytest.mark.fault(8)
    def test_it_is_free_again_when_its_holder_was_killed(self, tmp_path: Path) -> None:
        target = tmp_path / "out.csv"
        holder = hold_elsewhere(target)
        with pytest.raises(LockedError), exclusive(target):
            raise AssertionError
        holder.kill()
        holder.communicate()
        with exclusive(target):
            pass

    @pytest.mark.fault(9)
    def test_a_lock_file_that_nobody_holds_is_no_obstacle(self, tmp_path: Path) -> None:
        target = tmp_path / "out.csv"
        with exclusive(target):
            left_over = [path for path in tmp_path.iterdir() if path.suffix == ".lock"]
        for path in left_over:
            path.touch()
        with exclusive(target):
            pass

    @pytest.mark.fault(8)
    def test_it_is_one_lock_however_the_output_is_named(self, tmp_path: Path, monkeypatch) -> None:
        (tmp_path / "sub").mkdir()
        monkeypatch.chdir(tmp_path / "sub")
        with exclusive(tmp_path / "sub" / "out.csv"):
            for name in ("out.csv", "./out.csv", "../sub/out.csv"):
                with pytest.raises(LockedError), exclusive(Path(name)):
                    raise AssertionError

    def test_other_outputs_are_not_locked(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        others = [tmp_path / "other.csv", tmp_path / "sub" / "out.csv", tmp_path / "out.parquet"]
        with exclusive(tmp_path / "out.csv"):
            for other in others:
                with exclusive(other):
                    pass

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_odd_names_can_be_locked_and_the_output_itself_is_not_made(
        self, tmp_path: Path, name: str
    ) -> None:
        with exclusive(tmp_path / name), pytest.raises(LockedError), exclusive(tmp_path / name):
            raise AssertionError
        assert not (tmp_path / name).exists()

    def test_a_place_where_nothing_can_be_written_is_a_write_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with (
            pytest.raises(WriteError, match="cannot be written"),
            exclusive(tmp_path / "file" / "out.csv"),
        ):
            raise AssertionError


class TestFileState:
    def test_it_is_the_file_s_size_and_hash(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        content = b"x" * (3 << 20) + b"y"
        path.write_bytes(content)
        assert FileState.of(path) == FileState(
            path=str(path), size=len(content), sha256=hashlib.sha256(content).hexdigest()
        )

    def test_any_change_is_seen_even_if_size_and_time_stay(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_bytes(b"abc")
        before, stat = FileState.of(path), path.stat()
        path.write_bytes(b"abd")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert FileState.of(path) != before

    def test_a_staged_file_is_recorded_under_the_name_it_gets(self, tmp_path: Path) -> None:
        (tmp_path / "staged").write_bytes(b"abc")
        target = tmp_path / "out.csv"
        assert FileState.of(tmp_path / "staged", becomes=target).path == str(target)

    def test_a_missing_file_and_a_folder_are_input_errors(self, tmp_path: Path) -> None:
        for path in (tmp_path / "none.csv", tmp_path):
            with pytest.raises(InputError, match="cannot be read"):
                FileState.of(path)


@pytest.fixture
def manifest() -> RunManifest:
    return RunManifest(
        input=FileState(path="in ü.csv", size=1, sha256="a"),
        output=FileState(path="out.csv", size=2, sha256="b"),
        model={"name": "words", "fingerprint": "f"},
        options={"sheet": None, "prefix": "x_", "probabilities": True},
        title_column="Job Title",
        counts={"rows": 3},
        label_shares={"Owner": 0.3333},
        versions={"polars": "2"},
    )


class TestTheManifest:
    def test_it_is_read_as_it_was_written(self, manifest, tmp_path: Path) -> None:
        path = tmp_path / "out.csv.jobbatch.json"
        path.write_bytes(manifest.to_json())
        assert RunManifest.read(path) == manifest

    @pytest.mark.parametrize(
        "content", [b"", b"\xff", b"[]", b"null", b"3", b'{"input": 1}', b'{"input": {}}']
    )
    def test_one_that_is_damaged_is_as_good_as_none(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "m.json").write_bytes(content)
        assert RunManifest.read(tmp_path / "m.json") is None

    def test_one_that_is_missing_cut_short_or_of_another_schema_is_none(
        self, manifest, tmp_path: Path
    ) -> None:
        path = tmp_path / "m.json"
        assert RunManifest.read(path) is None
        path.write_bytes(replace(manifest, schema=0).to_json())
        assert RunManifest.read(path) is None
        content = manifest.to_json()
        for end in range(0, len(content) - 2, 7):
            path.write_bytes(content[:end])
            assert RunManifest.read(path) is None

    @pytest.mark.skipif(sys.platform != "linux", reason="file names are Unicode elsewhere")
    def test_a_file_name_that_is_not_utf_8_can_be_written_down(
        self, manifest, tmp_path: Path
    ) -> None:
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.csv"))
        path.write_bytes(b"")
        state = FileState.of(path)
        assert state.path.endswith("b\\udcff.csv")
        assert b"udcff" in replace(manifest, input=state).to_json()

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_it_stands_beside_its_output_under_a_name_that_a_file_can_have(
        self, tmp_path: Path, name: str
    ) -> None:
        path = manifest_path(tmp_path / name)
        assert path.parent == tmp_path
        path.write_bytes(b"{}")
        assert path.name.endswith(".jobbatch.json")

    def test_outputs_of_one_folder_have_manifests_of_their_own(self, tmp_path: Path) -> None:
        names = [*ODD_NAMES, "x" * 250 + ".csv"]
        assert len({manifest_path(tmp_path / name) for name in names}) == len(names)
        assert manifest_path(Path("out.csv")) == Path("out.csv.jobbatch.json")


def test_the_versions_of_installed_libraries_alone_are_recorded(monkeypatch) -> None:
    installed = {"polars": "2.1.0", "tokenizers": "0.22"}

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)
    assert library_versions() == installed
