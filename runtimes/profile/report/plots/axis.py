"""Axes: where on a plot a value lies, and which values have a mark."""

import math
from dataclasses import dataclass

from ossc.runtimes.profile.report.quantities import significant

STEPS = (1, 2, 5)
"""Marks are these times a power of ten."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A value with a line and a text."""

    at: float
    """Percent from the low end."""
    text: str


@dataclass(frozen=True, kw_only=True)
class Axis:
    """From ``low`` to ``high``; both are above 0 on a logarithmic one."""

    low: float
    high: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Return the percent of the way from the low end to the high end."""
        low, high, value = (self._warp(number) for number in (self.low, self.high, value))
        return round(100 * (value - low) / (high - low), 3) if high > low else 0.0

    def _warp(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value

    def marks(self, most: int = 6) -> list[Mark]:
        """Return at most so many marks at round values, and at powers of ten if they suffice."""
        values = self._powers(most) if self.logarithmic else self._round_values(most)
        return [Mark(at=self.at(value), text=f"{value:g}") for value in values]

    def _powers(self, most: int) -> list[float]:
        first, last = (math.floor(math.log10(end)) for end in (self.low, self.high))
        for steps in (STEPS, (1,)):
            values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
            inside = [value for value in values if self.low <= value <= self.high]
            if len(inside) <= most:
                return inside
        return inside[:: math.ceil(len(inside) / most)]

    def _round_values(self, most: int) -> list[float]:
        spread = self.high - self.low
        if spread <= 0:
            return [self.low]
        power = 10.0 ** math.floor(math.log10(spread / most))
        step = next(s * power for s in (*STEPS, 10) if spread / (s * power) <= most)
        first = math.ceil(self.low / step - 1e-9)
        count = math.floor(self.high / step + 1e-9) - first + 1
        return [float(significant((first + i) * step, 6)) for i in range(count)]


def logarithmic_axis(values: list[float], room: float = 1.6) -> Axis:
    """Make an axis around some values above 0, with this factor of room at both ends."""
    return Axis(low=min(values) / room, high=max(values) * room, logarithmic=True)
