"""``ossc export``: a checkpoint as ONNX."""

from pathlib import Path

import click

from ossc.compiler.cli.base import OsscCommand
from ossc.compiler.cli.progress import terminal_progress


@click.command("export", cls=OsscCommand)
@click.argument("model")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.onnx",
    help="The ONNX file.  [default: model.onnx in MODEL; NAME.onnx in the current folder for a "
    "model in the hub's cache]",
)
def command(model: str, out: Path | None) -> None:
    """Write the checkpoint MODEL as ONNX, opset 24, with KV cache.

    MODEL is a folder, or org/name[@revision] of a model in the hub's local cache. No weight is
    copied: the initializers point into the safetensors files. Elsewhere than in MODEL, those files
    are hard-linked beside the ONNX file. The file's path is printed on stdout.
    """
    from ossc.compiler.families.source_model import SourceModel
    from ossc.compiler.notes import checkpoint_notes
    from ossc.compiler.oracle.inline import inlined
    from ossc.compiler.oracle.save import default_place, save_model

    source = SourceModel.open(model)
    place = out or default_place(source.path)
    graph = inlined(source.export())
    with terminal_progress() as progress:
        for note in checkpoint_notes(source):
            progress.note(note)
    save_model(graph, place)
    click.echo(place)
