"""Bundles with a slow kernel: the same model, but one kernel does a part of its tasks twice."""

import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ossc.compiler import toolchain
from ossc.compiler.pipeline import compile_model
from ossc.compiler.recipe import Recipe

_WRAPPER = """
static int slowed_FUNCTION(void* self, const TVMFFIAny* args, int32_t num_args,
                           TVMFFIAny* result) {
  TVMFFIAny again[32];
  int64_t begin = args[num_args - 2].v_int64, end = args[num_args - 1].v_int64;
  int64_t repeated = end * PERCENT / 100 - begin * PERCENT / 100;
  int error = FUNCTION(self, args, num_args, result);
  if (error != 0 || repeated == 0) return error;
  for (int32_t i = 0; i < num_args; ++i) again[i] = args[i];
  again[num_args - 1].v_int64 = begin + repeated;
  return FUNCTION(self, again, num_args, result);
}
"""
"""However the runtime cuts the range, the repeated tasks are PERCENT % of all."""

_TABLE = "const ossc_kernel ossc_kernels[]"


def slowed_bundle(recipe: Recipe, kernel: str, percent: int = 10) -> Path:
    """Compile a bundle with one kernel that repeats a part of its tasks.

    Args:
        recipe: What to compile.
        kernel: A kernel of the plan that is split over the threads, and whose tasks can be done
            twice.
        percent: Part of its tasks that is repeated.
    """
    sound_table = toolchain.kernel_table

    def slow_table(*arguments: Any) -> str:
        return _slow_down(sound_table(*arguments), kernel, percent)

    with patch.object(toolchain, "kernel_table", slow_table):
        return compile_model(recipe)


def _slow_down(table: str, kernel: str, percent: int) -> str:
    """Put a wrapper in the place of each of the kernel's functions; it may have several."""
    entry = re.compile(rf'(\{{"{kernel}", )(__tvm_ffi_\w+)')
    functions = {match.group(2) for match in entry.finditer(table)}
    assert functions, f"{kernel} is no kernel of this bundle"
    wrappers = [
        _WRAPPER.replace("FUNCTION", function).replace("PERCENT", str(percent))
        for function in sorted(functions)
    ]
    table = table.replace(_TABLE, "".join(wrappers) + _TABLE)
    return entry.sub(r"\1slowed_\2", table)
