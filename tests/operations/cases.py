"""What every backend is asked to compute, in sizes that no kernel likes.

Rows that end within a vector and columns within a group, 33 experts, one chosen or all. Each case
is computed for one token and for several.
"""

from collections.abc import Iterator
from dataclasses import replace

from operations.attention_cases import attention_cases
from operations.case import SMALL, Case, Shape

COLUMNS = {
    "bf16": (33,),
    "f16": (96,),
    "f32": (40,),
    "int4-g32": (96, 70),
    "int8-g32": (96, 33),
    "mxfp4": (96, 32),
}
"""Columns of the matrices of each format; where it allows, some that are no multiple of 32."""

GLU = {"silu": {}, "gelu": {}, "gelu_tanh": {}, "swiglu_oss": {"alpha": 1.702, "limit": 1.5}}
"""Every activation, with its attributes; the limit is one that random numbers exceed."""


def _embeddings() -> Iterator[Case]:
    for name, columns in COLUMNS.items():
        for hidden in columns:
            yield Case(
                operation="Embedding",
                sizes=f"13x{hidden}",
                shapes={"ids": ("T",)},
                weight=(name, (13, hidden)),
            )


def _linears() -> Iterator[Case]:
    for index, (name, columns) in enumerate(COLUMNS.items()):
        for rows, k, bias in ((10, columns[0], True), (17, columns[-1], False)):
            yield Case(
                operation="Linear",
                sizes=f"{rows}x{k}",
                shapes={"x": ("T", k), **({"bias": (rows,)} if bias else {})},
                weight=(name, (rows, k)),
                attributes={"tensor_class": "dense" if bias else "head"},
                floats=SMALL[index % 3],
            )


def _linear_glus() -> Iterator[Case]:
    def case(name: str, k: int, kind: str, bias: bool, floats: str) -> Case:
        return Case(
            operation="LinearGlu",
            sizes=f"2·13x{k}",
            shapes={"x": ("T", k), **({"bias": (26,)} if bias else {})},
            weight=(name, (26, k)),
            variants=(kind,),
            attributes=GLU[kind],
            floats=floats,
        )

    for index, (name, columns) in enumerate(COLUMNS.items()):
        if name != "f32":
            yield case(name, columns[0], "silu", False, SMALL[index % 3])
        if name != "f16":
            yield case(name, columns[-1], "swiglu_oss", True, SMALL[index % 3])
    for kind in ("gelu", "gelu_tanh"):
        yield case("bf16", 33, kind, True, "f16")
        yield case("int8-g32", 96, kind, False, "f32")


def _glus() -> Iterator[Case]:
    shapes: dict[str, dict[str, Shape]] = {
        "11": {"x": ("T", 11), "up": ("T", 11)},
        "3x7": {"x": ("T", 3, 7), "up": ("T", 3, 7)},
        "2·11": {"x": ("T", 22)},
    }
    for kind, attributes in GLU.items():
        for sizes, of_inputs in shapes.items():
            yield Case(
                operation="Glu",
                sizes=sizes,
                shapes=of_inputs,
                variants=(kind,),
                attributes=attributes,
            )


def _norms() -> Iterator[Case]:
    for operation in ("RmsNorm", "AddRmsNorm"):
        residual = {"residual": ("T", 44)} if operation == "AddRmsNorm" else {}
        for floats in SMALL:
            yield Case(
                operation=operation,
                sizes="44",
                shapes={"x": ("T", 44), **residual, "weight": (44,)},
                attributes={"epsilon": 0.1},
                floats=floats,
            )


def _routers() -> Iterator[Case]:
    def case(experts: int, k: int, bias: bool, floats: str, zeros: tuple[str, ...] = ()) -> Case:
        return Case(
            operation="Router",
            sizes=f"{k}of{experts}",
            shapes={
                "x": ("T", 40),
                "weight": (experts, 40),
                **({"bias": (experts,)} if bias else {}),
            },
            attributes={"k": k},
            floats=floats,
            zeros=zeros,
        )

    for floats in SMALL:
        yield case(33, 3, True, floats)
    yield case(5, 1, False, "bf16")
    yield case(5, 5, False, "f32")
    yield case(128, 4, False, "f16")
    yield case(5, 3, True, "bf16", zeros=("weight", "bias"))
    yield case(33, 4, False, "f32", zeros=("weight",))


ROUTES = ((5, 2), (33, 3), (5, 1), (5, 5))
"""Experts, and how many a token chooses."""


