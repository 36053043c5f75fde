"""The kernels of one model."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ParamSpec

from ossc.compiler.lowering.kernel import Kernel
from ossc.runtimes.kernel_cost import KernelCost

P = ParamSpec("P")


class KernelLibrary:
    """Builds a kernel when it is first asked for; layers and plans that call it share it."""

    def __init__(self) -> None:
        self._built: dict[tuple[object, ...], Kernel] = {}
        self._by_symbol: dict[str, Kernel] = {}
        self._costs: dict[str, list[KernelCost]] = {}
        """By symbol, of each time that a kernel was asked for."""

    @property
    def kernels(self) -> dict[str, Kernel]:
        """All of them, by symbol.

        Kernels of one symbol have the same code. How many experts are in which scheme is no matter
        of the code, and the cost is then the mean of the layers that call it.
        """
        return {
            symbol: replace(kernel, cost=mean_cost(self._costs[symbol]))
            for symbol, kernel in self._by_symbol.items()
        }

    def get(self, build: Callable[P, Kernel], *args: P.args, **parameters: P.kwargs) -> Kernel:
        """Return what ``build`` makes of these parameters, which must be hashable."""
        key = (build, args, tuple(sorted(parameters.items())))
        if key not in self._built:
            self._built[key] = build(*args, **parameters)
        kernel = self._built[key]
        self._costs.setdefault(kernel.name, []).append(kernel.cost)
        return self._by_symbol.setdefault(kernel.name, kernel)


def mean_cost(costs: Sequence[KernelCost]) -> KernelCost:
    """Return the cost of kernels that differ in the bytes of an expert only."""
    first = costs[0]
    per_expert = round(sum(cost.bytes.per_expert for cost in costs) / len(costs))
    return replace(first, bytes=replace(first.bytes, per_expert=per_expert))
