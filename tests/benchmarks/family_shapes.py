"""Models of other families' real shapes with random weights: memory to compile, and decode's share.

    PYTHONPATH=.links:tests python tests/benchmarks/family_shapes.py --work DIR --shape llama-1b

Prints one JSON object: the most memory that the compilation had resident (of which mapped pages of
the checkpoint are a part), the bundle's size, and how much of the read bandwidth, measured between
the calls, a decoded token uses.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from synthetic.decoders import LLAMA_1B, MIXTRAL_2_LAYERS, make_decoder

SHAPES = {"llama-1b": LLAMA_1B, "mixtral-2": MIXTRAL_2_LAYERS}

CONTEXT, DEPTH = 1024, 128

COMPILE = """
import re, sys
from pathlib import Path
from ossc.compiler import compile_model
from ossc.compiler.recipe import Recipe
model, quant, out = sys.argv[1:]
compile_model(Recipe(model=model, quant=quant, context={context}, out=Path(out), force=True))
print(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def peak_of_compiling(model: Path, quant: str, out: Path) -> int:
    """Compile in a process of its own; returns the most bytes that it had resident."""
    code = COMPILE.format(context=CONTEXT)
    done = subprocess.run(
        [sys.executable, "-c", code, str(model), quant, str(out)],
        capture_output=True,
        text=True,
        check=True,
    )
    return 1024 * int(re.findall(r"\d+", done.stdout)[-1])


def decode(bundle: Path) -> dict[str, float]:
    """Profile decoding; returns what a token takes, and its share of the read bandwidth."""
    command = [sys.executable, "-c", "from ossc.compiler.cli import main; main()", "profile"]
    options = [str(bundle), "--depth", str(DEPTH), "--format", "json"]
    done = subprocess.run([*command, *options], stdout=subprocess.PIPE, text=True, check=True)
    profile = json.loads(done.stdout)
    run = next(
        each for each in profile["decode"] if each["threads"] == profile["workload"]["threads"]
    )
    conditions = run["conditions"]
    kernels = [each for each in profile["kernels"] if each["phase"] == "decode"]
    read = sum(each["bytes"] for each in kernels)
    seconds = run["latency"]["p50_ms"] / 1e3
    return {
        "ms_per_token": run["latency"]["p50_ms"],
        "bytes_per_token": read,
        "read_gb_per_s": conditions["read_gb_per_s"],
        "share_of_read_bandwidth": read / seconds / 1e9 / conditions["read_gb_per_s"],
    }


def main() -> None:
    """Measure one shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--quant", default="default")
    parser.add_argument("--no-decode", action="store_true")
    options = parser.parse_args()
    model = make_decoder(options.work / options.shape, SHAPES[options.shape])
    bundle = options.work / f"{options.shape}-{options.quant}"
    result: dict[str, Any] = {
        "shape": options.shape,
        "quant": options.quant,
        "compile_peak_bytes": peak_of_compiling(model, options.quant, bundle),
        "bundle_bytes": sum(file.stat().st_size for file in bundle.iterdir()),
    }
    if not options.no_decode:
        result |= decode(bundle)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
