"""Weights in the schemes of a quantization plan."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from ossc.compiler.checkpoint.views import SlicedTensor, derive_tensors, read_rows, take_rows
from ossc.compiler.dialect.call import Call, as_call, calls_in, rebuilt
from ossc.compiler.passes.base import NodePass, register_initializer, replace_node
from ossc.compiler.passes.plan_rules import check_rules, experts_of
from ossc.compiler.quantization import find_scheme, is_float
from ossc.compiler.quantization.mixed_experts import TABLE, in_order, make_table
from ossc.compiler.quantization.plan import QuantizationPlan
from ossc.compiler.quantization.rules import AS_STORED, TensorClass
from ossc.compiler.quantization.scheme import QuantizationScheme, WeightFormat
from ossc.compiler.storage import find_storage, find_weight_type
from ossc.runtimes.kernel_cost import JOINT
from ossc.targets.errors import QuantizationError

PIECE_ELEMENTS = 1 << 22
"""Weights of an expert that are in float32 at once: 16 MiB."""

Stored = tuple[WeightFormat, Sequence[ir.TensorProtocol]]
"""A weight as the checkpoint has it: its format, and the parts."""


@dataclass(frozen=True, kw_only=True)
class RoundedWeight:
    """A weight that was rounded to a float type."""

    name: str
    tensor_class: TensorClass
    scheme: str


class QuantizeWeights(NodePass):
    """Give every weight the scheme that the plan has for it.

    1. The weight is in another scheme: its parts become tensors that quantize a slice when it is
       read; without loss where the new scheme has a conversion from the old one. What a float type
       rounds is remembered then.
    2. Its experts get several schemes: each scheme's experts become tensors of their own, and a
       table says where each expert is; those whose scheme is the old one stay bit for bit.
    3. It is in that scheme, or the plan says ``as-stored``: leave it, bit for bit.
    4. The weight of a router or a norm, a bias, sinks, or what is not fused: leave it; no plan
       applies to them.
    """

    def __init__(self, plan: QuantizationPlan, rounded: set[RoundedWeight] | None = None) -> None:
        """Prepare for one plan.

        Args:
            plan: Which scheme each class of weights gets.
            rounded: Receives the weights that their new float type cannot hold exactly, each when
                it is read.
        """
        super().__init__()
        self.plan = plan
        self._rounded = set() if rounded is None else rounded
        self._converted: dict[tuple[str, tuple[ir.Value, ...]], list[ir.Value]] = {}
        """By the scheme, and the parts from which it is: two nodes may have one weight."""

    def rewrite(self, model: ir.Model) -> bool:
        """Quantize what differs from the plan.

        Raises:
            QuantizationError: A weight does not fit its scheme, or a rule of the plan is for a
                weight or an expert that is not there. (Weights that are not finite are found when
                they are read.)
        """
        check_rules(self.plan, calls_in(model))
        return super().rewrite(model)

    def visit(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Quantize a weight that differs from the plan."""
        call = as_call(node)
        if call is None or call.format is None or call.tensor_class is None:  # case 4
            return False
        wanted = self._schemes(call, call.format.name, call.tensor_class)
        if set(wanted) == {call.format.name}:  # case 3
            return False
        if not isinstance(call.format, WeightFormat):
            raise QuantizationError(
                f"{call.name}: its experts are in {call.format.name} already; quantize it once."
            )
        tensors = [part.const_value for part in call.parts if part.const_value is not None]
        stored = call.format, tensors
        joint = JOINT.join(in_order(wanted))
        if len(set(wanted)) > 1:  # case 2
            parts = list(self._mix(call.name, stored, wanted))
            values = [register_initializer(graph, part) for part in parts]
        else:
            key = joint, call.parts
            if key not in self._converted:
                parts = list(self._convert(graph, call.name, stored, joint, call.tensor_class))
                self._converted[key] = [register_initializer(graph, part) for part in parts]
            values = self._converted[key]
        weight = find_weight_type(joint)
        replace_node(graph, node, rebuilt(call, weight=(weight, values)))
        return True

    def _schemes(self, call: Call, stored: str, tensor_class: TensorClass) -> list[str]:
        """Return the format that the plan has for each expert, or the one of a whole weight."""
        experts = range(experts_of(call)) if tensor_class == "experts" else [None]
        wanted = [self.plan.scheme_of(call.name, tensor_class, expert) for expert in experts]
        return [stored if scheme == AS_STORED else scheme for scheme in wanted]

    def _convert(
        self,
        graph: ir.Graph,
        name: str,
        stored: Stored,
        scheme: str,
        tensor_class: TensorClass,
    ) -> Iterable[ir.TensorProtocol]:
        """Return all of a weight in one scheme."""
        old, tensors = stored
        new, named = find_scheme(scheme), name
        own = {f"{name}.{part.name}" for part in new.parts}
        if (is_float(old) and is_float(new)) or own & graph.initializers.keys():
            named += f".{new.name}"  # a part of both has one name
        rounded = RoundedWeight(name=name, tensor_class=tensor_class, scheme=scheme)
        return convert(named, tensors, old, new, on_rounding=lambda: self._rounded.add(rounded))

    def _mix(
        self, name: str, stored: Stored, schemes: Sequence[str]
    ) -> Iterator[ir.TensorProtocol]:
        """Yield the parts of experts in several schemes, in the order of their type."""
        old, tensors = stored
        for scheme in in_order(schemes):
            named = f"{name}.{scheme}"
            rows = [expert for expert, each in enumerate(schemes) if each == scheme]
            own = [
                take_rows(f"{named}.{part.name}", tensor, rows)
                for part, tensor in zip(old.parts, tensors, strict=True)
            ]
            rounded = RoundedWeight(name=name, tensor_class="experts", scheme=scheme)
            yield from (
                own
                if scheme == old.name
                else convert(
                    named,
                    own,
                    old,
                    find_scheme(scheme),
                    on_rounding=partial(self._rounded.add, rounded),
                )
            )
        yield ir.Tensor(make_table(schemes), name=f"{name}.{TABLE.name}")


