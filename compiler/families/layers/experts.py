"""A layer of experts: the router, the products of the chosen experts, and their sum."""

from collections.abc import Sequence

import onnx_ir as ir

from ossc.compiler.dialect.builder import GraphBuilder
from ossc.compiler.dialect.call import Weight
from ossc.compiler.families.layers.basic import FLOAT


def router(b: GraphBuilder, x: ir.Value, module: str, k: int) -> tuple[ir.Value, ir.Value]:
    """Write the choice of experts by a module's ``weight`` ``[E, H]`` and, if any, its ``bias``.

    Returns:
        indices ``[T, k]`` int64 and weights ``[T, k]``, which sum to 1.
    """
    indices, weights = b.call(
        "Router",
        {
            "x": x,
            "weight": b.floats(f"{module}.weight"),
            "bias": b.optional_floats(f"{module}.bias"),
        },
        called=module,
        outputs=[(ir.DataType.INT64, ("tokens", k)), (FLOAT, ("tokens", k))],
        attributes={"k": k},
    )
    return indices, weights


def stacked_experts(b: GraphBuilder, names: Sequence[str], called: str) -> Weight:
    """Write the matrices ``[N, K]`` of all experts as one weight ``[E, N, K]``.

    Args:
        b: Where to write.
        names: Of the experts' weights, which have one format.
        called: The name of the whole.
    """
    formats, parts = zip(*(b.weight(name) for name in names), strict=True)
    stacks = []
    for part, values in zip(formats[0].parts, zip(*parts, strict=True), strict=True):
        shape = tuple(values[0].shape.numpy())
        with b.scope(f"{called}.{part.name}"):
            rows = b.op("Concat", *values, axis=0)
            stack = b.op("Reshape", rows, b.integers(len(names), *shape))
        stack.shape, stack.type = ir.Shape((len(names), *shape)), values[0].type
        stacks.append(stack)
    return formats[0], stacks


def expert_product(
    b: GraphBuilder,
    x: ir.Value,
    indices: ir.Value,
    weight: Weight,
    *,
    called: str,
    rows: int,
    bias: ir.Value | None = None,
    variants: Sequence[str] = (),
) -> ir.Value:
    """Write the products of each token with its experts' matrices.

    Args:
        b: Where to write.
        x: ``[T, k, K]``, or ``[T, K]`` in the variant ``shared``.
        indices: ``[T, k]``.
        weight: ``[E, N, K]``, or ``[E, K, N]`` in the variant ``transposed``.
        called: The module's name.
        rows: N.
        bias: ``[E, N]``.
        variants: Of ``ExpertLinear``.

    Returns:
        ``[T, k, N]``.
    """
    (y,) = b.call(
        "ExpertLinear",
        {"x": x, "indices": indices, "bias": bias},
        called=called,
        outputs=[(FLOAT, ("tokens", (indices.shape or ("tokens", "k"))[1], rows))],
        weight=weight,
        variants=variants,
    )
    return y


def expert_glu(
    b: GraphBuilder,
    gate: ir.Value,
    up: ir.Value | None,
    activation: str,
    *,
    called: str,
    columns: int,
    alpha: float | None = None,
    limit: float | None = None,
) -> ir.Value:
    """Write the activation of the experts' gates and ups: ``[T, k, I]``.

    Args:
        b: Where to write.
        gate: ``[T, k, I]``, or ``[T, k, 2I]`` with the ups between them.
        up: ``[T, k, I]``.
        activation: A variant of ``Glu``.
        called: The module's name.
        columns: I.
        alpha: Of ``swiglu_oss``.
        limit: Of ``swiglu_oss``.
    """
    k = (gate.shape or ("tokens", "k"))[1]
    given = {"alpha": alpha, "limit": limit}
    (y,) = b.call(
        "Glu",
        {"x": gate, "up": up},
        called=called,
        outputs=[(FLOAT, ("tokens", k, columns))],
        variants=[activation],
        attributes={name: value for name, value in given.items() if value is not None},
    )
    return y


def combine_experts(
    b: GraphBuilder, x: ir.Value, weights: ir.Value, *, called: str, hidden: int
) -> ir.Value:
    """Write the sum of the experts' results ``[T, k, H]``, each times its weight: ``[T, H]``."""
    (y,) = b.call(
        "CombineExperts",
        {"x": x, "weights": weights},
        called=called,
        outputs=[(FLOAT, ("tokens", hidden))],
    )
    return y
