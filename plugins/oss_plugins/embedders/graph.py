"""A BERT encoder as an ONNX graph whose matrix products are true 8-bit ones.

Made from plain weights, layer by layer, with the fused operators of ONNX Runtime, so that neither
torch nor an exporter is needed. Weights have one scale per output channel, activations are
quantised as they come. In: ``input_ids``, ``attention_mask`` (both int64, [batch, tokens]).
Out: ``embedding`` (float32, [batch, dimension]): mean over tokens, of length 1.
Source of the operators: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oss.retrieval.extras import needs_extra

with needs_extra("retrieval"):
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FUSED = "com.microsoft"
OPSET = 17
_BLOCK = 128


@dataclass(frozen=True)
class BertShape:
    """Sizes that weights alone do not tell."""

    layers: int
    heads: int
    epsilon: float = 1e-12


def build(
    weights: Mapping[str, Any], shape: BertShape, path: Path, *, bits: int | None = 8
) -> None:
    """Write the graph, and its weights beside it (:func:`data_file`): ONNX Runtime maps that file
    into memory, which halves the time of loading.

    :param weights: float32 arrays by their names in Transformers' ``BertModel``.
    :param bits: 8; 7 for processors whose 8-bit products overflow (AVX2 without VNNI); ``None``
        leaves the products in float32, to compare with.
    """
    graph = _Graph(weights, shape.epsilon, bits)
    hidden = graph.embeddings()
    for layer in range(shape.layers):
        hidden = graph.layer(hidden, f"encoder.layer.{layer}.", shape.heads)
    graph.pool(hidden)
    data_file(path).unlink(missing_ok=True)  # what is there would be written behind
    onnx.save_model(
        graph.model(weights["embeddings.word_embeddings.weight"].shape[1]),
        str(path),
        save_as_external_data=True,
        location=data_file(path).name,
    )


def data_file(path: Path) -> Path:
    """Where the weights of a graph are."""
    return path.with_suffix(".data")


class _Graph:
    def __init__(self, weights: Mapping[str, Any], epsilon: float, bits: int | None) -> None:
        self.weights = weights
        self.epsilon = epsilon
        self.bits = bits
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def node(self, kind: str, inputs: list[str], output: str, fused: bool = False, **k: Any) -> str:
        domain = _FUSED if fused else ""
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **k))
        return output

    def constant(self, name: str, array: Any) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.array(array, order="C"), name)
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name].astype(np.float32))

    def product(
        self, x: str, name: str, matrix: Any, bias: Any | None = None, *, fine: bool = False
    ) -> str:
        """x [.., in] times matrix [out, in] transposed, plus bias: [.., out].

        :param fine: scales for blocks of 128 numbers of a row, of weights and of activations: a
            tenth slower, and half the error where activations have outliers.
        """
        if self.bits is None:
            out = self.node("MatMul", [x, self.constant(name, matrix.T)], f"{name}:product")
            if bias is None:
                return out
            return self.node("Add", [out, self.constant(f"{name}:bias", bias)], f"{name}:sum")
        if fine:
            return self.fine_product(x, name, matrix)
        whole, scale = quantise_rows(matrix, self.bits)
        inputs = [
            x,
            self.constant(name, whole.T),
            self.constant(f"{name}:scale", scale),
            self.constant(f"{name}:zero", np.zeros(len(scale), np.int8)),
        ]
        if bias is not None:
            inputs.append(self.constant(f"{name}:bias", bias.astype(np.float32)))
        return self.node("DynamicQuantizeMatMul", inputs, f"{name}:product", fused=True)

    def fine_product(self, x: str, name: str, matrix: Any) -> str:
        rows, columns = matrix.shape
        blocks = matrix.reshape(-1, _BLOCK)
        whole, scale = quantise_rows(blocks, 8)
        unsigned = (whole.astype(np.int16) + 128).astype(np.uint8)
        inputs = [
            x,
            self.constant(name, unsigned.reshape(rows, columns // _BLOCK, _BLOCK)),
            self.constant(f"{name}:scale", scale),
        ]
        return self.node(
            "MatMulNBits",
            inputs,
            f"{name}:product",
            fused=True,
            K=columns,
            N=rows,
            bits=8,
            block_size=_BLOCK,
            accuracy_level=4,  # activations in 8 bits too
        )

    def embeddings(self) -> str:
        """Words are kept in 8 bits with a scale for each, and widened as they are looked up."""
        words, scale = quantise_rows(self.weights["embeddings.word_embeddings.weight"], 8)
        row = self.node("Gather", [self.constant("words", words), "input_ids"], "word:int8")
        wide = self.node("Cast", [row], "word:wide", to=TensorProto.FLOAT)
        scales = self.constant("words:scale", scale[:, None])
        factor = self.node("Gather", [scales, "input_ids"], "word:scale")
        word = self.node("Mul", [wide, factor], "word")
        # Every token is of the first segment, whose vector is added to the positions for good.
        positions = (
            self.weights["embeddings.position_embeddings.weight"]
            + self.weights["embeddings.token_type_embeddings.weight"][0]
        )
        shape = self.node("Shape", ["input_ids"], "shape")
        length = self.node("Gather", [shape, self.constant("one", np.int64(1))], "length")
        count = self.node(
            "Range",
            [self.constant("zero", np.int64(0)), length, "one"],
            "positions:index",
        )
        place = self.node(
            "Gather", [self.constant("positions", positions.astype(np.float32)), count], "position"
        )
        both = self.node("Add", [word, place], "embedded")
        self.node("Cast", ["attention_mask"], "mask:int32", to=TensorProto.INT32)
        return self.node(
            "LayerNormalization",
            [
                both,
                self.weight("embeddings.LayerNorm.weight"),
                self.weight("embeddings.LayerNorm.bias"),
            ],
            "hidden",
            epsilon=self.epsilon,
        )

    def layer(self, hidden: str, at: str, heads: int) -> str:
        """Attention over all tokens, then each token through the wide layer."""
        w = self.weights
        self_at = f"{at}attention.self."
        three = self.product(
            hidden,
            f"{at}qkv",
            np.concatenate([w[f"{self_at}{part}.weight"] for part in ("query", "key", "value")]),
            np.concatenate([w[f"{self_at}{part}.bias"] for part in ("query", "key", "value")]),
        )
        parts = [f"{at}{part}" for part in ("query", "key", "value")]
        self.nodes.append(helper.make_node("Split", [three], parts, axis=-1))
        attended = self.node(
            "MultiHeadAttention",
            [*parts, "", "mask:int32"],
            f"{at}attended",
            fused=True,
            num_heads=heads,
        )
        hidden = self.added(attended, hidden, f"{at}attention.output.")
        wide = self.product(hidden, f"{at}wide", w[f"{at}intermediate.dense.weight"])
        bias = self.weight(f"{at}intermediate.dense.bias")
        active = self.node("BiasGelu", [wide, bias], f"{at}active", fused=True)
        return self.added(active, hidden, f"{at}output.", fine=True)

    def added(self, x: str, hidden: str, at: str, *, fine: bool = False) -> str:
        """A projection of x, added to what went in, normalised."""
        out = self.product(x, f"{at}dense", self.weights[f"{at}dense.weight"], fine=fine)
        inputs = [
            out,
            hidden,
            self.weight(f"{at}LayerNorm.weight"),
            self.weight(f"{at}LayerNorm.bias"),
            self.weight(f"{at}dense.bias"),
        ]
        return self.node(
            "SkipLayerNormalization", inputs, f"{at}hidden", fused=True, epsilon=self.epsilon
        )

    def pool(self, hidden: str) -> None:
        """The mean over the tokens that are no padding, divided by its length."""
        axes = self.constant("axis", np.array([1], np.int64))
        last = self.constant("last", np.array([2], np.int64))
        mask = self.node("Cast", ["attention_mask"], "mask:float", to=TensorProto.FLOAT)
        mask = self.node("Unsqueeze", [mask, last], "mask:column")
        kept = self.node("Mul", [hidden, mask], "kept")
        total = self.node("ReduceSum", [kept, axes], "total", keepdims=0)
        self.node("LpNormalization", [total], "embedding", axis=-1, p=2)

    def model(self, dimension: int) -> Any:
        integers = TensorProto.INT64
        graph = helper.make_graph(
            self.nodes,
            "bert",
            [
                helper.make_tensor_value_info("input_ids", integers, ["batch", "tokens"]),
                helper.make_tensor_value_info("attention_mask", integers, ["batch", "tokens"]),
            ],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", dimension])],
            list(self.constants.values()),
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_FUSED, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def quantise_rows(matrix: Any, bits: int) -> tuple[Any, Any]:
    """[rows, columns] as int8 and one float32 scale a row, zero at zero."""
    top = 2 ** (bits - 1) - 1
    scale = np.abs(matrix).max(axis=1) / top
    scale[scale == 0] = 1
    whole = np.clip(np.rint(matrix / scale[:, None]), -top, top).astype(np.int8)
    return whole, scale.astype(np.float32)
