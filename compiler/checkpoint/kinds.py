"""What else a user may have at hand than a checkpoint in Hugging Face's layout.

Each kind is recognised by its files, and answered by one sentence with the command that helps. No
kind is guessed at: what none of them describes is left to the readers of config and weights.
"""

import re
import shlex
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from ossc.compiler.checkpoint.advice import (
    CONFIG_FILE,
    INDEX_FILE,
    SINGLE_FILE,
    WEIGHT_FILES,
    layout_advice,
    rest_advice,
    source_advice,
)
from ossc.compiler.checkpoint.file_content import begins_with, read_fields
from ossc.compiler.checkpoint.hub_cache import model_name
from ossc.runtimes.git_lfs import POINTER_BEGINNING

MAX_POINTER_BYTES = 1024
"""A Git LFS pointer is shorter."""

PART_OF = re.compile(r"-of-0*(\d+)\.")
"""In the name of a shard: how many there are."""

READ_SUFFIXES = (".json", ".jinja", ".safetensors")
"""Of the files that a compilation reads."""

Kind = Callable[[Path], str | None]
"""Returns the sentence about a folder of this kind, None about any other."""


def why_not_a_folder(path: Path) -> str:
    """Return the sentence about a file that is given in the place of a checkpoint's folder."""
    if _is_gguf(path):
        return _gguf_sentence(path)
    if path.suffix == ".onnx":
        return f"{path} is an ONNX file, but ossc compiles the checkpoint that it was made from."
    return (
        f"{path} is a file, not a folder; give the folder that holds {CONFIG_FILE} and all of the "
        f"weights, such as {path.parent}."
    )


def why_not_readable(folder: Path) -> str | None:
    """Return why a folder must not be read as a checkpoint, whatever it holds; None: it may be.

    Where it has no config.json at all, this is what it is instead.
    """
    kinds: list[Kind] = [_adapter, _git_lfs_pointer, _mlx, _openai]
    if not (folder / CONFIG_FILE).exists():
        has_weights = any((folder / name).exists() for name in WEIGHT_FILES)
        kinds += [_only_weights] if has_weights else _WITHOUT_WEIGHTS
        kinds += [_bundle, _folder_of_checkpoints]
    return _first(kinds, folder)


def why_no_weights(folder: Path) -> str:
    """Return what a folder holds in the place of model.safetensors and of an index."""
    return _first(_WITHOUT_WEIGHTS, folder) or (
        f"{folder} has neither {SINGLE_FILE} nor {INDEX_FILE}; {rest_advice(folder)}, or save the "
        "checkpoint in the safetensors format."
    )


def why_other_names(folder: Path, names: Collection[str]) -> str | None:
    """Return whose names a checkpoint's tensors have, where they are not Hugging Face's."""
    if any(name.startswith("block.0.") for name in names):
        return f"{folder} has tensors under the names of OpenAI's layout, {layout_advice(folder)}"
    if any(".lora_" in name or name.startswith("base_model.model.") for name in names):
        return _adapter_sentence(folder, {})
    if any(name.endswith((".experts.gate_proj.weight", ".biases")) for name in names):
        return _mlx_sentence(folder)
    return None


def _first(kinds: Collection[Kind], folder: Path) -> str | None:
    return next((sentence for kind in kinds if (sentence := kind(folder))), None)


def _adapter(folder: Path) -> str | None:
    config = folder / "adapter_config.json"
    files = [config, *folder.glob("adapter_model.*"), *folder.glob("adapters.safetensors")]
    if not any(file.exists() for file in files):
        return None
    return _adapter_sentence(folder, read_fields(config))


def _adapter_sentence(folder: Path, config: Mapping[str, Any]) -> str:
    base = config.get("base_model_name_or_path")
    of = f"of {base[:200]}" if isinstance(base, str) and base else "of another model"
    script = (
        "from peft import AutoPeftModelForCausalLM as M; "
        f'M.from_pretrained("{folder}").merge_and_unload()'
        f'.save_pretrained("{model_name(folder)}-merged")'
    )
    merged = "; if the weights here have it merged already, remove adapter_config.json"
    return (
        f"{folder} holds an adapter (LoRA) {of}, which ossc does not apply: merge it into the "
        f"model with python -c {shlex.quote(script)} and compile that, with the tokenizer's "
        f"files beside it{merged if config else ''}."
    )


def _git_lfs_pointer(folder: Path) -> str | None:
    for file in sorted(folder.iterdir()):
        if file.suffix in READ_SUFFIXES and begins_with(file, POINTER_BEGINNING, MAX_POINTER_BYTES):
            return (
                f"{file} is a Git LFS pointer and not the file itself; get that with "
                f"git -C {shlex.quote(str(folder))} lfs pull (after git lfs install)."
            )
    return None


