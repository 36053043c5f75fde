"""Write a synthetic gpt-oss checkpoint: ``python tests/make_checkpoint.py OUT --shape 20b``."""

import dataclasses
import time
from pathlib import Path

import click

from synthetic import GPT_OSS_20B, GPT_OSS_120B, SyntheticShape, make_checkpoint

SHAPES = {"tiny": SyntheticShape(), "20b": GPT_OSS_20B, "120b": GPT_OSS_120B}
SHARD_BYTES = {"tiny": None, "20b": 4_800_000_000, "120b": 4_800_000_000}
"""As the official checkpoints are cut."""


def parse_fields(fields: tuple[str, ...]) -> dict[str, float]:
    """Turn ``FIELD=VALUE`` into numbers by name."""
    known = {field.name for field in dataclasses.fields(SyntheticShape)} - {"layer_types"}
    values: dict[str, float] = {}
    for field in fields:
        name, _, value = field.partition("=")
        if name not in known:
            raise click.BadParameter(f"{name!r} is none of: {', '.join(sorted(known))}")
        values[name] = float(value) if "." in value or "e" in value else int(value)
    return values


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--shape", type=click.Choice(list(SHAPES)), default="tiny", show_default=True)
@click.option("--set", "fields", multiple=True, metavar="FIELD=VALUE", help="Change one dimension.")
@click.option("--experts", type=click.Choice(["mxfp4", "bf16"]), default="mxfp4", show_default=True)
@click.option("--config-form", type=click.IntRange(4, 5), default=4, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--sparse", is_flag=True, help="Headers and lengths only.")
def main(out: Path, shape: str, fields: tuple[str, ...], **options: object) -> None:
    """Write a synthetic gpt-oss checkpoint with random weights to the folder OUT."""
    begin = time.monotonic()
    dimensions = dataclasses.replace(SHAPES[shape], **parse_fields(fields))
    shard_bytes = SHARD_BYTES[shape]
    make_checkpoint(out, dimensions, max_shard_bytes=shard_bytes, tokenizer=True, **options)
    size = sum(file.stat().st_size for file in out.iterdir())
    click.echo(f"{out}: {size / 1e9:.2f} GB in {time.monotonic() - begin:.1f} s")


if __name__ == "__main__":
    main()
