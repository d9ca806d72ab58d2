"""How large the channels of a graph's layer norms get, from running it on titles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnx
from numpy.typing import NDArray

from jobbatch import batches
from jobbatch.devices import onnx_runtime
from jobbatch.titles import Normaliser
from jobbatch.tokenizer import TitleTokenizer
from jobbatch.training.labelled_table import OWN_TITLES, read_keys

N_TITLES = 2_000
"""With all 10,000 of the package's titles int8 changes as many labels."""
_TOKEN_BUDGET = 1_024


def own_titles(tokenizer: bytes, normaliser: Normaliser) -> Iterator[NDArray[np.int64]]:
    """Yield batches of token ids, int64 (n, length), of some of the package's own titles.

    Args:
        tokenizer: the content of tokenizer.json, which is looked at when the first batch is asked for.
        normaliser: the model's.
    """
    keys = read_keys(OWN_TITLES, normaliser)
    tokens = TitleTokenizer(tokenizer).encode(keys[:: max(1, len(keys) // N_TITLES)])
    for rows in batches.of_equal_length(tokens.lengths, _TOKEN_BUDGET):
        yield tokens.rectangle(rows)


def of_layer_norms(
    model: onnx.ModelProto, examples: Iterable[NDArray[np.int64]]
) -> dict[str, NDArray[np.float32]]:
    """Return, of each layer norm's output, the largest size of each channel, float32 (n_channels,).

    Without examples nothing is known of any.

    Args:
        model: an fp32 graph that was not fused.
        examples: batches of unpadded token ids, int64 (n, length).
    """
    outputs = [n.output[0] for n in model.graph.node if n.op_type == "LayerNormalization"]
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in outputs)
    session = onnx_runtime().InferenceSession(
        shown.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    inputs = [i.name for i in session.get_inputs()]
    peaks: dict[str, NDArray[np.float32]] = {}
    for ids in examples:
        fed = {name: ids if name == "input_ids" else np.ones_like(ids) for name in inputs}
        for name, values in zip(outputs, session.run(outputs, fed), strict=True):
            largest = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
            peaks[name] = np.maximum(peaks.get(name, largest), largest)
    return peaks
