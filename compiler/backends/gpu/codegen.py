"""TIR with thread bindings → a function of a GPU language, and how it is launched.

The passes are those of TVM's list that our functions need. `StmtSimplify` is not among them: it
puts the value of every ``T.Bind`` back where it is used, so that a chain in which each step uses
the one before twice doubles with each step. `MakePackedAPI` is not either: what stays on the host
is then one ``call_ffi_kernel`` for each launch, whose arguments name the function's own parameters,
so that it can be read here instead of compiled. `StorageRewrite` would let arrays of local memory
share their bytes, across which our barriers do not reach. `CommonSubexprElim` names what a buffer's
dimensions have in common, rows among it that the function does not take; drivers have their own.
`CompactBufferAllocation` and `RemoveNoOp` change nothing of ours, and take most of the time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tvm
import tvm_ffi
from tvm import s_tir, tirx

from ossc.compiler.lowering.launch import Grid, Groups

_CALL_KERNEL = "tirx.call_ffi_kernel"
_LAUNCH_PARAMETERS = "tirx.kernel_launch_params"
_ROWS = "n"
"""The one scalar that a function may take."""


@dataclass(frozen=True, kw_only=True)
class DeviceFunction:
    """A function of a GPU language."""

    name: str
    """In the source."""
    source: str
    arguments: tuple[int, ...]
    """Which of the TIR function's buffers each argument is: TVM sorts them by name."""
    grid: Grid
    takes_rows: bool
    """Whether the rows of the call follow the buffers, as one int32."""


def generate_device_function(
    symbol: str, function: tirx.PrimFunc, target: tvm.target.Target
) -> DeviceFunction:
    """Compile a function for a GPU; the result depends only on the arguments.

    Args:
        symbol: From which its name is made.
        function: With one grid, for which at most the rows ``n`` are not known.
        target: Whose ``kind`` is the language.
    """
    host_target = tvm.target.Target({"kind": "llvm"})
    module = tvm.IRModule({tvm.ir.GlobalVar(symbol): function.with_attr("global_symbol", symbol)})
    bound = tirx.transform.BindTarget(target.with_host(host_target))(module)
    split = _passes()(bound).functions
    (device,) = (v for v, each in split.items() if _LAUNCH_PARAMETERS in each.attrs)
    (host,) = (each for v, each in split.items() if v != device)
    build = tvm.get_global_func(f"target.build.{target.kind.name}")
    named = split[device].with_attr("global_symbol", symbol)
    built = build(_device_passes()(tvm.IRModule({device: named})), target)
    return _launched(symbol, host, built.inspect_source())


def _passes() -> tvm.transform.Pass:
    return tvm.transform.Sequential(
        [
            # blocks and multidimensional buffers → loops and flat buffers
            s_tir.transform.CanonicalizeLoop(),
            s_tir.transform.LowerCrossThreadReduction(),
            s_tir.transform.LowerInitBlock(),
            s_tir.transform.PlanAndUpdateBufferAllocationLocation(),
            s_tir.transform.ConvertBlocksToOpaque(),
            s_tir.transform.LiftThreadBinding(),
            s_tir.transform.UnifyThreadBinding(),
            s_tir.transform.LowerMatchBuffer(),
            s_tir.transform.LowerOpaqueBlock(),
            tirx.transform.FlattenBuffer(),
            tirx.transform.NarrowDataType(32),
            tirx.transform.VectorizeLoop(),
            tirx.transform.UnrollLoop(),
            # the host calls what becomes a function of the device
            tirx.transform.VerifyMemory(),
            tirx.transform.AnnotateEntryFunc(),
            s_tir.transform.LowerThreadAllreduce(),
            tirx.transform.SplitHostDevice(),
        ]
    )


def _device_passes() -> tvm.transform.Pass:
    return tvm.transform.Sequential(
        [
            tirx.transform.LowerWarpMemory(),
            tirx.transform.LowerIntrin(),
        ]
    )


def _launched(symbol: str, host: tirx.PrimFunc, source: str) -> DeviceFunction:
    """Read from the host's half of a function how the device's is launched."""
    calls: list[Any] = []
    aliases: dict[Any, Any] = {}

    def declare(statement: Any) -> None:
        aliases[statement.buffer] = statement.data

    def call(node: Any) -> None:
        if getattr(node.op, "name", "") == _CALL_KERNEL:
            calls.append(node)

    tvm_ffi.structural_walk(host.body, [(tirx.DeclBuffer, declare), (tvm.ir.Call, call)])
    assert len(calls) == 1, f"{symbol} has {len(calls)} launches"
    (node,) = calls
    _, *values = node.args
    tags = [str(tag) for tag in node.attrs.launch_params]
    extents = dict(zip(tags, values[len(values) - len(tags) :], strict=True))
    arguments = values[: len(values) - len(tags)]
    buffers = [p for p in host.params if isinstance(p.ty, tirx.buffer.BufferType)]
    data = [value for value in arguments if _is_data(value)]
    scalars = arguments[len(data) :]
    named = [(scalar.name, str(scalar.ty.dtype)) for scalar in scalars]
    assert named in ([], [(_ROWS, "int32")]), f"{symbol} takes {named} besides its buffers"
    return DeviceFunction(
        name=symbol,
        source=source,
        arguments=tuple(_parameter(value, buffers, aliases) for value in data),
        grid=_grid(extents),
        takes_rows=bool(scalars),
    )


def _is_data(value: Any) -> bool:
    return isinstance(value, tvm.ir.Call) and value.op.name == "tirx.buffer_data"


def _parameter(value: Any, buffers: list[Any], aliases: Mapping[Any, Any]) -> int:
    """Return the number of the parameter whose data an argument is: ``x_1.data``, or ``x.data``."""
    variable = value.args[0]
    for number, buffer in enumerate(buffers):
        if buffer.same_as(variable):
            return number
    source = next(data for buffer, data in aliases.items() if buffer.same_as(variable))
    return _parameter(source, buffers, aliases)


def _grid(extents: Mapping[str, Any]) -> Grid:
    x, y, z = (_groups(extents.get(f"blockIdx.{axis}", 1)) for axis in "xyz")
    width, height, depth = (int(extents.get(f"threadIdx.{axis}", 1)) for axis in "xyz")
    return Grid(groups=(x, y, z), block=(width, height, depth))


def _groups(extent: Any) -> Groups:
    """Read ``(fixed + per_token · n + divisor - 1) // divisor``."""
    if isinstance(extent, int | tirx.IntImm):
        return Groups(fixed=int(extent))
    divisor = 1
    if isinstance(extent, tirx.FloorDiv):
        divisor, extent = int(extent.b), extent.a
    variables: list[Any] = []
    tvm_ffi.structural_walk(extent, (tirx.Var, variables.append))
    slope, fixed = (int(part) for part in tvm.sym.detect_linear_equation(extent, [variables[0]]))
    return Groups(fixed=fixed - (divisor - 1), per_token=slope, divisor=divisor)
