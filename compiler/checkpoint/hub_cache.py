"""The local cache of the Hugging Face hub: where a model that was downloaded lies.

Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache. A model is a folder
``models--<org>--<name>`` with ``blobs`` (the files), ``snapshots/<commit>`` (links to them, under
their names) and ``refs/<revision>`` (a file that holds a commit). It is only read here, and nothing
asks the network.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ossc.targets.errors import UsageError

PREFIX = "models--"

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
"""``org/name``."""

REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)*", re.ASCII)
"""A branch, tag or commit; never a path that leads out of ``refs``."""

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class Repository:
    """One model of a cache."""

    path: Path

    @property
    def hub_id(self) -> str | None:
        """Return ``org/name``; None for a folder that is not named as the cache does."""
        if not self.path.name.startswith(PREFIX):
            return None
        return self.path.name.removeprefix(PREFIX).replace("--", "/")

    @property
    def snapshots(self) -> list[Path]:
        """Return the folders of all commits that were downloaded, or of which a file was."""
        folder = self.path / "snapshots"
        return sorted(each for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []

    def commit(self, revision: str) -> str | None:
        """Return the commit that a branch or tag named when it was last downloaded."""
        file = self.path / "refs" / revision
        commit = file.read_text(errors="replace")[:50].strip() if file.is_file() else ""
        return commit if COMMIT.fullmatch(commit) else None

    def snapshot(self, revision: str) -> Path | None:
        """Return the folder of a branch, tag or commit, where it was downloaded."""
        folder = self.path / "snapshots" / (self.commit(revision) or revision)
        return folder if folder in self.snapshots else None


def cache_folder() -> Path:
    """Return the folder of the hub's cache, by the variables that ``hf download`` obeys."""
    variables = os.environ
    cache = variables.get("XDG_CACHE_HOME") or "~/.cache"
    home = variables.get("HF_HOME") or f"{cache}/huggingface"
    hub = variables.get("HF_HUB_CACHE") or variables.get("HUGGINGFACE_HUB_CACHE") or f"{home}/hub"
    return Path(os.path.expandvars(hub)).expanduser()


def find_repository(hub_id: str) -> Repository:
    """Return the place of a model in the cache, whether it is there or not."""
    return Repository(path=cache_folder() / (PREFIX + hub_id.replace("/", "--")))


def repository_of(path: Path) -> Repository | None:
    """Return the cached model that a folder is, or is part of; links are followed."""
    path = path.resolve()
    for folder in (path, *path.parents):
        has_snapshots = (folder / "snapshots").is_dir()
        if has_snapshots and (folder.name.startswith(PREFIX) or (folder / "blobs").is_dir()):
            return Repository(path=folder)
    return None


def model_name(folder: Path) -> str:
    """Return what the files made of a checkpoint are named after; of a snapshot not its commit."""
    repository = repository_of(folder)
    if repository is not None and folder.resolve() in repository.snapshots and repository.hub_id:
        return repository.hub_id.rpartition("/")[2]
    return folder.resolve().name


def is_in_cache(path: Path) -> bool:
    """Tell whether a file or folder, which need not be there, is in a cache of the hub."""
    return path.resolve().is_relative_to(cache_folder().resolve()) or bool(repository_of(path))


def require_outside_cache(path: Path) -> None:
    """Refuse to write into a cache, where files belong to a commit of the hub.

    Raises:
        UsageError: The file or folder would be in one.
    """
    if is_in_cache(path):
        raise UsageError(
            f"{path} is in the cache of the Hugging Face hub, which holds what was downloaded and "
            "nothing else; choose an --out elsewhere."
        )


def download_command(hub_id: str, revision: str | None = None) -> str:
    """Return the command that gets what a compilation needs of a model, and no second copy of it.

    The models of OpenAI have their weights three times: beside config.json, in ``original/`` and
    in ``metal/``. One pattern, because versions of ``hf`` differ in how they take several.
    """
    chosen = f" --revision {revision}" if revision else ""
    return f'hf download {hub_id}{chosen} --exclude "*/*"'
