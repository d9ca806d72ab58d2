"""Titles' keys to token ids, from a model folder's tokenizer.json; no padding, no attention mask.

A key with context becomes a pair, by the tokenizer's own template: [CLS] title [SEP] context [SEP].
One core tokenises about 97,000 titles a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from jobbatch.errors import ModelError
from jobbatch.titles import SEPARATOR

MAX_TOKENS = 128
"""Tokens of a title and its context, the special ones included; what is beyond is cut."""
_AT_ONCE = 8_192
"""Titles whose encodings are held at a time: those of 131,072 leave the processor's cache, and making
Python lists of them and freeing them takes half as long again, all of it under the GIL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIds:
    """Token ids of n titles, laid end to end.

    Attributes:
        flat: int64 (n_tokens,), all titles' ids one after the other.
        lengths: int64 (n,), each title's number of tokens.
        truncated: bool (n,), whether the title by itself had more than `MAX_TOKENS` tokens; a
            context that is cut is none the worse for it.
    """

    flat: NDArray[np.int64]
    lengths: NDArray[np.int64]
    truncated: NDArray[np.bool_]

    def joined(self, *more: TokenIds) -> TokenIds:
        """Return the token ids of these titles and, behind them, all of `more`."""
        parts = (self, *more)
        return TokenIds(
            flat=np.concatenate([part.flat for part in parts]),
            lengths=np.concatenate([part.lengths for part in parts]),
            truncated=np.concatenate([part.truncated for part in parts]),
        )

    def rectangle(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the ids of `rows`, which are of one length, as int64 (n_rows, length)."""
        starts = np.cumsum(self.lengths) - self.lengths
        positions = starts[rows][:, None] + np.arange(self.lengths[rows[0]])
        return np.take(self.flat, positions)


class TitleTokenizer:
    """Tokenises keys exactly as the model was trained on them.

    Raises:
        ModelError: if `content` is no tokenizer.json.
    """

    def __init__(self, content: bytes) -> None:
        try:
            self._tokenizer = Tokenizer.from_buffer(content)
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelError(f"tokenizer.json cannot be read ({error})") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()  # `encode` cuts, and says what it has cut

    @property
    def vocabulary_size(self) -> int:
        """Return the number of tokens, added ones included."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def knows(self, words: Sequence[str]) -> list[bool]:
        """Return of each word whether it is one token, and not pieces or the unknown one."""
        unknown = self._tokenizer.model.unk_token
        encodings = self._tokenizer.encode_batch(list(words), add_special_tokens=False)
        return [len(e.tokens) == 1 and e.tokens[0] != unknown for e in encodings]

    def encode(self, keys: Sequence[str]) -> TokenIds:
        """Return the token ids of `keys`.

        Raises:
            ModelError: if a key has context and tokenizer.json does not separate pairs.
        """
        starts = range(0, len(keys) or 1, _AT_ONCE)
        first, *others = [self._encode(keys[start : start + _AT_ONCE]) for start in starts]
        return first.joined(*others)

    def _encode(self, keys: Sequence[str]) -> TokenIds:
        texts = [tuple(k.split(SEPARATOR, 1)) if SEPARATOR in k else k for k in keys]
        has_context = any(isinstance(text, tuple) for text in texts)
        if has_context and self._tokenizer.num_special_tokens_to_add(is_pair=True) < 3:
            raise ModelError("tokenizer.json does not separate a title from its context")
        ids: list[list[int]] = [e.ids for e in self._tokenizer.encode_batch_fast(texts)]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        truncated = np.zeros(len(ids), np.bool_)
        for i in np.flatnonzero(lengths > MAX_TOKENS).tolist():
            # The first separator, the token that also comes last, ends the title; cutting at the
            # end cuts the context only, unless the title by itself is too long.
            truncated[i] = ids[i].index(ids[i][-1]) >= MAX_TOKENS
            ids[i] = [*ids[i][: MAX_TOKENS - 1], ids[i][-1]]
        lengths = np.minimum(lengths, MAX_TOKENS)
        flat = np.fromiter(chain.from_iterable(ids), np.int64, int(lengths.sum()))
        return TokenIds(flat=flat, lengths=lengths, truncated=truncated)
