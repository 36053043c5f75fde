"""What every kernel is: a TIR function, what it costs, and how its work is shared out.

The parameters of a kernel's function are its buffers, inputs before outputs. On a CPU two int32
scalars ``begin`` and ``end`` follow: it does the tasks ``begin <= t < end`` and nothing else, so a
runtime splits the range over threads as it likes. On a GPU it is launched over a grid of groups.
Buffers are compact, distinct, and aligned as the target says.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, ClassVar, Literal, Self

import tvm
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T

from ossc.compiler.lowering.launch import Launch, Tasks
from ossc.runtimes.kernel_cost import Arithmetic, KernelCost, Work
from ossc.runtimes.plan import Role

Expr = Any
"""A TIR expression or a Python number that becomes one."""

Buffer = Any
"""A TIR buffer."""

Isa = Literal["avx512_vnni", "avx_vnni", "avx2", "portable"]
"""Which kernel bodies to take; ``portable`` holds no instruction of a particular machine."""

Activation = Literal["f32", "int8", "int8x2"]
"""The type in which activations meet weights: float32, or integers with a scale for every 32
columns. ``int8`` are codes of -127 to 127, ``int8x2`` codes of -32258 to 32258 in two terms of
int8, high · 254 + low: twice the products, 254 times the precision (docs/decisions/0004)."""

Parts = tuple[Literal["token", "expert", "key"], int]
"""A buffer of so many equal parts, of which a call touches one for each token, each distinct expert
or each distinct key."""

TERMS: dict[Activation, int] = {"int8": 1, "int8x2": 2}
"""int8 terms of one integer code."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A TIR function and its launch for ``n`` tokens."""

    name: str
    """The C symbol, made from all parameters: kernels of one name are the same."""

    func: tvm.tirx.PrimFunc

    launch: Launch

    cost: KernelCost

    roles: tuple[Role, ...]
    """What the numbers of each buffer mean, as far as the kernel says it of what it writes."""

    isa: Isa | None = None
    """Which bodies it has; None where all instruction sets share them."""

    for_isa: "Callable[[Isa], Kernel] | None" = None
    """Builds the same kernel with other bodies: the same buffers, tasks and results."""

    vector_body: "Callable[[], tvm.tirx.PrimFunc] | None" = None
    """Builds the same function of a GPU in vectors, for a driver that compiles it for a CPU: the
    same buffers and launch."""

    @property
    def tasks(self) -> Tasks:
        """The range of a kernel for CPUs."""
        assert isinstance(self.launch, Tasks), f"{self.name} is launched over a grid"
        return self.launch


def with_variants(build: Callable[..., Kernel]) -> Callable[..., Kernel]:
    """Let the kernels of a builder that takes ``isa`` be built again for another one."""

    @wraps(build)
    def build_and_remember(*, isa: Isa, **parameters: Any) -> Kernel:
        def for_isa(other: Isa) -> Kernel:
            return build_and_remember(isa=other, **parameters)

        return replace(build(isa=isa, **parameters), isa=isa, for_isa=for_isa)

    return build_and_remember


def symbol(operation: str, *parameters: str | float, n: int | None) -> str:
    """Make a C symbol of an operation, its parameters, and the number of tokens if it is fixed."""
    tokens = "n" if n is None else f"n{n}"
    name = "_".join([operation, *map(str, parameters), tokens])
    return name.replace(".", "p").replace("-", "m").replace("+", "")


