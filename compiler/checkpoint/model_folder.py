"""The folder that a user means by MODEL: a checkpoint, one in the hub's cache, or ``org/name``."""

from pathlib import Path
from typing import NoReturn

from ossc.compiler.checkpoint.hub_cache import (
    HUB_ID,
    REVISION,
    Repository,
    cache_folder,
    download_command,
    find_repository,
    repository_of,
)
from ossc.compiler.checkpoint.kinds import why_not_a_folder
from ossc.targets.errors import CheckpointError


def find_model_folder(model: Path | str) -> Path:
    """Return the folder that holds a checkpoint's config.json.

    Args:
        model: In this order, the first that there is: a folder; a model's folder of the hub's cache
            (``models--org--name``), which has to hold one snapshot; an id of the hub,
            ``org/name[@revision]``, which is looked up in the local cache (``main`` where no
            revision is given, as other programs do).

    Raises:
        CheckpointError: There is no such folder and no such model in the cache, or the folder of
            the cache holds no snapshot or several.
    """
    path = Path(model)
    try:
        if path.is_dir():
            return _folder_in_cache(path) or path
        if path.exists():
            raise CheckpointError(why_not_a_folder(path))
        return _look_up(str(model).rstrip("/")) or _refuse(path)
    except OSError as error:
        raise CheckpointError(f"{model} cannot be read ({error.strerror}).") from error


def _folder_in_cache(path: Path) -> Path | None:
    """Return the one snapshot, where a folder is a model's in the cache and no snapshot itself."""
    repository = repository_of(path)
    if repository is None:
        _refuse_whole_cache(path)
        return None
    if path.resolve() not in (repository.path, repository.path / "snapshots"):
        return None
    return _only_snapshot(repository, str(path))


def _only_snapshot(repository: Repository, given: str) -> Path:
    snapshots = repository.snapshots
    if len(snapshots) == 1:
        return snapshots[0]
    if not snapshots:
        command = download_command(repository.hub_id or "ORG/NAME")
        raise CheckpointError(f"{given} holds no snapshot of the model; get it with {command}.")
    listed = ", ".join(map(str, snapshots))
    raise CheckpointError(
        f"{given} holds {len(snapshots)} snapshots of the model; give one of them: {listed}."
    )


def _refuse_whole_cache(path: Path) -> None:
    """Refuse the folder that holds all models of the cache."""
    if path.resolve() != cache_folder().resolve():
        return
    repositories = [Repository(path=each) for each in sorted(path.glob("models--*"))]
    ids = ", ".join(each.hub_id for each in repositories if each.hub_id) or "none yet"
    raise CheckpointError(
        f"{path} is the cache of the Hugging Face hub; give one of its models ({ids})."
    )


def _look_up(model: str) -> Path | None:
    """Return the snapshot of ``org/name[@revision]``, or None where that is no id of the hub.

    Raises:
        CheckpointError: It is one, and is not in the cache.
    """
    hub_id, _, revision = model.partition("@")
    if not HUB_ID.fullmatch(hub_id) or "--" in hub_id or ".." in hub_id:
        return None
    if "@" in model and not REVISION.fullmatch(revision):
        return None
    repository = find_repository(hub_id)
    if not revision and repository.commit("main") is None and repository.snapshots:
        return _only_snapshot(repository, model)
    snapshot = repository.snapshot(revision or "main")
    if snapshot is None:
        command = download_command(hub_id, revision)
        raise CheckpointError(
            f"{model} is no folder here, and as an id of the Hugging Face hub it is not in the "
            f"cache {cache_folder()}; get it with {command} and run this again, or give the "
            "checkpoint's folder."
        )
    return snapshot


def _refuse(path: Path) -> NoReturn:
    raise CheckpointError(
        f"{path} is not a folder; give one that holds config.json and model.safetensors, or an id "
        "of the Hugging Face hub such as openai/gpt-oss-20b."
    )
