"""Decoding on an OpenCL driver for this machine's CPUs, beside the bundle for these CPUs.

    PYTHONPATH=.links python tests/benchmarks/opencl_beside_cpu.py FOLDER --layers 4

Both bundles are of one synthetic checkpoint of gpt-oss-20b's shape, cut to some layers of 8 experts
(of which a token still takes 4) and a shorter vocabulary. Each round decodes with one, then with
the other, so that both meet the same load of the machine; the ratio of a round is what to look at.
A layer takes 0.2 GB of disk for ``default`` and 0.5 GB for ``none``, twice, and the checkpoint.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from opencl_icd import DRIVERS
from ossc.compiler.pipeline import compile_model
from ossc.compiler.recipe import Recipe
from synthetic import GPT_OSS_20B, make_checkpoint

DRIVER = DRIVERS["pocl"]

TARGETS = ("cpu", "opencl")

CUT = {"num_local_experts": 8, "vocab_size": 32768}
"""What else differs from gpt-oss-20b."""


def checkpoint(folder: Path, layers: int) -> Path:
    """Return a synthetic checkpoint, which is made where it is not there yet."""
    path = folder / f"checkpoint-{layers}"
    if not path.exists():
        shape = dataclasses.replace(GPT_OSS_20B, num_hidden_layers=layers, **CUT)
        make_checkpoint(path.with_suffix(".part"), shape).rename(path)
    return path


def bundle(folder: Path, model: Path, target: str, quant: str) -> Path:
    """Return the bundle of a target, which is compiled anew."""
    out = folder / f"{model.name}-{target}-{quant}"
    recipe = Recipe(model=model, target=target, quant=quant, context=1024, out=out, force=True)
    compile_model(recipe)
    return out


def decode(bundle: Path, target: str, tokens: int) -> float:
    """Return the tokens that a bundle decodes in a second, after a prompt of one."""
    environment = {**os.environ, **DRIVER.environment}
    device = ["--device", DRIVER.device] if target == "opencl" else []
    command = [bundle / "ossc-run", bundle, "--token-ids", "1", "-n", str(tokens), *device]
    run = subprocess.run(
        [*command, "--format", "json"], env=environment, stdout=subprocess.PIPE, check=True
    )
    return float(json.loads(run.stdout)["decode_tokens_per_s"])


def spread(values: list[float]) -> str:
    """Return the median and the range."""
    return f"{median(values):7.3g} ({min(values):.3g} to {max(values):.3g})"


def compare(bundles: dict[str, Path], rounds: int, tokens: int) -> None:
    """Print what both decode, in turns, and the ratio."""
    for target, each in bundles.items():  # builds the driver's code, and reads the weights
        decode(each, target, tokens)
    turns = [
        {target: decode(each, target, tokens) for target, each in bundles.items()}
        for _ in range(rounds)
    ]
    for target in bundles:
        print(f"  {target:<8} {spread([turn[target] for turn in turns])} tok/s")
    print(f"  ratio    {spread([turn['opencl'] / turn['cpu'] for turn in turns])}", flush=True)


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--quant", nargs="+", default=["default", "none"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=32)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    model = checkpoint(options.folder, options.layers)
    for quant in options.quant:
        bundles = {target: bundle(options.folder, model, target, quant) for target in TARGETS}
        print(f"--quant {quant}, {options.layers} layers, {options.rounds} rounds", flush=True)
        compare(bundles, options.rounds, options.tokens)
    return 0


if __name__ == "__main__":
    sys.exit(main())