def _mlx(folder: Path) -> str | None:
    quantization = read_fields(folder / CONFIG_FILE).get("quantization")
    if not isinstance(quantization, dict) or not {"group_size", "bits"} <= quantization.keys():
        return None
    return _mlx_sentence(folder)


def _mlx_sentence(folder: Path) -> str:
    return (
        f"{folder} is a model that was converted for MLX, but ossc compiles the checkpoint that it "
        f"was made from; {source_advice(folder)}"
    )


def _openai(folder: Path) -> str | None:
    fields = read_fields(folder / CONFIG_FILE)
    if "model_type" in fields or not {"experts_per_token", "num_experts"} <= fields.keys():
        return None
    return f"{folder} is OpenAI's own layout of gpt-oss, {layout_advice(folder)}"


def _openai_below(folder: Path) -> str | None:
    original = folder / "original"
    if not _openai(original):
        return None
    return f"{folder} has its weights only in {original}, OpenAI's layout, {layout_advice(folder)}"


def _metal(folder: Path) -> str | None:
    for place in (folder, folder / "metal"):
        if begins_with(place / "model.bin", b"GPT-OSS v"):
            return f"{place} holds weights in the layout for Apple's GPUs, {layout_advice(place)}"
    return None


def _gguf(folder: Path) -> str | None:
    file = next(iter(sorted(folder.glob("*.gguf"))), None)
    return None if file is None else _gguf_sentence(file)


def _gguf_sentence(file: Path) -> str:
    return (
        f"{file} is a GGUF file, a model for llama.cpp, but ossc compiles the checkpoint that it "
        f"was made from; {source_advice(file.parent)}"
    )


def _pickle(folder: Path) -> str | None:
    file = next(iter(sorted(folder.glob("pytorch_model*.bin"))), None)
    if file is None:
        return None
    script = (
        "from transformers import AutoModelForCausalLM as M; "
        f'M.from_pretrained("{folder}", dtype="auto")'
        f'.save_pretrained("{model_name(folder)}-safetensors")'
    )
    return (
        f"{file} holds pickled weights, which ossc does not open, because they can run any code; "
        f"if you trust them, convert them with python -c {shlex.quote(script)} and give that "
        "folder, with the tokenizer's files beside it."
    )


def _distributed(folder: Path) -> str | None:
    if not any(folder.glob("*.distcp")) and not any(folder.glob("shard-*-model-*.safetensors")):
        return None
    return (
        f"{folder} is a distributed checkpoint of PyTorch, in pieces of tensors; write it whole "
        "with HuggingFaceStorageWriter(path, save_distributed=True, enable_consolidation=True), or "
        "with save_pretrained of transformers."
    )


def _consolidated(folder: Path) -> str | None:
    file = next(iter(sorted(folder.glob("consolidated*"))), None)
    if file is None:
        return None
    return f"{file} holds the weights in their maker's layout, {layout_advice(folder)}"


def _without_index(folder: Path) -> str | None:
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        return None
    parts = PART_OF.search(shards[0].name)
    if len(shards) == 1 and (parts is None or int(parts[1]) == 1):
        source, single = shlex.quote(str(shards[0])), shlex.quote(str(folder / SINGLE_FILE))
        return (
            f"{folder} has {shards[0].name}, but no {INDEX_FILE} that names it; if that is all of "
            f"the weights, rename it with mv {source} {single}."
        )
    return (
        f"{folder} has weights such as {shards[0].name}, but no {INDEX_FILE} that says which files "
        f"are the model's; {rest_advice(folder)}, or copy that file from where these are from."
    )


_WITHOUT_WEIGHTS: tuple[Kind, ...] = (
    _openai_below,
    _metal,
    _gguf,
    _distributed,
    _consolidated,
    _without_index,
    _pickle,
)


def _only_weights(folder: Path) -> str | None:
    return f"{folder} has weights, but no {CONFIG_FILE}; {rest_advice(folder)}."


def _bundle(folder: Path) -> str | None:
    if not all((folder / name).is_file() for name in ("manifest.json", "weights.bin")):
        return None
    return f"{folder} is a bundle, compiled already; run it with ossc run {folder}."


def _folder_of_checkpoints(folder: Path) -> str | None:
    """Recognise what a trainer writes, ``checkpoint-500``, or a download of several models."""
    found = sorted(file.parent for file in folder.glob(f"*/{CONFIG_FILE}"))
    if not found:
        return None
    listed = ", ".join(map(str, found[:5])) + (", …" if len(found) > 5 else "")
    return f"{folder} has no {CONFIG_FILE}, but folders in it have; give one of them: {listed}."


def _is_gguf(path: Path) -> bool:
    """Tell by the first bytes: the files of some programs have no suffix."""
    return path.suffix == ".gguf" or begins_with(path, b"GGUF")
