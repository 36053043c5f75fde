"""A case of the conformance suite: one operation of the dialect, with its sizes and numbers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from kernel_operands import random_parts
from operations.dequantized import dequantized
from ossc.compiler.dialect import find_operation
from ossc.compiler.dialect.builder import IR_VERSION
from ossc.compiler.dialect.call import Attribute, Weight, dialect_node
from ossc.compiler.dialect.functions import OPSET_VERSION, attach_functions
from ossc.compiler.dialect.operation import Operation
from ossc.compiler.storage import find_weight_type

Shape = tuple[int | str, ...]
"""Dimensions; ``"B"`` is the batch, ``"S"`` a sequence, ``"T"`` all tokens, ``"P"`` the cache."""

Arrays = dict[str, NDArray]
"""Inputs or outputs, by name."""

FLOATS = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
"""Types of the small tensors that a checkpoint has: biases, sinks, norms, routers."""

SMALL = tuple(FLOATS)
"""Their names."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A node of the dialect, for any number of tokens."""

    operation: str
    sizes: str
    """For the id, such as ``10x96``."""
    shapes: Mapping[str, Shape]
    """Of every input besides the weight of a format; the optional ones that it names are given."""
    weight: tuple[str, tuple[int, ...]] | None = None
    """Format and shape of the weight, where the operation has one."""
    variants: tuple[str, ...] = ()
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    floats: str = "f32"
    """Type of the small tensors."""
    experts: int = 0
    """How many there are to choose from, where experts are chosen."""
    division: tuple[str, ...] = ()
    """The scheme of each expert, where they are in several: ``weight`` then joins their names."""
    past: int = 0
    """Tokens in the cache, where there is one."""
    zeros: tuple[str, ...] = ()
    """Small tensors that are all zeros."""

    @property
    def optional(self) -> tuple[str, ...]:
        """The optional inputs that are given."""
        return tuple(name for name, _ in self.definition.optional if name in self.shapes)

    @property
    def id(self) -> str:
        """``operation/overload/sizes/floats``, as patterns match it."""
        formats = [self.weight[0]] if self.weight else []
        overload = ",".join([*formats, *self.variants, *self.optional]) or "-"
        marks = [f"past{self.past}"] if self.past else []
        marks += [f"zero-{name}" for name in self.zeros]
        return "/".join([self.operation, overload, self.sizes, self.floats, *marks])

    @property
    def definition(self) -> Operation:
        """The operation."""
        return find_operation(self.operation)

    @property
    def window(self) -> int:
        """The attention's; 0 where there is none."""
        return int(self.attributes.get("window", 0))  # type: ignore[arg-type]

    def is_constant(self, name: str) -> bool:
        """Tell whether an input belongs to the model: the dialect calls it ``float``."""
        ports = dict((*self.definition.inputs, *self.definition.optional))
        return ports[name].startswith("float ")

    def inputs(self, tokens: int, past: int | None = None) -> Arrays:
        """Return the inputs besides the weight of a format, the same ones at each call.

        Args:
            tokens: T.
            past: Tokens in the cache, if not `past`.
        """
        past = self.past if past is None else past
        named = {"B": 1, "S": tokens, "T": tokens, "P": past}
        arrays: Arrays = {}
        for index, (name, shape) in enumerate(self.shapes.items()):
            dims = tuple(named[dim] if isinstance(dim, str) else dim for dim in shape)
            random = np.random.default_rng([index, 0 if self.is_constant(name) else tokens + past])
            array = _MAKERS.get(name, _normal)(self, random, dims, past)
            array = np.zeros_like(array) if name in self.zeros else array
            arrays[name] = array.astype(FLOATS[self.floats]) if self.is_constant(name) else array
        return arrays

    def parts(self) -> list[NDArray]:
        """Return the parts of the weight; none where there is no weight of a format."""
        if self.division:
            return list(self._mixed_parts())
        return random_parts(*self.weight) if self.weight else []

    def _mixed_parts(self) -> Iterator[NDArray]:
        """Yield the parts of each scheme for its experts, and where each expert is."""
        assert self.weight is not None
        name, (_, *matrix) = self.weight
        schemes = name.split("+")
        for seed, scheme in enumerate(schemes):
            yield from random_parts(scheme, (self.division.count(scheme), *matrix), seed)
        rows = [self.division[:e].count(scheme) for e, scheme in enumerate(self.division)]
        numbers = [schemes.index(scheme) for scheme in self.division]
        yield np.array([numbers, rows], np.int32).T

    def exact(self, inputs: Arrays) -> Arrays:
        """Return the inputs and the weight as a reference takes them: floats in float64."""
        weight = {"weight": dequantized(self.weight[0], self.parts())} if self.weight else {}
        return {
            name: array if array.dtype == np.int64 else array.astype(np.float64)
            for name, array in {**inputs, **weight}.items()
        }

    def model(self, inputs: Arrays) -> ir.Model:
        """Return a graph of this one node; what belongs to the model is an initializer.

        Args:
            inputs: As from `inputs`; they give the graph its dtypes, and the constants.
        """
        values = {
            name: _constant(name, array)
            if self.is_constant(name)
            else _input(name, array, self.shapes[name])
            for name, array in inputs.items()
        }
        node = self._node(values)
        graph = ir.Graph(
            [value for value in values.values() if not value.const_value],
            node.outputs,
            nodes=[node],
            initializers=[
                value for value in node.inputs if value is not None and value.const_value
            ],
            opset_imports={"": OPSET_VERSION},
            name="case",
        )
        model = ir.Model(graph, ir_version=IR_VERSION)
        attach_functions(model)
        return model

    def _node(self, inputs: dict[str, ir.Value]) -> ir.Node:
        node = dialect_node(
            self.operation,
            inputs,
            called="node",
            outputs=[(_dtype(description), ()) for _, description in self.definition.outputs],
            weight=self._weight(),
            variants=self.variants,
            attributes=self.attributes,
        )
        for (name, _), value in zip(self.definition.outputs, node.outputs, strict=True):
            value.name, value.shape = name, None
        return node

    def _weight(self) -> Weight | None:
        if self.weight is None:
            return None
        weight = find_weight_type(self.weight[0])
        return weight, [
            _constant(f"weight.{part.name}", array)
            for part, array in zip(weight.parts, self.parts(), strict=True)
        ]


