"""The page that runs bundles for WebGPU: its files, which such a bundle holds."""

from pathlib import Path

FOLDER = Path(__file__).parent / "web"
"""The page, its style, and modules of JavaScript; no folder, as in a bundle."""


def web_page_files() -> dict[str, Path]:
    """Return the files by their names."""
    return {path.name: path for path in sorted(FOLDER.iterdir())}
