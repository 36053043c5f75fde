"""From profiles to what the test of predictions compares with.

    ossc profile BUNDLE --prompt-tokens 64 --format json --out 64.json    # of the 20b shape
    PYTHONPATH=.links python tests/benchmarks/record_prediction.py 64.json … > RECORD

Each profile gives its first depth and its first length, with the limits beside them; what was
measured while the machine changed is left out. RECORD is
``tests/runtimes/profile/prediction/measured_20b.json``.
"""

import json
import sys
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ossc.runtimes.profile.profile import Profile
from ossc.runtimes.profile.profile_json import read_profile
from ossc.runtimes.profile.report.findings import PHASES, phase_kernels, timings

LEAST_SHARE = 0.05
"""Of the phase: operations with less are not recorded."""


def records(profile: Profile) -> list[dict[str, Any]]:
    """Return the median token and the median prompt, if the machine stayed as it was."""
    assert profile.roofline is not None, "it was not emulated"
    found = []
    for phase in PHASES:
        row = timings(profile, phase)[0]
        assert row.conditions is not None, "all threads took part"
        if not row.conditions.steady:
            print(f"{row.title}: no repeat can be trusted; left out.", file=sys.stderr)
            continue
        operations_ms: dict[str, float] = defaultdict(float)
        kernels = phase_kernels(profile, phase)
        for kernel in kernels:
            operations_ms[kernel.operation] += kernel.ms
        total_ms = sum(operations_ms.values())
        found.append(
            {
                "phase": phase,
                "tokens": row.tokens,
                "ms": round(row.latency.p50_ms, 2),
                "operations_ms": {
                    name: round(ms, 2)
                    for name, ms in operations_ms.items()
                    if ms >= LEAST_SHARE * total_ms
                },
                "roofline": asdict(row.conditions.limits(profile.roofline)),
            }
        )
    return found


def main() -> None:
    """Print the record."""
    profiles = [read_profile(Path(name)) for name in sys.argv[1:]]
    print(json.dumps([one for profile in profiles for one in records(profile)], indent=1))


if __name__ == "__main__":
    main()
