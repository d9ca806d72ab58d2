"""Makes a graph int8, with scales that no title's neighbours have a part in.

ONNX Runtime's dynamic quantisation has one scale for all activations of a batch. In BERT's layers
a few channels are many times larger than the rest, which leaves the rest few of the 255 steps, and
a title's answer depends on the titles beside it. Here neither is so, in two ways:

- What a layer norm puts out gets constant scales, one a channel, from the largest that the channel
  was in some thousand titles (SmoothQuant, Xiao et al. 2022): the channel is divided by its scale,
  the weights that read it are multiplied. Two passes over the activations, and no scale to apply
  to what the product puts out.
- All other activations get a scale a token (the vector-wise scheme of LLM.int8, Dettmers et al.
  2022, without its outlier path).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

STEPS = 127
"""Of an int8 number on each side of zero."""
WEIGHT_STEPS = 63
"""Of a product's weights: CPUs without VNNI add two 8-bit products in 16 bits, which weights of
all 127 steps can overflow. So every CPU gets the same, exact sums; it costs 0.2 % more titles."""
MIGRATION = 0.75
"""How much of the difference between channels goes into the weights: SmoothQuant's alpha."""
_CONTRIB = "com.microsoft"
_SMALLEST = 1e-12

Floats = NDArray[np.float32]


def quantize(
    model: onnx.ModelProto, peaks: Mapping[str, Floats], *, embeddings: bool
) -> onnx.ModelProto:
    """Return the graph with int8 weights.

    Args:
        model: an fp32 graph that was not fused; changed in place.
        peaks: of each activation that gets constant scales, its channels' largest, float32
            (n_channels,).
        embeddings: whether embedding tables become int8 too, with a scale for each row.
    """
    return _Quantizer(model, peaks, embeddings=embeddings).run()


