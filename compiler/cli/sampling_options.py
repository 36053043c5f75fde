"""The options that say how ``ossc run`` chooses tokens."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ossc.compiler.cli.numbers import MAX_INT32, MAX_UINT64, Real, WholeNumber
from ossc.runtimes.manifest import Manifest

_Function = TypeVar("_Function", bound=Callable[..., Any])

SAMPLING_OPTIONS = ("temperature", "top_p", "top_k", "min_p", "repeat_penalty", "seed")
"""The parameters that :func:`sampling_options` adds, beside ``sampling``."""


def sampling_options(function: _Function) -> _Function:
    """Add the options to a command; those that were not given are None."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS = (
    click.option(
        "--sampling",
        type=click.Choice(["model"]),
        help="model: sample as the checkpoint's generation_config.json asks; options given here "
        "win.  [default: greedy, always the likeliest token]",
    ),
    click.option(
        "--temp",
        "temperature",
        type=Real(0),
        metavar="F",
        help="Temperature of sampling; 0 is greedy.  [default: 0]",
    ),
    click.option(
        "--top-p",
        type=Real(0, 1, min_open=True),
        metavar="F",
        help="Sample among the fewest tokens that have this probability together.  [default: 1]",
    ),
    click.option(
        "--top-k",
        type=WholeNumber(0, MAX_INT32),
        metavar="N",
        help="Sample among so many of the likeliest tokens; 0 is all.  [default: 0]",
    ),
    click.option(
        "--min-p",
        type=Real(0, 1),
        metavar="F",
        help="Sample no token with less than this share of the likeliest one's probability.  "
        "[default: 0]",
    ),
    click.option(
        "--repeat-penalty",
        type=Real(0, min_open=True),
        metavar="F",
        help="Divide the logits of tokens that were there, also in the prompt, by this; negative "
        "ones are multiplied.  [default: 1]",
    ),
    click.option(
        "--seed",
        type=WholeNumber(0, MAX_UINT64),
        metavar="N",
        help="Equal seeds sample equal tokens.  [default: 0]",
    ),
)


def resolve_sampling(given: dict[str, Any], bundle: Path, manifest: Manifest) -> dict[str, Any]:
    """Return the fields of ``RunOptions`` that the options ask for.

    Args:
        given: The parameters, which are taken out.
        bundle: The bundle's directory.
        manifest: Its manifest, whose hashes were checked.

    Raises:
        SessionError: The model's own sampling is asked for, and there is none.
    """
    is_model = given.pop("sampling") is not None
    chosen = {name: given.pop(name) for name in SAMPLING_OPTIONS}
    options = {name: value for name, value in chosen.items() if value is not None}
    if not is_model:
        return options
    from ossc.runtimes.model_sampling import read_model_sampling

    sampling = {**read_model_sampling(bundle, manifest), **options}
    said = " ".join(f"{name} {value:g}" for name, value in sampling.items())
    click.echo(f"sampling: {said}", err=True)
    return sampling
