"""A model folder is either its old self or the complete new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobbatch.errors import OutputError, WriteError
from jobbatch.training.staging import check_target, recover, staged_folder

pytestmark = pytest.mark.train


def make(folder: Path, content: str) -> Path:
    folder.mkdir()
    (folder / "manifest.json").write_text(content)
    return folder


def read(folder: Path) -> str:
    return (folder / "manifest.json").read_text()


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "deep" / "model") as staged:
        (staged / "manifest.json").write_text("new")
        assert not (tmp_path / "deep" / "model").exists()
    assert read(tmp_path / "deep" / "model") == "new"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["model"]


def test_a_failure_leaves_the_old_folder(tmp_path: Path) -> None:
    old = make(tmp_path / "model", "old")
    with pytest.raises(ZeroDivisionError), staged_folder(old) as staged:
        (staged / "manifest.json").write_text(str(1 / 0))
    assert read(old) == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_failed_rename_puts_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make(tmp_path / "model", "old")
    rename = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if self.name.endswith(".tmp"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(WriteError, match="No space left"), staged_folder(old) as staged:
        (staged / "manifest.json").write_text("new")
    assert read(old) == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_what_a_killed_run_left_is_put_right(tmp_path: Path) -> None:
    make(tmp_path / ".model.old", "old")
    make(tmp_path / ".model.tmp", "half")
    recover(tmp_path / "model")
    assert read(tmp_path / "model") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_an_existing_folder_needs_overwrite(tmp_path: Path) -> None:
    old = make(tmp_path / "model", "old")
    check_target(tmp_path / "other", overwrite=False)
    check_target(old, overwrite=True)
    with pytest.raises(OutputError, match="--overwrite"):
        check_target(old, overwrite=False)


def test_a_base_is_overwritten_unless_something_else_is_there(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (base / name).touch()
    check_target(base, overwrite=True)
    (base / "thesis.docx").touch()
    with pytest.raises(OutputError, match="no model folder"):
        check_target(base, overwrite=True)


def test_only_a_model_is_overwritten(tmp_path: Path) -> None:
    make(tmp_path / "model", "old")
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "model")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.docx").write_text("")
    for name in ("file", "link", "home"):
        with pytest.raises(OutputError, match="no model folder"):
            check_target(tmp_path / name, overwrite=True)
