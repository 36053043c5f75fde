"""Changing a checkpoint's files, and what it computes then."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.quantization.plan import load_plan

IDS = list(range(40, 52))
WEIGHTS = "model.safetensors"


def edit_json(path: Path, remove: tuple[str, ...] = (), **fields: object) -> None:
    """Change fields of a JSON file."""
    content = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({key: content[key] for key in content if key not in remove}))


def edit_tensors(folder: Path, edit: Callable[[str, Any], Any]) -> None:
    """Give each tensor, by name, to a function; what it returns None for is left out."""
    tensors = {name: edit(name, values) for name, values in load_file(folder / WEIGHTS).items()}
    kept = {name: values for name, values in tensors.items() if values is not None}
    save_file(kept, folder / WEIGHTS, metadata={"format": "pt"})


def logits(folder: Path) -> NDArray[np.float32]:
    """What the checkpoint computes as ossc reads it, by onnxruntime: ``[n, vocab_size]``."""
    model = quantized_model(SourceModel.open(folder), load_plan("none"))
    return reference_logits(model, IDS).logits