def convert(
    name: str,
    parts: Sequence[ir.TensorProtocol],
    old: WeightFormat,
    new: QuantizationScheme,
    on_rounding: Callable[[], None] = lambda: None,
) -> tuple[SlicedTensor, ...]:
    """Return a weight in another scheme, quantized when it is read.

    Args:
        name: Of the weight; its parts are named ``name.part``.
        parts: In the old format.
        old: The format that the weight is in.
        new: The scheme that it gets.
        on_rounding: Called when values are read that are floats in the new scheme, but others.

    Raises:
        QuantizationError: The shape of the weight does not fit the new scheme.
    """
    shape = old.weight_shape(tuple(tuple(part.shape.numpy()) for part in parts))
    part_shapes = _naming(name, new.part_shapes)(shape)
    layouts = [
        (f"{name}.{part.name}", ir.DataType.from_numpy(part.dtype), part_shape)
        for part, part_shape in zip(new.parts, part_shapes, strict=True)
    ]

    stored = find_storage(old.name)
    from_storage = stored.convert_to.get(new.name) if stored is not None else None
    lossless = new.convert_from.get(old.name) or from_storage

    def quantize(begin: int, end: int) -> tuple[NDArray[Any], ...]:
        rows = [read_rows(part, begin, end) for part in parts]
        if lossless is not None:
            return lossless(*rows)
        pieces = [quantize_rows(each) for each in _row_pieces(rows, shape)]
        if len(pieces) == 1:
            return pieces[0]
        return tuple(np.concatenate(each, axis=1) for each in zip(*pieces, strict=True))

    def quantize_rows(rows: list[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        values = old.dequantize(*rows, columns=shape[-1])
        quantized = new.quantize(values)
        if is_float(new) and not np.array_equal(new.dequantize(*quantized), values):
            on_rounding()
        return quantized

    return derive_tensors(layouts, _naming(name, quantize))


def _row_pieces(parts: list[NDArray[Any]], shape: tuple[int, ...]) -> Iterator[list[NDArray[Any]]]:
    """Cut parts of experts ``[e, N, …]`` along their rows, so that little is in float32 at once.

    Parts that have no axis of rows, such as a scale for each expert, stay whole.
    """
    if len(shape) != 3 or any(part.shape[1:2] != shape[1:2] for part in parts):
        yield parts
        return
    step = max(1, PIECE_ELEMENTS // (shape[2] * len(parts[0])))
    for begin in range(0, shape[1], step):
        yield [part[:, begin : begin + step] for part in parts]


P = ParamSpec("P")
R = TypeVar("R")


def _naming(name: str, function: Callable[P, R]) -> Callable[P, R]:
    """Let errors of a scheme say which weight they are about."""

    def named(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except QuantizationError as error:
            raise QuantizationError(f"{name}: {error}") from error

    return named