def _expert_linears() -> Iterator[Case]:
    for index, (name, columns) in enumerate(COLUMNS.items()):
        for route, k, bias in ((index, columns[0], True), (index + 1, columns[-1], False)):
            experts, chosen = ROUTES[route % 4]
            if name in ("f16", "f32") and bias != (name == "f16"):
                continue
            yield _expert_linear(name, (experts, 10, k), chosen, bias, SMALL[index % 3])
    for variants in (("shared",), ("transposed",), ("shared", "transposed")):
        for name, bias in (("bf16", True), ("f16", False), ("f32", True)):
            yield _expert_linear(name, (5, 10, 33), 2, bias, name, variants)
    yield _expert_linear("int8-g32", (33, 10, 33), 3, True, "f32", ("shared",))


def _expert_linear(
    name: str,
    shape: tuple[int, int, int],
    chosen: int,
    bias: bool,
    floats: str,
    variants: tuple[str, ...] = (),
) -> Case:
    experts, rows, k = shape
    x: Shape = ("T", k) if "shared" in variants else ("T", chosen, k)
    return Case(
        operation="ExpertLinear",
        sizes=f"{chosen}of{experts}x{rows}x{k}",
        shapes={
            "x": x,
            "indices": ("T", chosen),
            **({"bias": (experts, rows)} if bias else {}),
        },
        weight=(name, (experts, k, rows) if "transposed" in variants else shape),
        variants=variants,
        floats=floats,
        experts=experts,
    )


def _expert_glus() -> Iterator[Case]:
    def case(name: str, k: int, route: tuple[int, int], kind: str, bias: bool, floats: str) -> Case:
        experts, chosen = route
        return Case(
            operation="ExpertGlu",
            sizes=f"{chosen}of{experts}x2·13x{k}",
            shapes={
                "x": ("T", k),
                "indices": ("T", chosen),
                **({"bias": (experts, 26)} if bias else {}),
            },
            weight=(name, (experts, 26, k)),
            variants=(kind,),
            attributes=GLU[kind],
            floats=floats,
            experts=experts,
        )

    for index, (name, columns) in enumerate(COLUMNS.items()):
        floats = SMALL[index % 3]
        if name != "f16":
            yield case(name, columns[0], ROUTES[index % 4], "silu", False, floats)
        if name != "f32":
            yield case(name, columns[-1], ROUTES[(index + 1) % 4], "swiglu_oss", True, floats)
    for kind in ("gelu", "gelu_tanh"):
        yield case("bf16", 33, ROUTES[1], kind, True, "f16")
        yield case("int8-g32", 96, ROUTES[0], kind, False, "f32")


MIXTURES: tuple[tuple[tuple[str, ...], int], ...] = (
    (("int4-g32", "mxfp4", "mxfp4", "int4-g32", "mxfp4"), 96),
    (("bf16", "int8-g32", "int8-g32", "bf16", "int8-g32"), 33),
    (("mxfp4", "f16", "int4-g32", "mxfp4", "f16"), 64),
    (("f32", "bf16", "bf16", "f16", "f32"), 40),
    (("mxfp4",) * 20 + ("int8-g32",) + ("mxfp4",) * 12, 32),
)
"""The scheme of each expert, and columns: codes, codes and floats, three schemes, floats alone, and
33 experts of which one is in another scheme."""


def _mixed_experts() -> Iterator[Case]:
    order = ["mxfp4", "int4-g32", "int8-g32", "bf16", "f16", "f32"]  # by bits
    for index, (division, k) in enumerate(MIXTURES):
        experts = len(division)
        bias, chosen = index % 2 == 0, 2 if experts == 5 else 3
        name = "+".join(sorted(set(division), key=order.index))
        linear = _expert_linear(name, (experts, 10, k), chosen, bias, SMALL[index % 3])
        yield replace(linear, division=division)
        biases: dict[str, Shape] = {} if bias else {"bias": (experts, 26)}
        yield Case(
            operation="ExpertGlu",
            sizes=f"{chosen}of{experts}x2·13x{k}",
            shapes={"x": ("T", k), "indices": ("T", chosen), **biases},
            weight=(name, (experts, 26, k)),
            variants=("silu" if bias else "swiglu_oss",),
            attributes=GLU["silu" if bias else "swiglu_oss"],
            floats=SMALL[index % 3],
            experts=experts,
            division=division,
        )


def _combinations() -> Iterator[Case]:
    for k, hidden in ((1, 40), (4, 44), (33, 10)):
        yield Case(
            operation="CombineExperts",
            sizes=f"{k}x{hidden}",
            shapes={"x": ("T", k, hidden), "weights": ("T", k)},
        )


CASES: tuple[Case, ...] = (
    *_embeddings(),
    *_linears(),
    *_linear_glus(),
    *_glus(),
    *_norms(),
    *_routers(),
    *_expert_linears(),
    *_expert_glus(),
    *_mixed_experts(),
    *_combinations(),
    *attention_cases(),
)
"""All of them; the tests of this folder say what has to occur."""
