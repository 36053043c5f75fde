"""Numbers on the command line, read exactly as ``ossc-run`` reads them."""

import re
import struct
from typing import Any

import click

WHOLE_NUMBER = re.compile(r"-?[0-9]+")
_REAL = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

MAX_INT32 = 2**31 - 1
MAX_UINT64 = 2**64 - 1


class WholeNumber(click.IntRange):
    """Digits; what else Python takes for an integer, such as ``1_0`` or ``+1``, is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        if isinstance(value, str) and not WHOLE_NUMBER.fullmatch(value):
            self.fail(f"{value!r} is not a whole number.", param, ctx)
        number: int = super().convert(value, param, ctx)
        return number


class Real(click.FloatRange):
    """A number of float32, in which the sampler computes; its range is checked as rounded."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        if isinstance(value, str) and not _REAL.fullmatch(value):
            self.fail(f"{value!r} is not a number.", param, ctx)
        try:
            (rounded,) = struct.unpack("<f", struct.pack("<f", float(value)))
        except OverflowError:
            self.fail(f"{value} is larger than any float32.", param, ctx)
        super().convert(rounded, param, ctx)
        return float(value)
