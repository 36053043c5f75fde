"""Git LFS: the small files that Git has in the place of large ones."""

POINTER_BEGINNING = b"version https://git-lfs.github.com/spec/"
"""Begins each of them."""
