"""What a machine can do at most: the limits that times of kernels are compared with."""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """The limits of a machine, with a number of threads that work together."""

    source: str
    """Where the figures come from: ``measured``, or the machine on which they once were."""

    isa: str
    """Instruction set of the kernels that run there, whose instructions the arithmetic limits use.
    """

    threads: int

    read_gb_per_s: Mapping[int, float]
    """Rate of reading a buffer of so many bytes in total again and again: caches, then memory."""

    f32_gflops: float
    """Fused multiply-adds of float32 from registers, two operations each."""

    int8_gops: float
    """The best int8 multiply-accumulates that kernels here can use, two operations each."""

    launch_ns: float
    """One step of tasks that do nothing."""

    def read_rate(self, working_set_bytes: float) -> float:
        """Return the read rate in GB/s of a working set, between the sizes that were measured.

        The rate's logarithm is interpolated over that of the size; beyond the smallest and the
        largest size the rate is theirs.
        """
        sizes = sorted(self.read_gb_per_s)
        above = bisect_left(sizes, working_set_bytes)
        if above in (0, len(sizes)):
            return self.read_gb_per_s[sizes[min(above, len(sizes) - 1)]]
        low, high = sizes[above - 1], sizes[above]
        share = math.log(working_set_bytes / low) / math.log(high / low)
        fast, slow = (math.log(self.read_gb_per_s[size]) for size in (low, high))
        return math.exp(fast + share * (slow - fast))
