"""The option for the type of KV caches."""

import click

from ossc.runtimes.kv_type import KV_TYPES

kv_option = click.option(
    "--kv",
    type=click.Choice(KV_TYPES),
    help="Type of the KV caches: shorter ones take less memory and bandwidth, and are less exact.  "
    "[default: what the bundle was compiled with]",
)
