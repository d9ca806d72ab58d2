"""Prunes a WordPiece vocabulary to what titles use; byte-level BPE is left alone.

All-MiniLM's 30,522 tokens are half of its weights. Kept are the special tokens, every single
character, and the tokens that the titles at hand are cut into; these are cut as before, since the
longest match of a piece stays the longest. Other words fall into smaller pieces.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobbatch.tokenizer import TitleTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """A tokenizer and where its tokens come from.

    Attributes:
        tokenizer: the content of tokenizer.json.
        rows: int64 (n_tokens,), each token's id in the tokenizer it was made from.
    """

    tokenizer: bytes
    rows: NDArray[np.int64]


def prune(
    tokenizer: bytes, keys: Sequence[str], others: Sequence[str] = (), size: int | None = None
) -> Vocabulary:
    """Return the vocabulary reduced to what `keys` need.

    Args:
        tokenizer: the content of tokenizer.json.
        keys: all tokens of these are kept.
        others: tokens of these are kept too, the most frequent first.
        size: tokens in all, from which on no more of the `others` are added; none: no limit.
    """
    content = json.loads(tokenizer)
    content |= {"truncation": None, "padding": None}
    if content["model"]["type"] != "WordPiece":
        n_tokens = TitleTokenizer(tokenizer).vocabulary_size
        return Vocabulary(tokenizer=_dump(content), rows=np.arange(n_tokens))
    ids: dict[str, int] = content["model"]["vocab"]
    encode = TitleTokenizer(tokenizer)
    kept = {t["id"] for t in content["added_tokens"]}
    kept |= {i for token, i in ids.items() if len(token.removeprefix("##")) == 1}
    kept |= set(encode.encode(keys).flat.tolist())
    more = [i for i, _ in _ranked(encode.encode(others).flat.tolist()) if i not in kept]
    kept |= set(more if size is None else more[: max(0, size - len(kept))])
    rows = sorted(kept)
    return Vocabulary(tokenizer=_dump(_renumbered(content, rows)), rows=np.array(rows, np.int64))


def _ranked(ids: Iterable[int]) -> list[tuple[int, int]]:
    return sorted(Counter(ids).items(), key=lambda pair: (-pair[1], pair[0]))


def _renumbered(content: dict[str, Any], rows: Sequence[int]) -> dict[str, Any]:
    new = {old: i for i, old in enumerate(rows)}
    vocabulary: Mapping[str, int] = content["model"]["vocab"]
    ordered = sorted(vocabulary.items(), key=lambda pair: pair[1])
    content["model"]["vocab"] = {token: new[i] for token, i in ordered if i in new}
    for token in content["added_tokens"]:
        token["id"] = new[token["id"]]
    processor = content.get("post_processor") or {}
    for special in processor.get("special_tokens", {}).values():
        special["ids"] = [new[i] for i in special["ids"]]
    # BertProcessing names its tokens as [text, id].
    for name in ("cls", "sep"):
        if name in processor:
            processor[name] = [processor[name][0], new[processor[name][1]]]
    return content


def _dump(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
