"""Plans with changed bytes, for comparing the two readers."""

import random
import struct
from pathlib import Path

from ossc.runtimes.plan import Plan
from ossc.targets.errors import BundleError


def write_mutated_plans(original: bytes, count: int, path: Path) -> list[bytes]:
    """Write a plan and changed ones to a file as test_attacks takes it; the same each time."""
    rng = random.Random(1)
    plans = [original, *(_mutated(original, rng) for _ in range(count))]
    path.write_bytes(b"".join(struct.pack("<I", len(plan)) + plan for plan in plans))
    return plans


def is_accepted(plan: bytes) -> bool:
    """Whether the reader in Python takes it."""
    try:
        Plan.from_bytes(plan)
    except BundleError:
        return False
    return True


def _mutated(plan: bytes, rng: random.Random) -> bytes:
    """Change, insert or remove one to three bytes."""
    data = bytearray(plan)
    for _ in range(rng.randint(1, 3)):
        position = rng.randrange(len(data))
        kind = rng.randrange(6)
        if kind == 0:
            data[position : position + rng.randint(0, 8)] = rng.randbytes(rng.randint(0, 8))
        elif kind == 1:
            data[position] = rng.choice([0, 1, 127, 128, 255])
        else:
            data[position] ^= 1 << rng.randrange(8)
    return bytes(data)
