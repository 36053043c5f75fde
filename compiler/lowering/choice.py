"""Which kernel a node gets: a backend's list of candidates, of which the first that can is taken.

A new kernel is a file, and a line in the list before the more general ones.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

from ossc.compiler.lowering.kernel import Activation, Kernel
from ossc.compiler.lowering.segment import SegmentBuilder
from ossc.targets.errors import LoweringError

Builder = Callable[..., Kernel]
"""Makes a kernel of the parameters of a request; all builders of one operation take the same."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """The kernel that a node needs."""

    operation: str
    """Of the dialect, or what a backend does before or after one, such as ``GroupByExpert``."""

    rows: int | None
    """The rows of every call; None where each call says how many."""

    scheme: str | None = None
    """Of the weight, if a kernel reads one; several are joined by ``+``."""

    activation: Activation | None = None
    """The type in which activations meet the weight."""

    parameters: Mapping[str, Hashable] = field(default_factory=dict)
    """What builders take besides: shapes, capacity, instruction set."""

    def __str__(self) -> str:
        weights = f" of {self.scheme} weights" if self.scheme else ""
        activations = f" with {self.activation} activations" if self.activation else ""
        rows = "any number of rows" if self.rows is None else f"{self.rows} row"
        return f"{self.operation}{weights}{activations} for {rows}"


def anything(request: Request) -> bool:
    """Say yes: what a candidate can that takes every request for its operation."""
    del request
    return True


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A kernel, and what it can compute."""

    operation: str
    build: Builder
    can: Callable[[Request], bool] = anything
    limits: str = ""
    """What ``can`` asks for, in words for an error; empty where it asks for nothing."""

    def __str__(self) -> str:
        name = self.build.__name__
        return f"{name} ({self.limits})" if self.limits else name


@dataclass(frozen=True)
class KernelTable:
    """A backend's kernels, the more special ones first."""

    candidates: tuple[Candidate, ...]

    def choose(self, request: Request) -> Builder:
        """Return the builder of the first candidate that can.

        Raises:
            LoweringError: None can.
        """
        known = [each for each in self.candidates if each.operation == request.operation]
        for candidate in known:
            if candidate.can(request):
                return candidate.build
        there_is = f"there is {', '.join(map(str, known))}" if known else "there is none for it"
        raise LoweringError(
            f"No kernel computes {request}; {there_is}. Choose another scheme with --quant, or add "
            "a kernel to the backend's list."
        )

    def kernel(
        self,
        segment: SegmentBuilder,
        operation: str,
        *,
        scheme: str | None = None,
        activation: Activation | None = None,
        **parameters: Hashable,
    ) -> Kernel:
        """Return the chosen kernel for the rows of a segment, built once for the whole model.

        Args:
            segment: Where it will be called.
            operation: See `Request`, as for the others.
            scheme: Given to the builder if there is one.
            activation: The same.
            **parameters: Given to the builder.

        Raises:
            LoweringError: No candidate can.
        """
        request = Request(
            operation=operation,
            rows=segment.static_rows,
            scheme=scheme,
            activation=activation,
            parameters=parameters,
        )
        types = {"scheme": scheme, "activation": activation}
        given = {name: value for name, value in types.items() if value is not None}
        return segment.kernel(self.choose(request), **given, **parameters)
