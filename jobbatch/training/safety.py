"""What a config.json may say before transformers, Optimum or our own code acts on it.

transformers below 5.3 runs code named in config.json (CVE-2026-4372), so keys are allowed by
name and everything else is refused.
"""

from __future__ import annotations

import json
from typing import Any

from jobbatch.errors import ModelError

_ARCHITECTURE = frozenset(
    {
        "attention_probs_dropout_prob",
        "bos_token_id",
        "classifier_dropout",
        "eos_token_id",
        "hidden_act",
        "hidden_dropout_prob",
        "hidden_size",
        "initializer_range",
        "intermediate_size",
        "layer_norm_eps",
        "max_position_embeddings",
        "num_attention_heads",
        "num_hidden_layers",
        "pad_token_id",
        "position_embedding_type",
        "type_vocab_size",
        "vocab_size",
    }
)
"""The keys that we act on when a base is loaded."""
_SIZES = (
    "hidden_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "vocab_size",
)
_HARMLESS = frozenset(
    {
        "_name_or_path",
        "architectures",
        "dtype",
        "finetuning_task",
        "gradient_checkpointing",
        "id2label",
        "label2id",
        "model_type",
        "output_past",
        "problem_type",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)


def architecture(content: bytes, where: str) -> dict[str, Any]:
    """Return the entries of a RoBERTa config.json that describe the network.

    Raises:
        ModelError: if it is no JSON object, of another architecture, lacks a size, or has a key
            that is not known to be harmless.
    """
    try:
        config = json.loads(content)
    except ValueError as error:
        raise ModelError(f"{where}: config.json is not JSON ({error})") from error
    if not isinstance(config, dict):
        raise ModelError(f"{where}: config.json is not an object")
    refused = sorted(set(config) - _ARCHITECTURE - _HARMLESS)
    if refused:
        raise ModelError(
            f"{where}: config.json has {', '.join(map(repr, refused))}, which is refused: such "
            "keys can make transformers run code. Remove them if you trust the model"
        )
    if config.get("model_type") != "roberta":
        raise ModelError(
            f"{where}: config.json says model_type {config.get('model_type')!r}; only 'roberta' "
            "can be trained or exported"
        )
    if not isinstance(config.get("_name_or_path", ""), str):
        raise ModelError(f"{where}: config.json's _name_or_path is not a text")
    wrong = [name for name in _SIZES if type(config.get(name)) is not int]
    if wrong:
        raise ModelError(f"{where}: config.json has no whole number as {', '.join(wrong)}")
    return {key: value for key, value in config.items() if key in _ARCHITECTURE}
