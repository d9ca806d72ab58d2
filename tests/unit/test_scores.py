"""The score store: what was committed is found again, what is damaged is scored again."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from jobbatch.errors import WriteError
from jobbatch.scores import IN_USE, KEPT, ScoreStore, remove_unused, schema, stores


def scores(**probabilities: float) -> pl.DataFrame:
    """Return scores of these keys by a model with two labels."""
    rows = [(key, [p, 1 - p], p > 0.5) for key, p in probabilities.items()]
    return pl.DataFrame(rows, schema=schema(2), orient="row")


@pytest.fixture
def store(tmp_path: Path) -> ScoreStore:
    return ScoreStore(tmp_path / "cache", "f1", 2)


def reopened(store: ScoreStore, fingerprint: str = "f1") -> ScoreStore:
    return ScoreStore(store.folder.parent.parent, fingerprint, 2)


def parts(store: ScoreStore) -> list[Path]:
    return sorted(store.folder.iterdir())


def test_a_new_store_knows_nothing_and_makes_no_folder(store: ScoreStore, tmp_path: Path) -> None:
    assert store.known().equals(pl.DataFrame(schema=schema(2)))
    assert not (tmp_path / "cache").exists()


def test_committed_scores_are_found_again_exactly(store: ScoreStore) -> None:
    store.commit(scores(nurse=0.1234, owner=0.9))
    store.commit(scores(chef=0.5))
    known = reopened(store).known().sort("key")
    assert known.equals(scores(chef=0.5, nurse=0.1234, owner=0.9))
    assert known.schema == schema(2)


def test_a_key_committed_twice_is_known_once(store: ScoreStore) -> None:
    store.commit(scores(nurse=0.25, owner=0.75))
    store.commit(scores(nurse=0.25, chef=0.5))
    assert sorted(store.known()["key"]) == ["chef", "nurse", "owner"]


def test_equal_scores_are_stored_once(store: ScoreStore) -> None:
    store.commit(scores(nurse=0.25))
    store.commit(scores(nurse=0.25))
    assert len(parts(store)) == 1


def test_columns_beside_the_scores_are_not_stored(store: ScoreStore) -> None:
    store.commit(scores(nurse=0.25).with_columns(more=1).select("more", *schema(2).names()))
    assert store.known().equals(scores(nurse=0.25))


@pytest.mark.fault(41)
def test_another_fingerprint_sees_nothing(store: ScoreStore) -> None:
    store.commit(scores(nurse=0.25))
    assert reopened(store, "f2").known().height == 0


@pytest.mark.fault(42)
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other"])
def test_a_damaged_part_is_left_out_with_a_warning_and_the_others_stay(
    store: ScoreStore, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.commit(scores(nurse=0.25))
    store.commit(scores(owner=0.75))
    spoilt, whole = parts(store)
    content = bytearray(spoilt.read_bytes())
    content[len(content) // 2] ^= 1
    spoilt.write_bytes(
        {
            "flip": bytes(content),
            "cut": bytes(content[:-7]),
            "empty": b"",
            "other": whole.read_bytes(),  # a sound part, but not the one that the name says
        }[damage]
    )
    with caplog.at_level(logging.WARNING):
        known = store.known()
    assert known.equals(pl.read_parquet(whole))
    assert [r.getMessage() for r in caplog.records] == [
        f"the cached scores {spoilt} are damaged; scoring those titles again"
    ]
    caplog.clear()
    assert store.known().equals(known)
    assert caplog.records == []


@pytest.mark.fault(42)
def test_a_part_that_cannot_be_read_is_left_out_with_a_warning(
    store: ScoreStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.commit(scores(nurse=0.25))
    (part,) = parts(store)
    part.unlink()
    part.mkdir()
    assert store.known().height == 0
    assert "cannot be read" in caplog.text
    store.commit(scores(owner=0.75))
    assert store.known().equals(scores(owner=0.75))


@pytest.mark.fault(42)
def test_titles_of_a_damaged_part_can_be_committed_again(store: ScoreStore) -> None:
    store.commit(scores(nurse=0.25))
    (part,) = parts(store)
    part.write_bytes(b"")
    assert store.known().height == 0
    store.commit(scores(nurse=0.25))
    assert store.known().equals(scores(nurse=0.25))


@pytest.mark.fault(1)
def test_what_a_killed_run_left_half_written_is_no_part(store: ScoreStore) -> None:
    store.commit(scores(nurse=0.25))
    (part,) = parts(store)
    part.with_suffix(".4711.tmp").write_bytes(part.read_bytes()[:99])
    assert store.known().equals(scores(nurse=0.25))


@pytest.mark.fault(4, 5)
def test_a_commit_that_fails_leaves_nothing_and_names_the_option(
    store: ScoreStore, monkeypatch
) -> None:
    store.commit(scores(nurse=0.25))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=r"No space left.*--cache-dir"):
        store.commit(scores(owner=0.75))
    assert len(parts(store)) == 1
    assert store.known().equals(scores(nurse=0.25))


def test_a_cache_folder_that_is_a_file_is_a_write_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = ScoreStore(tmp_path / "file", "f1", 2)
    assert store.known().height == 0
    with pytest.raises(WriteError, match="--cache-dir"):
        store.commit(scores(nurse=0.25))


def last_used(store: ScoreStore, ago: timedelta) -> None:
    """Make a store look as if it had not been used for so long."""
    then = time.time() - ago.total_seconds()
    os.utime(store.folder, (then, then))


class TestOldScores:
    def test_those_that_nobody_asked_for_in_a_while_are_removed_and_the_others_stay(
        self, store: ScoreStore, tmp_path: Path
    ) -> None:
        other = reopened(store, "f2")
        for each in (store, other):
            each.commit(scores(nurse=0.25))
        last_used(other, KEPT + timedelta(hours=1))
        last_used(store, KEPT - timedelta(hours=1))
        remove_unused(tmp_path / "cache", KEPT)
        assert [kept.fingerprint for kept in stores(tmp_path / "cache")] == ["f1"]
        assert other.known().height == 0
        assert store.known().height == 1

    @pytest.mark.parametrize(
        "use", [lambda store: store.known(), lambda store: store.commit(scores(owner=0.75))]
    )
    def test_asking_for_scores_and_adding_some_are_uses(
        self, store: ScoreStore, tmp_path: Path, use: Callable[[ScoreStore], object]
    ) -> None:
        store.commit(scores(nurse=0.25))
        last_used(store, 2 * KEPT)
        use(store)
        remove_unused(tmp_path / "cache", IN_USE)
        assert len(stores(tmp_path / "cache")) == 1

    def test_what_is_kept_is_told_last_used_first(self, store: ScoreStore, tmp_path: Path) -> None:
        assert stores(tmp_path / "cache") == []
        store.commit(scores(nurse=0.25))
        last_used(store, timedelta(days=2))
        other = reopened(store, "f2")
        other.commit(scores(nurse=0.25, owner=0.75))
        other.commit(scores(chef=0.5))
        first, second = stores(tmp_path / "cache")
        assert (first.fingerprint, first.titles) == ("f2", 3)
        assert (second.fingerprint, second.titles) == ("f1", 1)
        assert second.size == sum(part.stat().st_size for part in parts(store))
        assert first.last_used > second.last_used

    def test_a_damaged_part_holds_no_titles(self, store: ScoreStore, tmp_path: Path) -> None:
        store.commit(scores(nurse=0.25))
        parts(store)[0].write_bytes(b"")
        assert [kept.titles for kept in stores(tmp_path / "cache")] == [0]

    def test_parts_that_are_removed_while_they_are_read_are_unknown(
        self, store: ScoreStore, monkeypatch
    ) -> None:
        store.commit(scores(nurse=0.25))
        scan = pl.scan_parquet

        def too_late(*arguments: object, **options: object) -> pl.LazyFrame:
            frame = scan(*arguments, **options)  # type: ignore[arg-type]
            shutil.rmtree(store.folder)
            return frame

        monkeypatch.setattr(pl, "scan_parquet", too_late)
        assert store.known().height == 0

    def test_a_folder_that_is_removed_while_a_part_is_written_is_made_again(
        self, store: ScoreStore, monkeypatch
    ) -> None:
        store.commit(scores(nurse=0.25))
        sync = os.fsync

        def removing(descriptor: int) -> None:
            sync(descriptor)
            monkeypatch.setattr(os, "fsync", sync)
            shutil.rmtree(store.folder)

        monkeypatch.setattr(os, "fsync", removing)
        store.commit(scores(owner=0.75))
        assert store.known().equals(scores(owner=0.75))
