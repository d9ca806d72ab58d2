"""Which tokens of a tokenizer begin, end, pad, mask and stand for what is unknown."""

from __future__ import annotations

import json

from jobbatch.errors import ModelError
from jobbatch.tokenizer import MAX_TOKENS

_ROLES = {
    "bos_token": ("[CLS]", "<s>"),
    "eos_token": ("[SEP]", "</s>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>"),
    "mask_token": ("[MASK]", "<mask>"),
}


def special_ids(tokenizer: bytes) -> dict[str, int]:
    """Return the ids of the special tokens, by their role."""
    content = json.loads(tokenizer)
    ids = {t["content"]: int(t["id"]) for t in content["added_tokens"]}
    found = {r: ids[n] for r, names in _ROLES.items() for n in names if n in ids}
    if set(found) != set(_ROLES):
        raise ModelError(f"the tokenizer lacks {', '.join(sorted(set(_ROLES) - set(found)))}")
    return found


def tokenizer_config(tokenizer: bytes) -> str:
    """Return the content of tokenizer_config.json."""
    names = {i: n for n, i in _names(tokenizer).items()}
    roles = {role: names[i] for role, i in special_ids(tokenizer).items()}
    fields = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": MAX_TOKENS,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **roles,
    }
    return json.dumps(fields, indent=2) + "\n"


def _names(tokenizer: bytes) -> dict[str, int]:
    return {t["content"]: int(t["id"]) for t in json.loads(tokenizer)["added_tokens"]}
