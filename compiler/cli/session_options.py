"""Options of the commands that run a bundle: how its session is set up."""

import click

from ossc.compiler.cli.numbers import WholeNumber
from ossc.runtimes.kv_type import KV_TYPES
from ossc.runtimes.weights_mode import WEIGHTS_MODES

MAX_THREADS = 1024
"""``THREAD_POOL_MAX_THREADS`` of the C runtime."""

threads_option = click.option(
    "--threads",
    type=WholeNumber(1, MAX_THREADS),
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
device_option = click.option(
    "--device",
    metavar="KIND[:WHICH]",
    help="What runs it: a kind, and a number or a part of a name as `ossc run BUNDLE "
    "--list-devices` has them.  [default: what OSSC_DEVICE says, or the best there is]",
)
kv_option = click.option(
    "--kv",
    type=click.Choice(KV_TYPES),
    help="Type of the KV caches: shorter ones take less memory and bandwidth, and are less exact.  "
    "[default: what the bundle was compiled with]",
)
