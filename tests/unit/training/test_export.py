"""Exports: proven equal to the PyTorch model, or not there at all."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from jobbatch import model as model_module
from jobbatch.errors import ModelError, ParityError, UsageError
from jobbatch.labels import LabelSet
from jobbatch.model import OpenOptions, TitleModel
from jobbatch.settings.teaching import ExportRecipe
from jobbatch.training import encoder, export
from jobbatch.training.examples import probabilities
from jobbatch.training.export import ExportReport
from jobbatch.training.train_report import TrainReport
from jobbatch.weights import Manifest, ModelFolder, write_manifest
from tests.tinymodel import contents, own_titles

pytestmark = pytest.mark.train

Exported = tuple[Path, ExportReport]
Trained = tuple[Path, TrainReport]


@pytest.fixture
def model(trained: Trained, tmp_path: Path) -> Path:
    """Return a copy of the trained folder, to be changed."""
    shutil.copytree(trained[0], tmp_path / "models" / "tiny")
    return tmp_path / "models" / "tiny"


def test_the_exported_model_answers_as_pytorch(exported: Exported) -> None:
    folder, report = exported
    opened = TitleModel(folder, OpenOptions(device="cpu"))
    titles = own_titles().select(opened.normaliser.key("Job Title")).to_series().to_list()
    network = encoder.build(
        encoder.EncoderOptions(base=str(folder), prune_vocabulary=False),
        LabelSet(opened.folder.manifest.labels),
        (),
        0,
    )
    expected = probabilities(network.model, network.tokens(titles))
    got = opened.score(titles)["probabilities"].to_numpy()
    assert np.abs(got - expected).max() < 1e-4
    assert report.parity.titles == 64
    assert report.parity.changed == 0
    assert report.file == "onnx/model_int8.onnx"


@pytest.mark.fault(40)
@pytest.mark.parametrize("titles_per_batch", [1, 7, 512])
def test_order_and_batches_do_not_change_an_answer(
    exported: Exported, monkeypatch: pytest.MonkeyPatch, titles_per_batch: int
) -> None:
    monkeypatch.setattr(model_module, "DECIMALS", 9)
    keys = [title.lower() for title in own_titles()["Job Title"]]
    opened = TitleModel(exported[0], OpenOptions(device="cpu"))
    expected = opened.score(keys)["probabilities"].to_numpy()
    longest = 16
    monkeypatch.setitem(model_module.TOKEN_BUDGETS, "cpu", (titles_per_batch * longest,))
    others = TitleModel(exported[0], OpenOptions(device="cpu")).score(keys[::-1])
    np.testing.assert_allclose(others["probabilities"].to_numpy()[::-1], expected, atol=1e-5)


def test_the_folder_is_whole_and_says_how_close_the_graph_is(exported: Exported) -> None:
    folder = ModelFolder(exported[0])
    folder.verify()
    assert folder.has("onnx/model_int8.onnx")
    assert {"optimum", "onnx", "torch"} <= set(folder.manifest.versions)
    noted = json.loads(folder.read("metrics.json"))["onnx"]["onnx/model_int8.onnx"]
    assert (noted["precision"], noted["titles"]) == ("fp32", 64)


def test_attention_is_fused(exported: Exported) -> None:
    graph = onnx.load_from_string((exported[0] / "onnx" / "model_int8.onnx").read_bytes())
    operators = [node.op_type for node in graph.graph.node]
    assert operators.count("Attention") == 2
    assert "SkipLayerNormalization" in operators


def test_no_fusion_is_wanted_none_is_done(model: Path, fp32_recipe: ExportRecipe) -> None:
    export.export_onnx(model, replace(fp32_recipe, fuse=False))
    graph = onnx.load_from_string((model / "onnx" / "model_int8.onnx").read_bytes())
    assert "Attention" not in {node.op_type for node in graph.graph.node}


def test_int8(model: Path, fp32_recipe: ExportRecipe) -> None:
    recipe = replace(
        fp32_recipe,
        precision="int8",
        quantize_embeddings=True,
        max_difference=0.2,
        max_changed_share=0.5,
    )
    report = export.export_onnx(model, recipe)
    assert 0 < report.parity.largest_difference < 0.2
    graph = onnx.load_from_string((model / "onnx" / "model_int8.onnx").read_bytes())
    operators = {node.op_type for node in graph.graph.node}
    assert {"MatMulIntegerToFloat", "QuantizeLinear"} <= operators
    assert "MatMul" in operators, "attention itself has no weights"
    TitleModel(model, OpenOptions(device="cpu"))


def test_fp16_for_cuda_is_checked_on_the_cpu_where_there_is_no_cuda(
    model: Path, fp32_recipe: ExportRecipe
) -> None:
    recipe = replace(fp32_recipe, target="cuda", precision="fp16", max_difference=0.02)
    report = export.export_onnx(model, recipe)
    assert report.file == "onnx/model_fp16.onnx"
    folder = ModelFolder(model)
    folder.verify()
    assert not folder.has("onnx/model_int8.onnx")
    if report.parity.device == "cpu":
        assert "checked on the cpu: there is no cuda device here" in report.summary_lines()
    graph = onnx.load_from_string(folder.read("onnx/model_fp16.onnx"))
    kinds = {onnx.TensorProto.DataType.Name(t.data_type) for t in graph.graph.initializer}
    assert "FLOAT16" in kinds
    assert not any(t.data_location == onnx.TensorProto.EXTERNAL for t in graph.graph.initializer)


def test_a_second_graph_joins_the_first(
    exported: Exported, fp32_recipe: ExportRecipe, tmp_path: Path
) -> None:
    model = tmp_path / "tiny"
    shutil.copytree(exported[0], model)
    first = (model / "onnx" / "model_int8.onnx").read_bytes()
    export.export_onnx(model, replace(fp32_recipe, target="cuda"))
    assert ModelFolder(model).read("onnx/model_int8.onnx") == first
    assert set(json.loads((model / "metrics.json").read_text())["onnx"]) == {
        "onnx/model_int8.onnx",
        "onnx/model_fp16.onnx",
    }


def _perturbed(graph: bytes, scale: float) -> bytes:
    loaded = onnx.load_from_string(graph)
    bias = next(t for t in loaded.graph.initializer if t.name.endswith("out_proj.bias"))
    values = onnx.numpy_helper.to_array(bias) + np.float32(scale)
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    return loaded.SerializeToString()


@pytest.mark.fault(39)
@pytest.mark.parametrize("scale", [0.01, 5.0, np.nan])
def test_a_perturbed_weight_is_refused_and_the_folder_unchanged(
    model: Path, fp32_recipe: ExportRecipe, monkeypatch: pytest.MonkeyPatch, scale: float
) -> None:
    make = export.make_graph
    monkeypatch.setattr(export, "make_graph", lambda *a: _perturbed(make(*a), scale))
    before = contents(model)
    with pytest.raises(ParityError) as caught:
        export.export_onnx(model, fp32_recipe)
    assert caught.value.exit_code == 22
    assert contents(model) == before
    assert [p.name for p in model.parent.iterdir() if not p.name.endswith(".lock")] == ["tiny"]


@pytest.mark.fault(39)
def test_changed_labels_are_refused(
    model: Path, fp32_recipe: ExportRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = export.make_graph
    monkeypatch.setattr(export, "make_graph", lambda *a: _perturbed(make(*a), 0.15))
    with pytest.raises(ParityError, match=r"differs|get other labels"):
        export.export_onnx(model, replace(fp32_recipe, max_difference=1.0))


@pytest.mark.fault(32)
def test_a_damaged_folder_is_refused(model: Path, fp32_recipe: ExportRecipe) -> None:
    (model / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="corrupt"):
        export.export_onnx(model, fp32_recipe)


@pytest.mark.fault(34)
def test_a_hostile_configuration_is_refused(
    model: Path, fp32_recipe: ExportRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest: Manifest = ModelFolder(model).manifest
    fields = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(
        json.dumps(fields | {"_attn_implementation_internal": "somebody/kernel"})
    )
    write_manifest(model, manifest)
    monkeypatch.setattr(export, "make_graph", lambda *_: pytest.fail("it was used"))
    with pytest.raises(ModelError, match="_attn_implementation_internal"):
        export.export_onnx(model, fp32_recipe)


@pytest.mark.parametrize("content", [None, "", "\n \n"])
def test_a_recipe_without_titles_is_an_error(
    model: Path, fp32_recipe: ExportRecipe, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "titles.txt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match="parity_titles"):
        export.export_onnx(model, replace(fp32_recipe, parity_titles=path))


def _recipe(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return path


RECIPE = """
target = "cpu"
precision = "int8"
parity_titles = "titles/all.txt"
max_difference = 0.1
max_changed_share = 0.01
"""


def test_a_recipes_paths_start_from_its_folder(tmp_path: Path) -> None:
    recipe = export.load_recipe(_recipe(tmp_path, RECIPE))
    assert recipe.parity_titles == tmp_path / "titles" / "all.txt"
    assert (recipe.fuse, recipe.opset) == (True, 18)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("int8", "int4"), "precision"),
        (("cpu", "cuda"), "int8 does not run"),
        (("int8", "fp16"), "fp16 does not run, or not well, on target cpu"),
        (("max_difference", "max_diff"), "unknown key 'max_diff'"),
    ],
)
def test_a_wrong_recipe_is_an_error(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        export.load_recipe(_recipe(tmp_path, RECIPE.replace(*change)))
