"""One model in the forms of both sides: checkpoint, bundle and GGUF."""

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.beside.gguf_file import DenseType
from benchmarks.beside.gguf_models import write_gguf
from benchmarks.beside.limits import Dense
from ossc.compiler.families.source_model import read_model_config
from ossc.compiler.pipeline import compile_model
from ossc.compiler.recipe import Recipe
from synthetic import GPT_OSS_20B, make_checkpoint
from synthetic.decoders import LLAMA_1B, make_decoder

Shape = Literal["20b", "4-layer", "sample", "llama-1b"]

SAMPLE_MODEL = Path(__file__).parents[2] / "sample_model" / "checkpoint"

LAYERS_OF_CUT = 4

CONTEXT = 16640
"""Room for a context of 16k and some tokens."""

PRESETS: dict[Dense, str] = {"8bit": "default", "4bit": "small"}
GGUF_TYPES: dict[Dense, DenseType] = {"8bit": "Q8_0", "4bit": "Q4_0"}


@dataclass(frozen=True, kw_only=True)
class Models:
    """The files of one comparison."""

    checkpoint: Path
    bundle: Path
    gguf: Path
    context: int
    """Positions of the bundle's session."""


def prepare_models(folder: Path, shape: Shape, dense: Dense, checkpoint: Path | None) -> Models:
    """Make what is not there yet: the full shape takes minutes and 38 GB.

    Args:
        folder: Where checkpoints, bundles and GGUF files are kept.
        shape: Of the model.
        dense: Weights outside the experts.
        checkpoint: One that is there already, of this shape.
    """
    checkpoint = checkpoint or find_checkpoint(folder, shape)
    context = min(CONTEXT, read_model_config(checkpoint).max_position_embeddings)
    bundle, gguf = folder / f"{shape}-{dense}", folder / f"{shape}-{dense}.gguf"
    if not gguf.exists():
        unfinished = write_gguf(checkpoint, gguf.with_suffix(".part"), GGUF_TYPES[dense])
        unfinished.rename(gguf)
    if not bundle.exists():
        recipe = Recipe(model=checkpoint, quant=PRESETS[dense], context=context, out=bundle)
        compile_model(recipe)
    return Models(checkpoint=checkpoint, bundle=bundle, gguf=gguf, context=context)


def find_checkpoint(folder: Path, shape: Shape) -> Path:
    """Return the shipped sample model, or make a synthetic checkpoint."""
    if shape == "sample":
        return SAMPLE_MODEL
    path = folder / f"{shape}-checkpoint"
    if shape == "llama-1b":
        return make_decoder(path, LLAMA_1B)
    if not path.exists():
        layers = GPT_OSS_20B.num_hidden_layers if shape == "20b" else LAYERS_OF_CUT
        dimensions = dataclasses.replace(GPT_OSS_20B, num_hidden_layers=layers)
        unfinished = make_checkpoint(path.with_suffix(".part"), dimensions)
        unfinished.rename(path)
    return path


def discard(models: Models) -> None:
    """Delete the bundle and the GGUF file, but not the checkpoint."""
    shutil.rmtree(models.bundle)
    models.gguf.unlink()
