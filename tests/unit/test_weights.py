"""A model folder: nothing of it is used unless it is, to the byte, what its manifest says."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobbatch import weights as weights_module
from jobbatch.errors import ModelError
from jobbatch.model import OpenOptions, TitleModel
from jobbatch.titles import Normaliser
from jobbatch.weights import (
    MANIFEST,
    Canary,
    FileRecord,
    Manifest,
    ModelFolder,
    default_model,
    resolve_model,
    write_manifest,
)

GRAPH = "onnx/model_int8.onnx"


@pytest.fixture
def folder(word_model, tmp_path: Path) -> Path:
    """Return a copy of the word model that a test may damage."""
    return shutil.copytree(word_model, tmp_path / "copy")


def flips(folder: Path, n_flips: int) -> Iterator[tuple[Path, bytes]]:
    """Yield a file and its content with one bit changed, at random places of all files."""
    places = random.Random(0)  # noqa: S311 - not for secrets
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for i in range(n_flips):
        path = paths[i % len(paths)]
        content = bytearray(path.read_bytes())
        content[places.randrange(len(content))] ^= 1 << places.randrange(8)
        yield path, bytes(content)


class TestDamage:
    @pytest.mark.fault(32)
    def test_any_flipped_bit_of_any_file_is_a_model_error(self, folder: Path) -> None:
        for path, damaged in flips(folder, 400):
            whole = path.read_bytes()
            path.write_bytes(damaged)
            with pytest.raises(ModelError):
                ModelFolder(folder).verify()
            with pytest.raises(ModelError):
                TitleModel(folder, OpenOptions(device="cpu"))
            path.write_bytes(whole)
        ModelFolder(folder).verify()

    @pytest.mark.fault(32)
    def test_any_changed_byte_of_the_manifest_is_a_model_error(self, folder: Path) -> None:
        whole = (folder / MANIFEST).read_bytes()
        for place in range(len(whole)):
            for mask in (0x01, 0x07, 0x20):  # 0x07 makes one line end of another
                damaged = bytearray(whole)
                damaged[place] ^= mask
                with pytest.raises(ModelError):
                    Manifest.from_json(bytes(damaged))

    @pytest.mark.fault(31)
    @pytest.mark.parametrize("cut", [0, 1, -1])
    def test_a_file_cut_short_or_with_more_at_its_end_is_corrupt(self, folder, cut: int) -> None:
        graph = folder / GRAPH
        content = graph.read_bytes()
        graph.write_bytes(content[:cut] if cut else content + b"\0")
        with pytest.raises(ModelError, match=r"model_int8\.onnx is corrupt"):
            ModelFolder(folder).read(GRAPH)

    @pytest.mark.fault(31)
    def test_a_missing_file_is_named(self, folder: Path) -> None:
        (folder / "tokenizer.json").unlink()
        with pytest.raises(ModelError, match=r"tokenizer\.json is missing"):
            ModelFolder(folder).verify()

    @pytest.mark.fault(31)
    @pytest.mark.parametrize("name", ["README.md", "config.json", "decisions.json", GRAPH])
    @pytest.mark.parametrize("change", ["gone", "more", "less", "a folder"])
    def test_whatever_happens_to_a_file_it_is_named(self, folder, name: str, change: str) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"some content of more than a byte")
        write_manifest(folder, ModelFolder(folder).manifest)
        ModelFolder(folder).verify()
        content = path.read_bytes()
        path.unlink()
        if change == "a folder":
            path.mkdir()
        elif change != "gone":
            path.write_bytes(content + b"\n" if change == "more" else content[:-1])
        with pytest.raises(ModelError, match=re.escape(f"{path} is ")):
            ModelFolder(folder).verify()

    @pytest.mark.fault(34)
    def test_a_link_is_not_followed(self, folder: Path, tmp_path: Path) -> None:
        moved = shutil.move(folder / GRAPH, tmp_path / "elsewhere.onnx")
        (folder / GRAPH).symlink_to(moved)
        with pytest.raises(ModelError, match="link"):
            ModelFolder(folder).read(GRAPH)

    def test_a_file_that_the_manifest_does_not_list_is_not_read(self, folder: Path) -> None:
        (folder / "extra.json").write_text("{}")
        with pytest.raises(ModelError, match=r"lists no extra\.json"):
            ModelFolder(folder).read("extra.json")

    def test_a_whole_folder_passes_and_gives_the_bytes_that_were_verified(self, word_model) -> None:
        folder = ModelFolder(word_model)
        folder.verify()
        assert folder.has(GRAPH)
        assert folder.read(GRAPH) == (word_model / GRAPH).read_bytes()


class TestTheManifest:
    def test_it_is_read_as_it_was_written(self) -> None:
        manifest = Manifest(
            name="mine",
            created="2026-01-01",
            labels=("Cheffe", "Müller/in"),
            normaliser=Normaliser(remove_digits=True),
            normaliser_version="1-x-110",
            versions={"jobbatch": "0.1.0"},
            data={"titles.csv": "abc"},
            canaries=(Canary(title="müllerin", probabilities=(0.1, 1e-05)),),
            files={"config.json": FileRecord(sha256="0" * 64, size=2)},
        )
        assert Manifest.from_json(manifest.to_json()) == manifest

    def test_one_from_before_there_was_context_is_of_a_model_without(self, folder: Path) -> None:
        fields = json.loads((folder / MANIFEST).read_bytes())
        del fields["context"], fields["sha256"]
        whole = fields | {"sha256": weights_module._digest(fields)}
        (folder / MANIFEST).write_bytes(weights_module._dump(whole))
        assert not ModelFolder(folder).manifest.context

    def test_all_files_but_itself_are_recorded(self, folder: Path) -> None:
        (folder / "README.md").write_text("# words")
        write_manifest(folder, ModelFolder(folder).manifest)
        manifest = ModelFolder(folder).manifest
        assert sorted(manifest.files) == sorted(
            ["README.md", "config.json", "decisions.json", GRAPH, "tokenizer.json"]
        )
        assert manifest.files["README.md"] == FileRecord.of(b"# words")

    @pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b"\xff", b'{"sha256": 1}'])
    def test_a_file_that_is_no_manifest_is_a_model_error(self, folder, content: bytes) -> None:
        (folder / MANIFEST).write_bytes(content)
        with pytest.raises(ModelError, match=r"manifest\.json"):
            ModelFolder(folder)

    def test_a_manifest_of_another_schema_is_a_model_error_with_both_numbers(self, folder) -> None:
        later = replace(ModelFolder(folder).manifest, schema=2)
        (folder / MANIFEST).write_bytes(later.to_json())
        with pytest.raises(ModelError, match="schema 2, this is 1"):
            ModelFolder(folder)

    @pytest.mark.parametrize(
        "change",
        [
            {"normaliser": {"shout": True}},
            {"files": {"config.json": {"sha256": "0"}}},
            {"canaries": [{"title": "nurse", "probabilities": ["high"]}]},
            {"labels": None},
        ],
    )
    def test_a_field_of_the_wrong_kind_is_a_model_error(self, folder: Path, change) -> None:
        manifest = ModelFolder(folder).manifest
        (folder / MANIFEST).write_bytes(replace(manifest, **change).to_json())
        with pytest.raises(ModelError, match=r"manifest\.json is not usable"):
            ModelFolder(folder)


class TestTheFolder:
    def test_a_folder_without_a_manifest_is_no_model(self, tmp_path: Path) -> None:
        for path in (tmp_path, tmp_path / "nothing"):
            with pytest.raises(ModelError, match=r"is not a model folder.*leave --model out"):
                ModelFolder(path)

    @pytest.mark.fault(31)
    def test_a_model_trained_with_another_normaliser_is_refused_naming_both(self, folder) -> None:
        manifest = ModelFolder(folder).manifest
        other = replace(manifest, normaliser_version="1-old-100", versions={"jobbatch": "0.0.9"})
        write_manifest(folder, other)
        with pytest.raises(ModelError, match=r"1-old-100.*1-\w{8}-100.*0\.0\.9"):
            ModelFolder(folder)

    def test_the_normaliser_s_options_are_the_ones_of_the_training(self, folder: Path) -> None:
        options = Normaliser(remove_digits=True)
        manifest = ModelFolder(folder).manifest
        write_manifest(
            folder, replace(manifest, normaliser=options, normaliser_version=options.version)
        )
        assert ModelFolder(folder).manifest.normaliser == options


class TestTheFingerprint:
    @pytest.mark.fault(41)
    @pytest.mark.parametrize("name", [GRAPH, "tokenizer.json"])
    def test_it_changes_with_graph_and_tokenizer(self, folder: Path, name: str) -> None:
        before = ModelFolder(folder)
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
        write_manifest(folder, before.manifest)
        assert ModelFolder(folder).fingerprint(GRAPH) != before.fingerprint(GRAPH)

    @pytest.mark.fault(41)
    def test_it_changes_with_the_normaliser(self, folder: Path) -> None:
        before = ModelFolder(folder)
        options = Normaliser(expand=False)
        write_manifest(
            folder,
            replace(before.manifest, normaliser=options, normaliser_version=options.version),
        )
        assert ModelFolder(folder).fingerprint(GRAPH) != before.fingerprint(GRAPH)

    @pytest.mark.fault(41)
    def test_new_thresholds_a_new_name_and_another_place_leave_it(self, folder: Path) -> None:
        before = ModelFolder(folder)
        (folder / "decisions.json").write_text("{}")
        write_manifest(folder, replace(before.manifest, name="renamed", created="2030-01-01"))
        moved = folder.rename(folder.with_name("moved"))
        assert ModelFolder(moved).fingerprint(GRAPH) == before.fingerprint(GRAPH)

    def test_a_graph_that_is_not_listed_has_none(self, word_model) -> None:
        with pytest.raises(ModelError, match=r"lists no onnx/model_fp16\.onnx"):
            ModelFolder(word_model).fingerprint("onnx/model_fp16.onnx")


def test_the_model_is_the_one_named_or_the_shipped_one() -> None:
    assert resolve_model("weights/mine") == Path("weights/mine")
    assert resolve_model(None) == default_model()
    assert default_model().name == "joblevel"


def test_an_installed_package_brings_the_model_within_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(weights_module, "files", lambda _: tmp_path / "jobbatch")
    assert default_model() == tmp_path / "weights" / "joblevel"
    shipped = tmp_path / "jobbatch" / "shipped" / "joblevel"
    shipped.mkdir(parents=True)
    assert default_model() == shipped
