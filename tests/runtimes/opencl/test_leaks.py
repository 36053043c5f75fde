"""Opening, running and closing again and again takes no more memory and no more files."""

import os
from pathlib import Path

from ossc.runtimes.session import Session

PAGE_BYTES = os.sysconf("SC_PAGESIZE")
WARM, CYCLES = 20, {"pocl": 200, "rusticl": 60}
MOST_BYTES = 4 << 20
"""PoCL itself keeps 5 kB a cycle; one state and arena of the test take 20 kB, 4 MB together."""


def rss_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_open_run_and_close_leak_nothing(bundle, any_driver):
    for cycle in range(CYCLES[any_driver.name]):
        with Session(bundle, device=any_driver.device) as session:
            session.prefill([5, 1, 30, 30, 2])
        if cycle == WARM:
            before = rss_bytes(), open_files()
    assert open_files() == before[1]
    assert rss_bytes() - before[0] < MOST_BYTES
