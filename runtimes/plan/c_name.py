"""Names of functions in plans."""

import re

from ossc.runtimes.plan.checks import require, require_name

_C_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def require_c_name(name: str, what: str) -> None:
    """Refuse a name that no function of C, or of a language made after it, has.

    Raises:
        BundleError: It is one.
    """
    require_name(name, what)
    require(_C_NAME.fullmatch(name) is not None, f"{what} {name!r} is not a C name")
