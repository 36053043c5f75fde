"""Where the checkpoint is that a user could give instead, or how to get it."""

from pathlib import Path

from ossc.compiler.checkpoint.hub_cache import download_command, repository_of

CONFIG_FILE = "config.json"
SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
WEIGHT_FILES = (SINGLE_FILE, INDEX_FILE)

EXAMPLE_ID = "openai/gpt-oss-20b"


def _hub_id(folder: Path) -> str | None:
    repository = repository_of(folder)
    return repository.hub_id if repository else None


def rest_advice(folder: Path) -> str:
    """Return what to do about a download that is not whole."""
    hub_id = _hub_id(folder)
    if hub_id is None:
        return "download all of the checkpoint"
    return f"get the rest with {download_command(hub_id, folder.resolve().name)}"


def layout_advice(folder: Path) -> str:
    """Return where the layout that is read is, or how to get it."""
    parent = folder.resolve().parent
    if (parent / CONFIG_FILE).exists() and any((parent / name).exists() for name in WEIGHT_FILES):
        return f"but ossc reads Hugging Face's, which {parent} has; give that."
    return f"but ossc reads Hugging Face's; {source_advice(folder)}"


def source_advice(folder: Path) -> str:
    """Return how to get the checkpoint that something else was made from."""
    hub_id = _hub_id(folder) or EXAMPLE_ID
    return f"get that with {download_command(hub_id)}, and give {hub_id} (or its own id) as MODEL."
