"""Bundles with a slow kernel: the same model, but one kernel takes longer."""

import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ossc.compiler.backends.backend import Backend
from ossc.compiler.backends.cpu import toolchain
from ossc.compiler.pipeline import compile_model
from ossc.compiler.recipe import Recipe

_WRAPPER = """
static int slowed_FUNCTION(void* self, const TVMFFIAny* args, int32_t num_args,
                           TVMFFIAny* result) {
  int64_t begin = ticks_now();
  int error = FUNCTION(self, args, num_args, result);
  int64_t end = ticks_now();
  end += (end - begin) * PERCENT / 100;
  while (ticks_now() < end) {
  }
  return error;
}
"""
"""Each thread's part of the tasks takes PERCENT % longer, so the step does."""

_INCLUDE = '#include "base/ticks.h"\n'

_TABLE = "const ossc_kernel ossc_kernels[]"


def slowed_bundle(
    recipe: Recipe, kernel: str, percent: int = 10, backend: Backend | None = None
) -> Path:
    """Compile a bundle with one kernel that waits after its work.

    Args:
        recipe: What to compile.
        kernel: A kernel of the plan that is split over the threads.
        percent: Of the time that the work takes.
        backend: Compiles the kernels.
    """
    sound_table = toolchain.kernel_table

    def slow_table(*arguments: Any) -> str:
        return _slow_down(sound_table(*arguments), kernel, percent)

    with patch.object(toolchain, "kernel_table", slow_table):
        return compile_model(recipe, backend=backend)


def _slow_down(table: str, kernel: str, percent: int) -> str:
    """Put a wrapper in the place of each of the kernel's functions; it may have several."""
    entry = re.compile(rf'(\{{"{kernel}", )(__tvm_ffi_\w+)')
    functions = {match.group(2) for match in entry.finditer(table)}
    assert functions, f"{kernel} is no kernel of this bundle"
    wrappers = [
        _WRAPPER.replace("FUNCTION", function).replace("PERCENT", str(percent))
        for function in sorted(functions)
    ]
    table = table.replace(_TABLE, _INCLUDE + "".join(wrappers) + _TABLE)
    return entry.sub(r"\1slowed_\2", table)
