"""A model folder opened for scoring: titles' keys in, probabilities out.

Checked when opened: checksums, the head's width, the vocabulary, and that the canary titles get
the probabilities which the PyTorch model gave them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from jobbatch import batches
from jobbatch.classifier import (
    ONNX_FILE,
    TOKEN_BUDGET,
    Classifier,
    Device,
    OutOfMemoryError,
    choose_device,
    usable_cores,
)
from jobbatch.decisions import Decisions
from jobbatch.errors import ModelError, ResourceError, UsageError
from jobbatch.labels import LabelSet
from jobbatch.scores import DECIMALS, schema
from jobbatch.tokenizer import TitleTokenizer, TokenIds
from jobbatch.weights import ModelFolder

CHUNK_TITLES = {"cpu": 8_192, "cuda": 131_072}
"""Titles per chunk: the unit of tokenising ahead and of the checkpoint, at most some seconds of work.
A GPU would wait for the disk after each smaller one."""
CANARY_TOLERANCE = 0.05
"""Largest difference of a canary's probability from PyTorch's; int8 stays below half of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOptions:
    """How a model is opened.

    Attributes:
        device: where it runs.
        threads: callers of the session at a time; none: one per core this process may use.
    """

    device: Device = "auto"
    threads: int | None = None


class TitleModel:
    """A verified model, ready to score.

    Raises:
        ModelError, DeviceError, MissingExtraError: why it cannot be used.
    """

    def __init__(self, path: Path, options: OpenOptions | None = None) -> None:
        options = options or OpenOptions()
        folder = ModelFolder(path)
        choice = choose_device(options.device, has_cuda_graph=folder.has(ONNX_FILE["cuda"]))
        graph = ONNX_FILE[choice.device]
        if not folder.has(graph):
            raise ModelError(
                f"{path} has no {graph}. Add it: "
                f"jobbatch export-onnx {path} --recipe export/cpu-int8.toml"
            )
        self.folder = folder
        self.device = choice
        self.labels = self._labels()
        self.normaliser = folder.manifest.normaliser
        self.fingerprint = folder.fingerprint(graph)
        self.decisions = Decisions.from_json(folder.read("decisions.json"))
        self._tokenizer = TitleTokenizer(folder.read("tokenizer.json"))
        self._check_configuration(folder.read("config.json"))
        self._classifier = Classifier(folder.read(graph), choice.device)
        self._threads = options.threads or usable_cores()
        self._token_budget = TOKEN_BUDGET[choice.device]
        self._check_head()
        self._check_canaries()

    def check_reads(self, context: Sequence[str]) -> None:
        """Check that the model was taught to read context, if columns of it are named.

        Raises:
            UsageError: if it was trained on titles alone.
        """
        if context and not self.folder.manifest.context:
            raise UsageError(
                f"--context {','.join(context)}: the model {self.folder.manifest.name} was "
                "trained on titles alone. Leave --context out, or name with --model one that "
                "`jobbatch train --context` made"
            )

    def score(self, keys: Sequence[str]) -> pl.DataFrame:
        """Return the scores of `keys`, in their order (columns of `scores.schema`)."""
        chunks = list(self.score_chunks(keys))
        return pl.concat(chunks) if chunks else pl.DataFrame(schema=schema(len(self.labels)))

    def score_chunks(self, keys: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield the scores of each chunk of `keys`; the next one is tokenised meanwhile.

        Batches never reach over a chunk, so that a chunk's answer depends on its own keys alone,
        also with a graph whose activation scales span a batch.
        """
        size = CHUNK_TITLES[self.device.device]
        chunks = [keys[i : i + size] for i in range(0, len(keys), size)]
        with ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(self._threads) as callers:
            pending = [ahead.submit(self._tokenizer.encode, chunk) for chunk in chunks[:1]]
            for i, chunk in enumerate(chunks):
                tokens = pending.pop().result()
                if i + 1 < len(chunks):
                    pending.append(ahead.submit(self._tokenizer.encode, chunks[i + 1]))
                probabilities = self._probabilities(tokens, callers)
                columns = {
                    "key": pl.Series(chunk, dtype=pl.String),
                    "probabilities": probabilities.round(DECIMALS),
                    "truncated": tokens.truncated,
                }
                yield pl.DataFrame(columns, schema=schema(len(self.labels)))

    def _probabilities(self, tokens: TokenIds, callers: ThreadPoolExecutor) -> NDArray[np.float32]:
        rows = batches.of_equal_length(tokens.lengths, self._token_budget)
        result = np.empty((tokens.lengths.size, len(self.labels)), np.float32)

        def run(batch: NDArray[np.intp]) -> None:
            ids = tokens.rectangle(batch)
            try:
                result[batch] = self._classifier.probabilities(ids)
            except OutOfMemoryError as error:
                if batch.size == 1:
                    raise ResourceError(str(error)) from error
                self._token_budget = min(self._token_budget, ids.size // 2)
                for half in np.array_split(batch, 2):
                    run(half)

        # Longest first, so that no caller starts on a long batch when the others are done.
        for _ in callers.map(run, reversed(rows)):
            pass
        return result

    def _labels(self) -> LabelSet:
        try:
            return LabelSet(self.folder.manifest.labels)
        except UsageError as error:
            raise ModelError(f"{self.folder.path}: manifest.json: {error}") from error

    def _check_configuration(self, content: bytes) -> None:
        try:
            stated = json.loads(content)["vocab_size"]
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(f"{self.folder.path}: config.json is not usable: {error!r}") from error
        if stated != self._tokenizer.vocabulary_size:
            raise ModelError(
                f"{self.folder.path}: tokenizer.json has {self._tokenizer.vocabulary_size} tokens, "
                f"config.json says {stated}"
            )

    def _check_head(self) -> None:
        widths = {
            "the ONNX graph": self._classifier.n_labels,
            "decisions.json (calibration)": len(self.decisions.calibration),
            "decisions.json (thresholds)": len(self.decisions.thresholds),
        }
        for where, width in widths.items():
            if width != len(self.labels):
                raise ModelError(
                    f"{self.folder.path}: manifest.json names {len(self.labels)} labels, {where} "
                    f"has {width}"
                )
        order = self.decisions.order
        if order and set(order) != set(self.labels.names):
            raise ModelError(
                f"{self.folder.path}: the order in decisions.json, {list(order)}, is not of the "
                f"labels {list(self.labels.names)}"
            )

    def _check_canaries(self) -> None:
        canaries = self.folder.manifest.canaries
        titles = pl.DataFrame({"title": [c.title for c in canaries]}, schema={"title": pl.String})
        keys = titles.select(self.normaliser.key("title")).to_series().to_list()
        got = self.score(keys)["probabilities"].to_numpy()
        if any(len(c.probabilities) != len(self.labels) for c in canaries):
            raise ModelError(
                f"{self.folder.path}: a canary has not one probability for each of the "
                f"{len(self.labels)} labels"
            )
        expected = np.array([c.probabilities for c in canaries]).reshape(got.shape)
        worst = float(np.abs(got - expected).max(initial=0))
        if not worst <= CANARY_TOLERANCE:  # NaN is not
            raise ModelError(
                f"{self.folder.path}: the canary titles' probabilities are off by {worst:.3f} "
                f"(at most {CANARY_TOLERANCE}): the model or this ONNX Runtime is broken"
            )
