"""The kernels of one model."""

from collections.abc import Callable
from typing import ParamSpec

from ossc.compiler.lowering.kernel import Kernel

P = ParamSpec("P")


class KernelLibrary:
    """Builds a kernel when it is first asked for; layers and plans that call it share it."""

    def __init__(self) -> None:
        self.kernels: dict[str, Kernel] = {}
        """By symbol."""
        self._built: dict[tuple[object, ...], Kernel] = {}

    def get(self, build: Callable[P, Kernel], *args: P.args, **parameters: P.kwargs) -> Kernel:
        """Return what ``build`` makes of these parameters, which must be hashable."""
        key = (build, args, tuple(sorted(parameters.items())))
        if key not in self._built:
            kernel = build(*args, **parameters)
            self._built[key] = self.kernels.setdefault(kernel.name, kernel)
        return self._built[key]
