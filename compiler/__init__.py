"""Compiling a checkpoint into a bundle; needs the packages of ``pip install ossc[compile]``."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ossc.compiler.pipeline import compile_model
    from ossc.compiler.recipe import Recipe

__all__ = ["Recipe", "compile_model"]


def __getattr__(name: str) -> Any:
    """Import what is asked for: a command that only runs bundles needs no compiler."""
    if name == "compile_model":
        from ossc.compiler.pipeline import compile_model

        return compile_model
    if name == "Recipe":
        from ossc.compiler.recipe import Recipe

        return Recipe
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
