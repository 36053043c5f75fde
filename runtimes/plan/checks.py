"""Bounds of a plan, and how a plan that does not keep to them is refused."""

from ossc.targets.errors import BundleError

PLAN_ABI_VERSION = 2
"""Version of the bytes and of what they mean; the runtime runs exactly one."""

MAX_NAME_BYTES = 255
MAX_TOKENS = 65536
MAX_SPACE_BYTES = 2**48
"""Bound on sizes and dimensions, small enough that their sums cannot overflow 64 bits."""


def require(holds: bool, fault: str) -> None:
    """Refuse a plan unless a condition holds.

    Raises:
        BundleError: It does not; the message names the fault.
    """
    if not holds:
        raise BundleError(f"The execution plan is not valid: {fault}; compile the model again.")


def require_name(name: str, what: str) -> None:
    """Refuse a name that is too long for its field, or that would garble a terminal.

    Raises:
        BundleError: It is.
    """
    size = len(name.encode("utf-8", "replace"))
    require(size <= MAX_NAME_BYTES, f"{what} {name[:40]!r}… is {size} bytes long")
    require(name.isprintable(), f"{what} {name!r} has characters that cannot be printed")


def require_abi(version: int) -> None:
    """Refuse a plan of another version.

    Raises:
        BundleError: It is.
    """
    if version != PLAN_ABI_VERSION:
        raise BundleError(
            f"The plan has ABI version {version}, and this ossc runs {PLAN_ABI_VERSION}; compile "
            "the model again."
        )