class _Quantizer:
    """A graph on its way to int8."""

    def __init__(
        self, model: onnx.ModelProto, peaks: Mapping[str, Floats], *, embeddings: bool
    ) -> None:
        self._model = model
        self._peaks = peaks
        self._embeddings = embeddings
        self._matrices = {t.name: t for t in model.graph.initializer if len(t.dims) == 2}
        self._vectors = {t.name for t in model.graph.initializer if len(t.dims) == 1}
        self._readers = defaultdict[str, list[onnx.NodeProto]](list)
        for node in model.graph.node:
            for name in node.input:
                self._readers[name].append(node)
        self._added: list[onnx.TensorProto] = []
        self._rounded: set[str] = set()
        self._channels: dict[str, NDArray[np.float64]] = {}
        self._done: set[str] = set()

    def run(self) -> onnx.ModelProto:
        graph = self._model.graph
        self._constant("int8_one", np.float32(1))
        self._constant("int8_step", np.float32(1 / STEPS))
        self._constant("int8_zero", np.array(STEPS + 1, np.uint8))
        self._constant("int8_axis", np.array([-1], np.int64))
        self._constant("int8_smallest", np.float32(_SMALLEST))
        nodes = [new for node in graph.node for new in self._converted(node)]
        read = {name for node in nodes for name in node.input}
        kept = [t for t in [*graph.initializer, *self._added] if t.name in read]
        del graph.node[:]
        del graph.initializer[:]
        graph.node.extend(nodes)
        graph.initializer.extend(kept)
        if all(opset.domain != _CONTRIB for opset in self._model.opset_import):
            self._model.opset_import.append(helper.make_opsetid(_CONTRIB, 1))
        return self._model

    def _converted(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        if node.output[0] in self._done:
            return
        if self._is_product(node):
            yield from self._product(node)
        elif self._embeddings and node.op_type == "Gather" and node.input[0] in self._matrices:
            yield from self._look_up(node)
        else:
            yield node

    def _is_product(self, node: onnx.NodeProto) -> bool:
        return node.op_type == "MatMul" and node.input[1] in self._matrices

    def _product(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        source, weights = node.input
        constant = source in self._peaks
        # Queries, keys and values read the same activations.
        if source not in self._rounded:
            self._rounded.add(source)
            yield from self._by_channel(source) if constant else self._by_token(source)
        self._weights(weights, axis=0, steps=WEIGHT_STEPS, rows=self._channels.get(source))
        inputs = [f"{source}_int8", f"{weights}_int8", "int8_one", f"{weights}_scale", "int8_zero"]
        out = node.output[0]
        if constant:
            bias, out = self._bias(out)
            yield helper.make_node("MatMulIntegerToFloat", [*inputs, *bias], [out], domain=_CONTRIB)
        else:
            yield helper.make_node("MatMulIntegerToFloat", inputs, [f"{out}_unit"], domain=_CONTRIB)
            yield helper.make_node("Mul", [f"{out}_unit", f"{source}_scale"], [out])

    def _by_channel(self, source: str) -> Iterator[onnx.NodeProto]:
        """Divide each channel by its scale; what is beyond what it was ever seen to be is cut."""
        products = [node for node in self._readers[source] if self._is_product(node)]
        matrices = [numpy_helper.to_array(self._matrices[node.input[1]]) for node in products]
        weights = np.max([np.abs(matrix).max(axis=1) for matrix in matrices], axis=0)
        peaks = np.maximum(self._peaks[source].astype(np.float64), _SMALLEST)
        channels = peaks**MIGRATION / np.maximum(weights, _SMALLEST) ** (1 - MIGRATION)
        channels *= (peaks / channels).max() / STEPS
        self._channels[source] = channels
        self._constant(f"{source}_inverse", (1 / channels).astype(np.float32))
        smooth = f"{source}_smooth"
        yield helper.make_node("Mul", [source, f"{source}_inverse"], [smooth])
        yield helper.make_node(
            "QuantizeLinear", [smooth, "int8_one", "int8_zero"], [f"{source}_int8"]
        )

    def _by_token(self, source: str) -> Iterator[onnx.NodeProto]:
        """Divide each token's activations by their scale: the largest of them is 127 steps."""
        high, low, least = f"{source}_high", f"{source}_low", f"{source}_least"
        tokens, rounded = f"{source}_tokens", f"{source}_rounded"
        scale, scales, zeros = f"{source}_scale", f"{source}_scales", f"{source}_zeros"
        largest = f"{source}_largest"
        yield helper.make_node("ReduceMax", [source, "int8_axis"], [high], keepdims=1)
        yield helper.make_node("ReduceMin", [source, "int8_axis"], [low], keepdims=1)
        yield helper.make_node("Neg", [low], [least])
        yield helper.make_node("Max", [high, least, "int8_smallest"], [largest])
        yield helper.make_node("Mul", [largest, "int8_step"], [scale])
        # One operator divides and rounds, but it wants the tokens in one dimension.
        yield helper.make_node("Flatten", [source], [tokens], axis=-1)
        yield helper.make_node("Reshape", [scale, "int8_axis"], [scales])
        yield helper.make_node("Shape", [scales], [f"{scales}_shape"])
        yield helper.make_node("Expand", ["int8_zero", f"{scales}_shape"], [zeros])
        yield helper.make_node("QuantizeLinear", [tokens, scales, zeros], [rounded], axis=0)
        yield helper.make_node("Shape", [source], [f"{source}_shape"])
        yield helper.make_node("Reshape", [rounded, f"{source}_shape"], [f"{source}_int8"])

    def _bias(self, out: str) -> tuple[list[str], str]:
        """Return the inputs with the bias that alone is added to `out`, and the sum's name."""
        readers = self._readers[out]
        if len(readers) != 1 or readers[0].op_type != "Add":
            return [], out
        vectors = [name for name in readers[0].input if name in self._vectors]
        if not vectors:
            return [], out
        (total,) = readers[0].output
        self._done.add(total)
        return ["", vectors[0]], total

    def _look_up(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        table, ids = node.input
        self._weights(table, axis=1, steps=STEPS)
        out = node.output[0]
        rows, unit, scale = f"{out}_rows", f"{out}_rows_unit", f"{out}_rows_scale"
        yield helper.make_node("Gather", [f"{table}_int8", ids], [rows])
        yield helper.make_node("Gather", [f"{table}_scale", ids], [scale])
        yield helper.make_node("Cast", [rows], [unit], to=TensorProto.FLOAT)
        yield helper.make_node("Mul", [unit, scale], [out])

    def _weights(
        self, name: str, axis: int, steps: int, rows: NDArray[np.float64] | None = None
    ) -> None:
        """Add a matrix, its rows multiplied by `rows`, in int8, and its scales along `axis`."""
        if f"{name}_int8" in {tensor.name for tensor in self._added}:
            return
        matrix = numpy_helper.to_array(self._matrices[name])
        if rows is not None:
            matrix = matrix * rows[:, None]
        largest = np.abs(matrix).max(axis=axis, keepdims=axis == 1)
        scale = (np.maximum(largest, _SMALLEST) / steps).astype(np.float32)
        self._constant(f"{name}_int8", np.rint(matrix / scale).astype(np.int8))
        self._constant(f"{name}_scale", scale)

    def _constant(self, name: str, value: NDArray[np.generic] | np.float32) -> None:
        self._added.append(numpy_helper.from_array(np.asarray(value), name))
