"""What shares of the machine's limits each kind of kernel reaches: the table behind predictions.

    PYTHONPATH=.links:tests python tests/benchmarks/kernel_efficiency.py FOLDER

Two models are compiled with every scheme and type of activations, and run with timestamps: the
weights of the large one come from memory, those of the small one stay in a cache, and a chunk of a
prompt fills the tiles. The same process probes the limits. The result replaces the entries of the
instruction set that this machine chose in ``targets/kernel_efficiency.toml``, or of the one that
``OSSC_INSTRUCTION_SET`` names; plans without kernels for that one are left out. Compiling takes a
quarter of an hour, measuring three minutes, in which the machine must have nothing else to do.
"""

import argparse
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from kernel_shares import Round, Shares, add_shares, undisturbed, write_table

from ossc.compiler.pipeline import compile_model
from ossc.compiler.recipe import Recipe
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.kernel_cost import Kind
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.profile.aggregation.executions import Bundled
from ossc.runtimes.profile.aggregation.phases import typical_calls
from ossc.runtimes.profile.device.probes import probe_roofline
from ossc.runtimes.profile.measurement import decode_calls, prefill_call
from ossc.runtimes.profile.places import LOCAL
from ossc.runtimes.profile.repeats import MAX_TRIES, same_bandwidth
from ossc.runtimes.profile.roofline import Roofline
from synthetic import SyntheticShape, make_checkpoint

LARGE = SyntheticShape(
    vocab_size=32768,
    hidden_size=2880,
    intermediate_size=2880,
    num_hidden_layers=4,
    num_attention_heads=64,
    num_key_value_heads=8,
    head_dim=64,
    num_local_experts=8,
    num_experts_per_tok=4,
    sliding_window=128,
)
"""Four layers of gpt-oss with a quarter of the experts: a token reads far more than caches hold."""

SMALL = SyntheticShape(
    vocab_size=2048,
    hidden_size=512,
    intermediate_size=512,
    num_hidden_layers=1,
    num_attention_heads=64,
    num_key_value_heads=8,
    head_dim=64,
    sliding_window=128,
    layer_types=("full_attention",),
)
"""8 MB with 8-bit weights."""

MODELS = {"large": LARGE, "small": SMALL}

CONTEXT = 4096
DEPTH = 2048
PROMPT_TOKENS = 128
WARM_UP_TOKENS = 64
DECODED_TOKENS = 12
ROUNDS = 5

PLANS: dict[str, tuple[KvType, str, str, str, str, str]] = {
    "mxfp4": ("f32", "int8x2", "mxfp4", "int8-g32", "int8-g32", "int4-g32"),
    "float": ("f16", "f32", "mxfp4", "bf16", "bf16", "bf16"),
    "int8": ("int8", "int8x2", "int8-g32", "int4-g32", "int4-g32", "int8-g32"),
    "int4": ("f16", "int8x2", "int4-g32", "int8-g32", "int8-g32", "int8-g32"),
    "bf16": ("int8", "f32", "bf16", "int8-g32", "int8-g32", "int4-g32"),
    "f16": ("f32", "f32", "f16", "f32", "f16", "f32"),
    "f32": ("f32", "f32", "f32", "f16", "f32", "f16"),
    "one-term": ("f32", "int8", "mxfp4", "int8-g32", "int8-g32", "int4-g32"),
}
"""Types of the KV cache and of activations, then the schemes of experts, dense, embedding and head:
together all kinds of the presets, and more."""


