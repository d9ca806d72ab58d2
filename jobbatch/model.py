"""A model folder opened for scoring: titles' keys in, probabilities out.

Checked when opened: checksums, the head's width, the vocabulary, and that the canary titles get
the probabilities which the PyTorch model gave them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from jobbatch import batches
from jobbatch.classifier import Classifier, OutOfMemoryError
from jobbatch.decisions import Decisions
from jobbatch.devices import ONNX_FILE, Device, choose_device, usable_cores
from jobbatch.errors import ModelError, ResourceError, UsageError
from jobbatch.labels import LabelSet
from jobbatch.scores import DECIMALS, schema
from jobbatch.tokenizer import MAX_TOKENS, TitleTokenizer, TokenIds
from jobbatch.weights import ModelFolder

TOKEN_BUDGETS = {"cpu": (512,), "cuda": (32_768, 65_536, 131_072)}
"""Tokens per batch. Beyond about 1,000 a CPU core's activations leave its cache; a GPU needs so many
that its launches disappear in the work; how many depends on both: there a probe chooses."""
CALLERS_PER_GPU = 2
"""One batch is worked on while the next one is prepared."""
CHUNK_TITLES = {"cpu": 8_192, "cuda": 131_072}
"""Titles per chunk: the unit of tokenising ahead and of the checkpoint, at most some seconds of work.
A GPU would wait for the disk after each smaller one."""
PROBE_LENGTH = 8
"""Tokens of a title when batch sizes are tried; the usual title has as many."""
CANARY_TOLERANCE = 0.05
"""Largest difference of a canary's probability from PyTorch's; int8 stays below half of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOptions:
    """How a model is opened.

    Attributes:
        device: where it runs.
        threads: batches in work at a time; none: one per core this process may use, or two per GPU.
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
        usual = usable_cores() if choice.device == "cpu" else CALLERS_PER_GPU * len(choice.ordinals)
        self._threads = options.threads or usual
        self._token_budgets = TOKEN_BUDGETS[choice.device]
        with ThreadPoolExecutor(1) as beside:
            # ONNX Runtime optimises the graph meanwhile, the longest part of opening a model.
            opened = beside.submit(self._opened, graph)
            self.decisions = Decisions.from_json(folder.read("decisions.json"))
            self._tokenizer = TitleTokenizer(folder.read("tokenizer.json"))
            self._check_configuration(folder.read("config.json"))
            canaries = self._keys_of_canaries()
            self._classifier = opened.result()
        self._check_head()
        self._check_canaries(canaries)

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

    def knows(self, words: Sequence[str]) -> list[bool]:
        """Return of each word of a key whether the model's vocabulary has it whole."""
        return self._tokenizer.knows(words)

    def score(self, keys: Sequence[str]) -> pl.DataFrame:
        """Return the scores of `keys`, in their order (columns of `scores.schema`)."""
        chunks = list(self.score_chunks(keys))
        return pl.concat(chunks) if chunks else pl.DataFrame(schema=schema(len(self.labels)))

    def score_chunks(self, keys: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield the scores of each chunk of `keys`; the next one is scored meanwhile.

        Batches never reach over a chunk, so that a chunk's answer depends on its own keys alone,
        also with a graph whose activation scales span a batch.
        """
        size = CHUNK_TITLES[self.device.device]
        chunks = [keys[i : i + size] for i in range(0, len(keys), size)]
        with (
            ThreadPoolExecutor(1) as tokeniser,
            ThreadPoolExecutor(1) as scorer,
            ThreadPoolExecutor(self._threads) as callers,
        ):
            tokens = batches.one_ahead(tokeniser, self._tokenizer.encode, chunks)
            work = zip(chunks, tokens, strict=True)
            try:
                yield from batches.one_ahead(scorer, partial(self._scored, callers), work)
            finally:
                callers.shutdown(wait=False, cancel_futures=True)

    def _scored(
        self, callers: ThreadPoolExecutor, chunk: tuple[Sequence[str], TokenIds]
    ) -> pl.DataFrame:
        keys, tokens = chunk
        columns = {
            "key": pl.Series(keys, dtype=pl.String),
            "probabilities": self._probabilities(tokens, callers).round(DECIMALS),
            "truncated": tokens.truncated,
        }
        return pl.DataFrame(columns, schema=schema(len(self.labels)))

    def _probabilities(self, tokens: TokenIds, callers: ThreadPoolExecutor) -> NDArray[np.float32]:
        rows = batches.of_equal_length(tokens.lengths, self._token_budget(tokens.flat.size))
        result = np.empty((tokens.lengths.size, len(self.labels)), np.float32)

        def run(batch: NDArray[np.intp]) -> None:
            ids = tokens.rectangle(batch)
            try:
                result[batch] = self._classifier.probabilities(ids)
            except OutOfMemoryError as error:
                if batch.size == 1:
                    raise ResourceError(str(error)) from error
                self._token_budgets = (min(self._token_budgets[0], ids.size // 2),)
                for half in np.array_split(batch, 2):
                    run(half)

        # Longest first, so that no caller starts on a long batch when the others are done.
        for _ in callers.map(run, reversed(rows)):
            pass
        return result

    def _token_budget(self, n_tokens: int) -> int:
        """Return the tokens of a batch; what is worth a choice is asked of the device, once."""
        if len(self._token_budgets) > 1 and n_tokens >= self._token_budgets[-1]:
            self._token_budgets = (batches.fastest_budget(self._token_budgets, self._rate),)
        return self._token_budgets[0]

    def _rate(self, budget: int) -> float:
        """Return the tokens a second of batches of that size; 0 if the memory cannot hold one."""
        ids = np.zeros((budget // PROBE_LENGTH, PROBE_LENGTH), np.int64)
        try:
            self._classifier.probabilities(ids)  # the first one allocates
            started = time.perf_counter()
            self._classifier.probabilities(ids)
        except OutOfMemoryError:
            return 0.0
        return ids.size / (time.perf_counter() - started)

    def _labels(self) -> LabelSet:
        try:
            return LabelSet(self.folder.manifest.labels)
        except UsageError as error:
            raise ModelError(f"{self.folder.path}: manifest.json: {error}") from error

    def _opened(self, graph: str) -> Classifier:
        content = self.folder.read(graph)
        return Classifier(content, self.device.device, self.device.ordinals, self._threads)

    def _check_configuration(self, content: bytes) -> None:
        try:
            fields = json.loads(content)
            stated = fields["vocab_size"]
            positions = int(fields.get("max_position_embeddings", MAX_TOKENS + 1))
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(f"{self.folder.path}: config.json is not usable: {error!r}") from error
        if stated != self._tokenizer.vocabulary_size:
            raise ModelError(
                f"{self.folder.path}: tokenizer.json has {self._tokenizer.vocabulary_size} tokens, "
                f"config.json says {stated}"
            )
        if positions <= MAX_TOKENS:  # the first one is the padding's
            raise ModelError(
                f"{self.folder.path}: config.json says that the model reads {positions - 1} tokens, "
                f"a title may have {MAX_TOKENS}"
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

    def _keys_of_canaries(self) -> list[str]:
        titles = [canary.title for canary in self.folder.manifest.canaries]
        frame = pl.DataFrame({"title": titles}, schema={"title": pl.String})
        return frame.select(self.normaliser.key("title")).to_series().to_list()

    def _check_canaries(self, keys: list[str]) -> None:
        canaries = self.folder.manifest.canaries
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
