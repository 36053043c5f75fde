"""How many registers a kernel gets."""

import re

WORK_ITEMS = 384
"""That a multiprocessor holds at least at once, of its 1024 to 2048. Its 65,536 registers are then
up to 168 for each of them, which is what attention of chunks can use; most kernels take half."""

_BOUNDS = re.compile(r"__launch_bounds__\((\d+)\)")


def with_least_groups(source: str) -> str:
    """Say of every kernel how many groups a multiprocessor has to hold at least.

    Where that is not said, and TVM does not say it, NVIDIA's compiler halves the registers of many
    kernels so that more groups fit, and on sm_90 keeps numbers in memory for it.
    """
    return _BOUNDS.sub(_bounds, source)


def _bounds(match: re.Match[str]) -> str:
    items = int(match[1])
    return f"__launch_bounds__({items}, {-(-WORK_ITEMS // items)})"
