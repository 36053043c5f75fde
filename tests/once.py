"""Files that all workers of one test run share: whoever needs one first makes it."""

import fcntl
from collections.abc import Callable
from pathlib import Path


def once(place: Path, make: Callable[[Path], object]) -> Path:
    """Return a file after making it, unless that was done; who is at it is waited for.

    Args:
        place: Where it is to be.
        make: Writes it to the path that it is given, which is another one.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            new = place.with_name(f"new-{place.name}")
            make(new)
            new.rename(place)
    return place
