"""What to compile, as a user says it: one model for one target."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What `compile_model` is asked for; an `Order` is the same with every name resolved."""

    model: Path | str
    """A folder in Hugging Face's layout, one of the hub's cache, or ``org/name[@revision]`` of it;
    see `find_model_folder`."""

    target: str = "cpu"
    """Name of a target; ``cpu`` is the best one that fits this machine."""

    quant: str = "default"
    """A preset, or a plan as a TOML file."""

    context: int | None = None
    """Positions that a session can hold; None: 4096, or what the model has if that is less."""

    prefill_chunk: int | None = None
    """Most tokens of a prompt that are computed at once; None: the target's."""

    instruction_sets: tuple[str, ...] | None = None
    """Those of the target's further instruction sets that hot kernels are also built for; None:
    all. Each one more makes the code larger and compiling longer."""

    out: Path | None = None
    """The bundle's folder; None: beside the caller, named after model and target."""

    force: bool = False
    """Whether a bundle at ``out`` is replaced."""
