"""A profile as one page of HTML that needs nothing else.

Everything that comes from a profile is escaped by the template engine, and the page's own policy
(Content-Security-Policy) lets nothing be loaded and no script run but the one that is part of it.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from ossc.runtimes.profile.profile import Profile
from ossc.runtimes.profile.report.page_content import page_content
from ossc.runtimes.profile.report.plots.families import FAMILIES, family
from ossc.runtimes.profile.report.plots.heat_map import legend
from ossc.runtimes.profile.report.quantities import (
    format_change,
    format_noise,
    format_share,
    format_time,
    significant,
)
from ossc.runtimes.sizes import format_bytes

PAGE = Path(__file__).parent / "page"
"""Template, style and script of the page."""


def to_html(profile: Profile) -> str:
    """Make the page of a profile."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(PAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "bytes": _unbroken(format_bytes),
        "change": _unbroken(format_change),
        "family": family,
        "noise": _unbroken(format_noise),
        "number": significant,
        "share": _unbroken(format_share),
        "time": _unbroken(format_time),
    }
    environment.filters |= filters
    present = {family(kernel.operation) for kernel in profile.kernels}
    style, script = (_text("page.css"), _text("page.js"))
    page = environment.get_template("page.html").render(
        style=Markup(style),
        script=Markup(script),
        script_sha256=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        families={name: title for name, title in FAMILIES.items() if name in present},
        heat_legend=legend(),
        content=page_content(profile),
    )
    return page.rstrip() + "\n"


def _unbroken(write: Callable[..., str]) -> Callable[..., str]:
    """Keep a number and its unit on one line."""
    return lambda *arguments: write(*arguments).replace(" ", "\N{NO-BREAK SPACE}")


def _text(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")
