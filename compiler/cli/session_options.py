"""Options of the commands that run a bundle: how its session is set up."""

import click

from ossc.runtimes.kv_type import KV_TYPES
from ossc.runtimes.weights_mode import WEIGHTS_MODES

threads_option = click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    help="Threads that compute.  [default: one for each CPU]",
)
weights_option = click.option(
    "--weights",
    type=click.Choice(WEIGHTS_MODES),
    default="mapped",
    show_default=True,
    help="mapped: pages of the file, ready at once and shared. resident: copied into huge pages, "
    "slower to open and faster to run, and all of it counts as this process's memory.",
)
kv_option = click.option(
    "--kv",
    type=click.Choice(KV_TYPES),
    help="Type of the KV caches: shorter ones take less memory and bandwidth, and are less exact.  "
    "[default: what the bundle was compiled with]",
)
