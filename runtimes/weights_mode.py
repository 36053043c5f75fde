"""The ways in which a process can hold a bundle's weights."""

from typing import Literal

WeightsMode = Literal["mapped", "resident"]
"""Pages of the file, ready at once; or copied into huge pages, slower to open and faster to run."""

WEIGHTS_MODES: tuple[WeightsMode, ...] = ("mapped", "resident")
