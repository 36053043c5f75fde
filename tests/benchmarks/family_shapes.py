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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synthetic.files import write_tensors
from synthetic.layout import SyntheticTensor, float_tensor

LLAMA_1B: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
    "tie_word_embeddings": True,
}
"""Llama-3.2-1B."""

MIXTRAL_2_LAYERS: dict[str, Any] = {
    "model_type": "mixtral",
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 2,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1000000.0,
    "sliding_window": None,
}
"""The first two layers of Mixtral-8x7B."""

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


def tensors(config: dict[str, Any]) -> Iterator[SyntheticTensor]:
    """List a checkpoint's tensors, all bfloat16."""
    hidden, intermediate = config["hidden_size"], config["intermediate_size"]
    head_dim = config.get("head_dim", hidden // config["num_attention_heads"])
    query, key = (config[f"num_{n}_heads"] * head_dim for n in ("attention", "key_value"))
    yield _matrix("model.embed_tokens.weight", config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        module = f"model.layers.{layer}"
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield float_tensor(f"{module}.{name}.weight", (hidden,), std=0.1, mean=1.0)
        yield _matrix(f"{module}.self_attn.q_proj.weight", query, hidden)
        yield _matrix(f"{module}.self_attn.k_proj.weight", key, hidden)
        yield _matrix(f"{module}.self_attn.v_proj.weight", key, hidden)
        yield _matrix(f"{module}.self_attn.o_proj.weight", hidden, query)
        if "num_local_experts" in config:
            moe = f"{module}.block_sparse_moe"
            yield _matrix(f"{moe}.gate.weight", config["num_local_experts"], hidden)
            for expert in range(config["num_local_experts"]):
                yield _matrix(f"{moe}.experts.{expert}.w1.weight", intermediate, hidden)
                yield _matrix(f"{moe}.experts.{expert}.w2.weight", hidden, intermediate)
                yield _matrix(f"{moe}.experts.{expert}.w3.weight", intermediate, hidden)
            continue
        yield _matrix(f"{module}.mlp.gate_proj.weight", intermediate, hidden)
        yield _matrix(f"{module}.mlp.up_proj.weight", intermediate, hidden)
        yield _matrix(f"{module}.mlp.down_proj.weight", hidden, intermediate)
    yield float_tensor("model.norm.weight", (hidden,), std=0.1, mean=1.0)
    if not config.get("tie_word_embeddings"):
        yield _matrix("lm_head.weight", config["vocab_size"], hidden)


def _matrix(name: str, rows: int, columns: int) -> SyntheticTensor:
    return float_tensor(name, (rows, columns), std=columns**-0.5)


def make_checkpoint(folder: Path, config: dict[str, Any]) -> Path:
    """Write a checkpoint, unless it is there."""
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        listed = list(tensors(config))
        write_tensors(folder, listed, seed=0, max_shard_bytes=None, sparse=False)
        (folder / "config.json").write_text(json.dumps(config))
    return folder


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
    model = make_checkpoint(options.work / options.shape, SHAPES[options.shape])
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