def plan_file(folder: Path, name: str) -> Path:
    """Write a plan."""
    _, activations, *schemes = PLANS[name]
    classes = zip(("experts", "dense", "embedding", "head"), schemes, strict=True)
    lines = [f'activations = "{activations}"', "[schemes]"]
    lines += [f'{tensor_class} = "{scheme}"' for tensor_class, scheme in classes]
    path = folder / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(path: Path, kv: KvType, threads: int) -> list[Round]:
    """Measure one bundle and the limits of the machine in turn.

    Rounds in which these changed are made again, up to a limit.
    """
    bundle = Bundle.open(path, kv=kv)
    bundled = Bundled(plan=bundle.plan, costs=bundle.manifest.kernels)
    random = np.random.default_rng(0)

    def ids(count: int) -> list[int]:
        return [int(i) for i in random.integers(0, bundle.plan.vocab_size, count)]

    with LOCAL.start(bundle, threads) as runner:
        runner.prefill(ids(PROMPT_TOKENS))
        runner.decode(ids(WARM_UP_TOKENS))  # maps the pages of all experts
        runner.times(True)
        runner.routing(True)
        limits_before, rounds, made = probe_roofline(runner, threads), [], 0
        while len(rounds) < ROUNDS and made < MAX_TRIES * ROUNDS:
            made += 1
            runner.reset()
            prefill = [prefill_call(runner.prefill(ids(PROMPT_TOKENS)))]
            runner.fill(DEPTH)
            decode = typical_calls(decode_calls(runner.decode(ids(DECODED_TOKENS)), DEPTH))
            limits_after = probe_roofline(runner, threads)
            if same_bandwidth(memory_rate(limits_before), memory_rate(limits_after)):
                rounds.append(
                    Round(
                        roofline=_between(limits_before, limits_after),
                        decode=[list(bundled.executions(call)) for call in decode],
                        prefill=[list(bundled.executions(call)) for call in prefill],
                    )
                )
            limits_before = limits_after
    return rounds


def memory_rate(roofline: Roofline) -> float:
    """Return the rate beyond all caches, which a machine may change within seconds."""
    return roofline.read_gb_per_s[max(roofline.read_gb_per_s)]


def _between(one: Roofline, other: Roofline) -> Roofline:
    """Return the rates between two probes; of what no other program slows evenly the better one."""
    return Roofline(
        source=one.source,
        isa=one.isa,
        threads=one.threads,
        read_gb_per_s={
            size: (rate + other.read_gb_per_s[size]) / 2 for size, rate in one.read_gb_per_s.items()
        },
        f32_gflops=max(one.f32_gflops, other.f32_gflops),
        int8_gops=max(one.int8_gops, other.int8_gops),
        launch_ns=min(one.launch_ns, other.launch_ns),
    )


def compile_all(folder: Path, target: str, plans: Iterable[str]) -> None:
    """Compile what the folder does not hold yet; this needs no quiet machine."""
    for plan in plans:
        for name, shape in MODELS.items():
            model, out = folder / name, folder / f"{plan}-{name}"
            if not model.exists():
                make_checkpoint(model, shape)
            if not out.exists():
                quant = str(plan_file(folder, plan))
                recipe = Recipe(model=model, target=target, quant=quant, context=CONTEXT, out=out)
                print(compile_model(recipe), flush=True)


def measured_plans(folder: Path, plans: Iterable[str]) -> list[str]:
    """Return the plans with kernels for the instruction set that the user wants."""
    wanted = os.environ.get("OSSC_INSTRUCTION_SET", "base")
    bundles = {plan: Bundle.open(folder / f"{plan}-large") for plan in plans}
    return [
        plan
        for plan, bundle in bundles.items()
        if wanted in ("base", *bundle.manifest.target.host.instruction_sets)
    ]


def measure(folder: Path, plan: str, threads: int, found: dict[Kind, Shares]) -> str:
    """Measure one plan; returns the instruction set that its kernels use."""
    large, small = (run(folder / f"{plan}-{name}", PLANS[plan][0], threads) for name in MODELS)
    good = undisturbed(list(zip(large, small, strict=True)))
    print(f"{plan}: {len(good)} rounds of {len(large)}", large[0].roofline, flush=True)
    for pair in good:
        add_shares(found, *pair)
    return large[0].roofline.isa


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="holds the models; 14 GB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--only-compile", action="store_true")
    parser.add_argument(
        "--plans",
        nargs="+",
        choices=PLANS,
        default=list(PLANS),
        help="only these; the entries of kinds that none of them has stay",
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    compile_all(options.folder, options.target, options.plans)
    if options.only_compile:
        return
    found: dict[Kind, Shares] = defaultdict(Shares)
    plans = measured_plans(options.folder, options.plans)
    (isa,) = {measure(options.folder, plan, options.threads, found) for plan in plans}
    write_table(isa, found)


if __name__ == "__main__":
    main()
