"""Bundles with a slow kernel: the same model, but one kernel does a tenth of its tasks twice."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from unittest.mock import patch

from ossc.compiler import toolchain
from ossc.compiler.checkpoint import Checkpoint
from ossc.compiler.lowering.lower import lower_model
from ossc.compiler.lowering.pipeline import write_object
from ossc.compiler.pipeline import check_recipe, lowering_options, quantized_model
from ossc.compiler.recipe import Recipe
from ossc.runtimes.manifest import FileEntry, Manifest
from ossc.targets import Target

_WRAPPER = """
static int slowed(void* self, const TVMFFIAny* args, int32_t num_args, TVMFFIAny* result) {
  TVMFFIAny again[32];
  int64_t begin = args[num_args - 2].v_int64, end = args[num_args - 1].v_int64;
  int64_t repeated = end * PERCENT / 100 - begin * PERCENT / 100;
  int error = __tvm_ffi_KERNEL(self, args, num_args, result);
  if (error != 0 || repeated == 0) return error;
  for (int32_t i = 0; i < num_args; ++i) again[i] = args[i];
  again[num_args - 1].v_int64 = begin + repeated;
  return __tvm_ffi_KERNEL(self, again, num_args, result);
}
"""
"""However the runtime cuts the range, the repeated tasks are PERCENT % of all."""


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """The code that was generated for a recipe, to be linked again."""

    target: Target
    object_file: Path
    symbols: tuple[str, ...]

    @classmethod
    def of(cls, recipe: Recipe, folder: Path) -> Self:
        """Generate the code of a recipe's kernels into a folder."""
        target, plan, _ = check_recipe(recipe)
        checkpoint = Checkpoint.open(recipe.model)
        options = lowering_options(recipe, checkpoint.config)
        lowered = lower_model(quantized_model(checkpoint, plan), options)
        object_file = folder / "kernels.o"
        write_object(lowered.kernels, lowered.generated, target, object_file)
        symbols = (*lowered.kernels, *lowered.generated)
        return cls(target=target, object_file=object_file, symbols=symbols)

    def slowed(self, bundle: Path, out: Path, kernel: str, percent: int = 10) -> Path:
        """Copy a bundle of these kernels, with one that repeats a part of its tasks.

        Args:
            bundle: Compiled by the same recipe.
            out: The copy.
            kernel: Symbol of a kernel that is split over the threads, and whose tasks can be done
                twice.
            percent: Part of its tasks that is repeated.
        """
        shutil.copytree(bundle, out)
        wrapper = _WRAPPER.replace("KERNEL", kernel).replace("PERCENT", str(percent))
        table = _table_with(wrapper, toolchain.kernel_table(self.symbols), kernel)
        with patch.object(toolchain, "kernel_table", lambda _: table):
            toolchain.link_runtime(self.target, self.object_file, self.symbols, out)
        _list_again(out)
        return out


def _table_with(wrapper: str, table: str, kernel: str) -> str:
    """Call the wrapper in the kernel's place."""
    head = "const ossc_kernel ossc_kernels[]"
    table = table.replace(head, f"{wrapper}{head}")
    entry = f'{{"{kernel}", __tvm_ffi_{kernel}}}'
    assert entry in table, f"{kernel} is no kernel of this bundle"
    return table.replace(entry, f'{{"{kernel}", slowed}}')


def _list_again(bundle: Path) -> None:
    """Write the manifest for the files that are there now."""
    manifest = Manifest.read(bundle)
    files = {name: FileEntry.of((bundle / name).read_bytes()) for name in manifest.files}
    Manifest(**{**vars(manifest), "files": files}).write(bundle)
