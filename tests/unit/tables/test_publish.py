"""A target is either its old content or all of the new, never a mixture."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from jobbatch.errors import InputError, WriteError
from jobbatch.tables import publish


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / "out.csv"
    path.write_text("old")
    return path


def files(target: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in target.parent.iterdir()}


class TestStaged:
    def test_the_target_is_old_until_the_block_ends_and_new_then(self, target: Path) -> None:
        with publish.staged(target) as staged:
            staged.write_text("half")
            assert target.read_text() == "old"
            staged.write_text("new")
        assert files(target) == {"out.csv": "new"}

    def test_a_new_target_appears_whole(self, target: Path) -> None:
        target.unlink()
        with publish.staged(target) as staged:
            staged.write_text("new")
            assert not target.exists()
        assert files(target) == {"out.csv": "new"}

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
    @pytest.mark.parametrize("mode", [0o600, 0o644, 0o666, 0o400])
    def test_what_replaces_a_file_has_its_mode(self, target: Path, mode: int) -> None:
        target.chmod(mode)
        publish.publish_bytes(target, b"new")
        assert target.read_text() == "new"
        assert target.stat().st_mode & 0o777 == mode

    @pytest.mark.skipif(getattr(os, "geteuid", int)() != 0, reason="root alone gives files away")
    def test_what_replaces_a_file_has_its_owner(self, target: Path) -> None:
        os.chown(target, 65534, 65534)
        publish.publish_bytes(target, b"new")
        assert (target.stat().st_uid, target.stat().st_gid) == (65534, 65534)

    @pytest.mark.fault(3, 5)
    @pytest.mark.parametrize(
        ("raised", "seen"),
        [
            (OSError(errno.ENOSPC, "No space left on device"), WriteError),
            (OSError(errno.EDQUOT, "Disk quota exceeded"), WriteError),
            (OSError(errno.EIO, "Input/output error"), WriteError),
            (pl.exceptions.ComputeError("write failed: os error 28"), WriteError),
            (pl.exceptions.ComputeError("something else"), pl.exceptions.ComputeError),
            (InputError("the source changed"), InputError),
            (ValueError("a bug"), ValueError),
            (KeyboardInterrupt(), KeyboardInterrupt),
            (SystemExit(1), SystemExit),
        ],
    )
    def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(
        self, target: Path, raised: BaseException, seen: type[BaseException]
    ) -> None:
        with pytest.raises(seen), publish.staged(target) as staged:  # noqa: PT012
            staged.write_text("half")
            raise raised
        assert files(target) == {"out.csv": "old"}

    @pytest.mark.fault(3)
    @pytest.mark.parametrize(
        ("raised", "message"),
        [
            (OSError(errno.ENOSPC, "x"), r"out\.csv cannot be written: the disk is full"),
            (pl.exceptions.ComputeError("No space left"), "the disk is full. Free some space"),
            (OSError(errno.EACCES, "Permission denied"), r"out\.csv.*written: Permission denied"),
        ],
    )
    def test_the_message_says_what_to_do_about_it(self, target, raised, message: str) -> None:
        with pytest.raises(WriteError, match=message), publish.staged(target):
            raise raised

    def test_a_block_that_wrote_nothing_is_a_write_error(self, target: Path) -> None:
        with pytest.raises(WriteError, match="cannot be written"), publish.staged(target):
            pass
        assert files(target) == {"out.csv": "old"}

    @pytest.mark.fault(5)
    def test_a_disk_that_loses_what_was_written_is_never_a_success(
        self, target: Path, monkeypatch
    ) -> None:
        def lost(_: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "fsync", lost)
        with pytest.raises(WriteError, match="Input/output error"):
            publish.publish_bytes(target, b"new")
        assert files(target) == {"out.csv": "old"}

    @pytest.mark.fault(6)
    def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_the_end(
        self, target: Path, monkeypatch
    ) -> None:
        steps: list[str] = []

        def noting(name: str, function: Callable[..., object]) -> Callable[..., object]:
            def note(*arguments: object, **options: object) -> object:
                steps.append(name)
                return function(*arguments, **options)

            return note

        monkeypatch.setattr(os, "fsync", noting("fsync", os.fsync))
        monkeypatch.setattr(Path, "replace", noting("replace", Path.replace))
        publish.publish_bytes(target, b"new")
        assert steps == ["fsync", "replace", "fsync"][: 2 if os.name == "nt" else 3]

    @pytest.mark.fault(1)
    def test_what_a_killed_run_left_behind_is_replaced(self, target: Path) -> None:
        with publish.staged(target) as staged:
            staged.write_text("new")
        staged.write_text("left behind by a killed run")
        with publish.staged(target) as again:
            assert not again.exists()
            again.write_text("newer")
        assert files(target) == {"out.csv": "newer"}

    def test_outputs_of_one_folder_do_not_meet_while_they_are_written(self, target: Path) -> None:
        other = target.with_name("other.csv")
        with publish.staged(target) as first, publish.staged(other) as second:
            first.write_text("first")
            second.write_text("second")
        assert files(target) == {"out.csv": "first", "other.csv": "second"}

    @pytest.mark.parametrize("name", ["-rf.csv", "a b.csv", "a\nb.csv", "ü" * 125 + ".csv"])
    def test_odd_and_longest_names_can_be_published(self, target: Path, name: str) -> None:
        publish.publish_bytes(target.with_name(name), b"new")
        assert files(target) == {"out.csv": "old", name: "new"}

    def test_a_link_is_replaced_and_what_it_showed_stays_as_it_was(self, target: Path) -> None:
        link = target.with_name("latest.csv")
        link.symlink_to(target)
        publish.publish_bytes(link, b"new")
        assert not link.is_symlink()
        assert files(target) == {"out.csv": "old", "latest.csv": "new"}

    def test_a_second_name_of_the_old_file_keeps_the_old_content(self, target: Path) -> None:
        kept = target.with_name("kept.csv")
        kept.hardlink_to(target)
        publish.publish_bytes(target, b"new")
        assert files(target) == {"out.csv": "new", "kept.csv": "old"}

    def test_a_folder_that_does_not_exist_is_a_write_error(self, tmp_path: Path) -> None:
        with pytest.raises(WriteError, match="cannot be written"):
            publish.publish_bytes(tmp_path / "none" / "out.csv", b"new")


class TestTheCheckBeforehand:
    def test_a_folder_that_can_be_written_to_is_left_as_it_was(self, target: Path) -> None:
        publish.check_writable(target)
        assert files(target) == {"out.csv": "old"}

    @pytest.mark.fault(7)
    def test_a_folder_that_cannot_is_a_write_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        for folder in (tmp_path / "none", tmp_path / "file"):
            with pytest.raises(WriteError, match=r"out\.csv cannot be written"):
                publish.check_writable(folder / "out.csv")

    def test_what_a_killed_run_left_behind_is_no_obstacle(self, target: Path) -> None:
        with publish.staged(target) as staged:
            staged.write_text("new")
        staged.write_text("left behind")
        publish.check_writable(target)
        assert files(target) == {"out.csv": "new"}
