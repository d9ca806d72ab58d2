"""The network and its tokenizer: a base made into RobertaForSequenceClassification for our labels.

Reduced on the way to what titles need: the vocabulary (optional), the position table (128
tokens), and the number of layers (asked for by scripts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as save_tensors
from transformers import RobertaConfig, RobertaForSequenceClassification

from jobbatch.errors import ModelError
from jobbatch.labels import LabelSet
from jobbatch.tokenizer import MAX_TOKENS, TitleTokenizer, TokenIds
from jobbatch.training.bases import MINILM_HUB, Base, open_base
from jobbatch.training.examples import probabilities
from jobbatch.training.int8 import STEPS, WEIGHT_STEPS
from jobbatch.training.scorer import About
from jobbatch.training.special_tokens import special_ids, tokenizer_config
from jobbatch.training.vocabulary import Vocabulary, prune

_SMALLEST = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOptions:
    """What becomes of the base.

    Attributes:
        base: as in `TrainSettings`.
        prune_vocabulary: reduce a WordPiece vocabulary to what the titles use.
        other_keys: titles whose tokens are kept too when pruning.
        vocabulary_size: tokens from which on those of `other_keys` are not added, and up to which
            a vocabulary is left alone; none: no limit.
        n_layers: layers to keep, evenly spaced; none: all.
    """

    base: str | None = None
    prune_vocabulary: bool = True
    other_keys: tuple[str, ...] = ()
    vocabulary_size: int | None = None
    n_layers: int | None = None


class Encoder:
    """A network with its tokenizer.

    Attributes:
        model: the network, float32.
        tokenizer: the content of tokenizer.json.
        base: the name of what it was made from.
    """

    def __init__(
        self, model: RobertaForSequenceClassification, tokenizer: bytes, base: str
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.base = base
        self._title_tokenizer = TitleTokenizer(tokenizer)

    def tokens(self, keys: Sequence[str]) -> TokenIds:
        """Return the token ids of `keys`."""
        return self._title_tokenizer.encode(keys)

    def probabilities(self, keys: Sequence[str]) -> NDArray[np.float64]:
        """Return raw probabilities, float64 (n, n_labels), in the keys' order."""
        return probabilities(self.model, self.tokens(keys))

    @property
    def about(self) -> About:
        """What it is."""
        minilm = ": the weights of all-MiniLM-L6-v2 (Apache-2.0) in RoBERTa's classes, fine-tuned"
        origin = minilm if self.base == MINILM_HUB else f", fine-tuned from {self.base}"
        return About(
            front_matter=("library_name: transformers", f"base_model: {self.base}"),
            sentence="A RoBERTa sequence classifier (`RobertaForSequenceClassification`, "
            f"multi-label){origin}",
            libraries=("jobbatch", "torch", "transformers", "tokenizers", "numpy", "polars"),
        )

    def save(self, folder: Path) -> None:
        """Write config.json, model.safetensors (fp16), tokenizer.json and tokenizer_config.json.

        Raises:
            ModelError: if a weight does not fit fp16.
        """
        self._write(folder, self.model.config, self.model.state_dict())

    def save_body(self, folder: Path) -> None:
        """Write the same files of the network without its head, as a base to train from.

        Raises:
            ModelError: if a weight does not fit fp16.
        """
        config = RobertaConfig(**self.model.config.to_dict())  # type: ignore[no-untyped-call]
        config.num_labels = 1
        config.problem_type = None
        tensors = self.model.state_dict()
        body = {n: t for n, t in tensors.items() if not n.startswith("classifier.")}
        self._write(folder, config, body)

    def _write(
        self, folder: Path, config: RobertaConfig, tensors: Mapping[str, torch.Tensor]
    ) -> None:
        # Loaded as float32 whatever the version of transformers; only the storage is fp16.
        config.architectures = ["RobertaForSequenceClassification"]
        config.dtype = torch.float32
        config.to_json_file(folder / "config.json", use_diff=True)
        half = {n: t.detach().cpu().half().contiguous() for n, t in tensors.items()}
        if not all(bool(torch.isfinite(t).all()) for t in half.values()):
            raise ModelError("the model cannot be saved: a weight is not finite in fp16")
        # Not save_file, which makes a file that only its owner can read.
        content = save_tensors(half, metadata={"format": "pt"})
        (folder / "model.safetensors").write_bytes(content)
        (folder / "tokenizer.json").write_bytes(self.tokenizer)
        (folder / "tokenizer_config.json").write_text(tokenizer_config(self.tokenizer))