class KernelBuilder:
    """Declares the parameters of the function that is being built, and opens its task loop."""

    INDEX: ClassVar[str] = "int64"
    """The type of a number of tokens that each call says."""

    def __init__(self, name: str, n: int | None) -> None:
        self._name = name
        self._ir_builder = IRBuilder()
        self._rows = tvm.tirx.Var("n", self.INDEX) if n is None else n
        self._launch: Launch = Tasks()
        self._bytes: Counter[str] = Counter()
        self._roles: list[Role] = []
        self._function: tvm.tirx.PrimFunc | None = None

    @property
    def single(self) -> bool:
        """Whether every call has one token."""
        return isinstance(self._rows, int) and self._rows == 1

    @property
    def tokens(self) -> Expr:
        """The number of tokens in this call, as int32."""
        return self._rows if isinstance(self._rows, int) else self._rows.astype("int32")

    def buffer(
        self,
        name: str,
        dtype: str,
        *shape: int,
        parts: Parts | None = None,
        role: Role = Role.OTHER,
    ) -> Buffer:
        """Add a buffer parameter ``shape``; without ``parts`` a call touches all of it."""
        self._roles.append(role)
        size_bytes = math.prod(shape) * tvm.DataType(dtype).itemsize
        unit, count = parts or ("call", 1)
        self._bytes[unit] += size_bytes // count
        return self._argument(name, shape, dtype)

    def bytes_of_any_size(self, name: str, size_bytes: int, parts: Parts) -> tuple[Buffer, Expr]:
        """Add a buffer of bytes whose number is each call's own.

        Args:
            name: Of the buffer.
            size_bytes: For the cost.
            parts: Of which a call touches some.

        Returns:
            The buffer, and the number, int64.
        """
        unit, count = parts
        self._roles.append(Role.OTHER)
        self._bytes[unit] += size_bytes // count
        size = tvm.tirx.Var(f"{name}_bytes", "int64")
        return T.arg(name, T.Buffer((size,), "uint8")), size

    def per_token(self, name: str, dtype: str, *shape: int, role: Role = Role.OTHER) -> Buffer:
        """Add a buffer parameter ``[n, *shape]``."""
        self._roles.append(role)
        self._bytes["token"] += math.prod(shape) * tvm.DataType(dtype).itemsize
        return self._argument(name, (self._rows, *shape), dtype)

    def _argument(self, name: str, shape: Sequence[Expr], dtype: str) -> Buffer:
        return T.arg(name, T.Buffer(shape, dtype))

    @contextmanager
    def tasks(self, fixed: int = 0, per_token: int = 0) -> Iterator[Expr]:
        """Add ``begin`` and ``end``, open the loop over the range, and give the task's number."""
        self._launch = Tasks(fixed=fixed, per_token=per_token)
        begin = T.arg("begin", tvm.tirx.Var("begin", "int32"))
        end = T.arg("end", tvm.tirx.Var("end", "int32"))
        T.func_attr({"tirx.noalias": True})
        with T.serial(begin, end) as task:
            yield task

    @contextmanager
    def open(self) -> Iterator[Self]:
        """Open the function; its body is what is built in the block."""
        with self._ir_builder, T.prim_func(s_tir=True):
            T.func_name(self._name)
            yield self
        self._function = self._ir_builder.get()

    def kernel(
        self,
        operation: str,
        arithmetic: Arithmetic,
        operations: Work,
        *,
        scheme: str | None = None,
        experts: int = 0,
        experts_per_tok: int = 0,
        window: int = 0,
    ) -> Kernel:
        """Return the finished kernel; call it after the ``with`` block.

        The arguments are those of `KernelCost`, whose bytes follow from the buffers.
        """
        assert self._function is not None, "the function is still open"
        cost = KernelCost(
            operation=operation,
            scheme=scheme,
            arithmetic=arithmetic,
            bytes=self._traffic(),
            operations=operations,
            experts=experts,
            experts_per_tok=experts_per_tok,
            window=window,
        )
        return Kernel(
            name=self._name,
            func=self._function,
            launch=self._launch,
            cost=cost,
            roles=tuple(self._roles),
        )

    def _traffic(self) -> Work:
        return Work(
            fixed=self._bytes["call"],
            per_token=self._bytes["token"],
            per_expert=self._bytes["expert"],
            per_key=self._bytes["key"],
        )


@contextmanager
def building(name: str, n: int | None) -> Iterator[KernelBuilder]:
    """Open a new kernel's function.

    Args:
        name: The C symbol.
        n: The number of tokens, or None where each call says it.
    """
    with KernelBuilder(name, n).open() as builder:
        yield builder