def _dtype(description: str) -> ir.DataType:
    return ir.DataType.INT64 if description.startswith("i64") else ir.DataType.FLOAT


def _constant(name: str, array: NDArray) -> ir.Value:
    tensor = ir.Tensor(array, name=name)
    shape, dtype = ir.Shape(array.shape), ir.TensorType(tensor.dtype)
    return ir.Value(name=name, type=dtype, shape=shape, const_value=tensor)


def _input(name: str, array: NDArray, shape: Shape) -> ir.Value:
    dtype = ir.TensorType(ir.DataType.from_numpy(array.dtype))
    return ir.Value(name=name, type=dtype, shape=ir.Shape(shape))


Maker = Callable[[Case, np.random.Generator, tuple[int, ...], int], NDArray]


def _normal(case: Case, random: np.random.Generator, shape: tuple[int, ...], past: int) -> NDArray:
    del case, past
    return random.standard_normal(shape).astype(np.float32)


def _ids(case: Case, random: np.random.Generator, shape: tuple[int, ...], past: int) -> NDArray:
    """Return ids of rows: the last one, and where there is room the first one, twice."""
    del past
    assert case.weight is not None
    rows = case.weight[1][0]
    ids = random.integers(0, rows, shape)
    ids[:3] = [rows - 1, 0, 0][: len(ids)]
    return ids


def _choices(case: Case, random: np.random.Generator, shape: tuple[int, ...], past: int) -> NDArray:
    """Return the different experts of each token."""
    del past
    tokens, k = shape
    return np.stack([random.permutation(case.experts)[:k] for _ in range(tokens)])


def _positions(
    case: Case, random: np.random.Generator, shape: tuple[int, ...], past: int
) -> NDArray:
    del case, random
    return np.broadcast_to(np.arange(past, past + shape[1]), shape).copy()


def _cosines(case: Case, random: np.random.Generator, shape: tuple[int, ...], past: int) -> NDArray:
    del case, past
    return np.cos(random.uniform(-np.pi, np.pi, shape)).astype(np.float32)


def _scales(case: Case, random: np.random.Generator, shape: tuple[int, ...], past: int) -> NDArray:
    del case, past
    return random.uniform(0.5, 2, shape).astype(np.float32)


_MAKERS: dict[str, Maker] = {
    "cos": _cosines,
    "ids": _ids,
    "indices": _choices,
    "position_ids": _positions,
    "query_scale": _scales,
    "sin": _cosines,
}
"""How an input of a name is made; others are normally distributed."""