def build(options: EncoderOptions, labels: LabelSet, keys: Sequence[str], seed: int) -> Encoder:
    """Return the network for `labels`, with a new head where the base has none for just these.

    Args:
        options: the base and its reductions.
        labels: the label vocabulary.
        keys: the titles to train on; a pruned vocabulary keeps all their tokens.
        seed: of the new head.

    Raises:
        ModelError: if the base cannot be had or does not fit.
    """
    base = open_base(options.base)
    others = options.other_keys if options.prune_vocabulary else ()
    n_tokens = TitleTokenizer(base.tokenizer).vocabulary_size
    small = options.vocabulary_size is not None and n_tokens <= options.vocabulary_size
    vocabulary = (
        prune(base.tokenizer, keys, others, options.vocabulary_size)
        if options.prune_vocabulary and not small
        else Vocabulary(tokenizer=base.tokenizer, rows=np.arange(n_tokens))
    )
    layers = _layers(int(base.config["num_hidden_layers"]), options.n_layers)
    config = _config(base, labels, vocabulary, layers)
    tensors = _select(base, vocabulary.rows, layers, config.max_position_embeddings)
    keep_head = base.labels == labels.names
    own = {n: t for n, t in tensors.items() if keep_head or not n.startswith("classifier.")}
    torch.manual_seed(seed)
    return Encoder(_loaded(config, own, base.name), vocabulary.tokenizer, base.name)


def round_for_storage(model: RobertaForSequenceClassification) -> None:
    """Round the weights to what is stored, so that what is measured is what is shipped.

    Matrices to the steps that an int8 graph has for them, row by row, then everything to fp16. So
    fp32 and fp16 graphs have the same weights, and int8 those that read no layer norm: half as
    many titles change their labels, and no fewer are right.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2:
                steps = STEPS if "embeddings" in name else WEIGHT_STEPS
                scale = parameter.abs().amax(1, keepdim=True).clamp(min=_SMALLEST) / steps
                parameter.copy_((parameter / scale).round() * scale)
            parameter.copy_(parameter.half().float())


def _config(
    base: Base, labels: LabelSet, vocabulary: Vocabulary, layers: Sequence[int]
) -> RobertaConfig:
    ids = special_ids(vocabulary.tokenizer)
    pad = ids["pad_token"]
    n_positions = pad + 1 + MAX_TOKENS
    if int(base.config["max_position_embeddings"]) < n_positions:
        raise ModelError(
            f"{base.name} has {base.config['max_position_embeddings']} positions; "
            f"{MAX_TOKENS} tokens need {n_positions}"
        )
    changed: dict[str, Any] = {
        "vocab_size": len(vocabulary.rows),
        "num_hidden_layers": len(layers),
        "max_position_embeddings": n_positions,
        "pad_token_id": pad,
        "bos_token_id": ids["bos_token"],
        "eos_token_id": ids["eos_token"],
        "problem_type": "multi_label_classification",
        "id2label": dict(enumerate(labels.names)),
        "label2id": {name: i for i, name in enumerate(labels.names)},
    }
    return RobertaConfig(**(dict(base.config) | changed))  # type: ignore[no-untyped-call]


def _layers(available: int, wanted: int | None) -> list[int]:
    """Return the indices of the layers to keep, evenly spaced from the first to the last."""
    if wanted is not None and not 1 <= wanted <= available:
        raise ModelError(f"the base has {available} layers, {wanted} cannot be kept")
    return [round(i) for i in np.linspace(0, available - 1, wanted or available)]


def _select(
    base: Base, rows: NDArray[np.int64], layers: Sequence[int], n_positions: int
) -> dict[str, torch.Tensor]:
    tensors = dict(base.tensors)
    words = "roberta.embeddings.word_embeddings.weight"
    positions = "roberta.embeddings.position_embeddings.weight"
    if words not in tensors or positions not in tensors:
        raise ModelError(f"{base.name}: model.safetensors holds no RoBERTa")
    if int(rows.max()) >= len(tensors[words]):
        raise ModelError(
            f"{base.name}: the tokenizer has {len(rows)} tokens, the weights {len(tensors[words])}"
        )
    tensors[words] = tensors[words][torch.from_numpy(rows)]
    tensors[positions] = tensors[positions][:n_positions]
    prefix = "roberta.encoder.layer."
    new = {old: i for i, old in enumerate(layers)}
    selected: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        if not name.startswith(prefix):
            selected[name] = tensor
            continue
        index, rest = name.removeprefix(prefix).split(".", 1)
        if int(index) in new:
            selected[f"{prefix}{new[int(index)]}.{rest}"] = tensor
    return selected


def _loaded(
    config: RobertaConfig, tensors: dict[str, torch.Tensor], name: str
) -> RobertaForSequenceClassification:
    try:
        model = RobertaForSequenceClassification(config)  # type: ignore[no-untyped-call]
        missing, unexpected = model.load_state_dict(tensors, strict=False)
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise ModelError(
            f"{name}: config.json and model.safetensors do not fit: {reason}"
        ) from error
    absent = [n for n in missing if not n.startswith("classifier.")]
    if absent or unexpected:
        raise ModelError(
            f"{name}: model.safetensors does not fit config.json (missing {absent[:3]}, "
            f"unexpected {list(unexpected)[:3]})"
        )
    return model
