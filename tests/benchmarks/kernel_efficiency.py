"""What shares of the machine's limits each kind of kernel reaches: the table behind predictions.

    PYTHONPATH=.links:tests python tests/benchmarks/kernel_efficiency.py FOLDER

Two models are compiled with every scheme and type of activations, and run with timestamps: the
weights of the large one come from memory, those of the small one stay in a cache, and a chunk of a
prompt fills the tiles. The same process probes the limits. The result replaces the entries of the
instruction set that this machine chose in ``targets/kernel_efficiency.toml``. Compiling takes a
quarter of an hour, measuring three minutes, in which the machine must have nothing else to do.
"""

import argparse
import statistics
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ossc.compiler.lowering.kernels.weights import find_format
from ossc.compiler.pipeline import compile_model
from ossc.compiler.quantization import all_schemes
from ossc.compiler.recipe import Recipe
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.profile.aggregate import Bundled, Execution, typical_calls
from ossc.runtimes.profile.efficiency import TABLE, Efficiency, share_of_single_tokens
from ossc.runtimes.profile.measurement import decode_calls, prefill_call
from ossc.runtimes.profile.places import LOCAL
from ossc.runtimes.profile.predict import idle_factor
from ossc.runtimes.profile.probes import probe_roofline
from ossc.runtimes.profile.roofline import Roofline, limits, working_set_bytes
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

Kind = tuple[str, str | None, str]


@dataclass(frozen=True)
class Round:
    """Some tokens and a prompt, and the limits of the machine in the same second."""

    roofline: Roofline
    decode: list[list[Execution]]
    prefill: list[list[Execution]]


def plans() -> Iterator[dict[str, str]]:
    """Yield every scheme with every type of activations that meets it."""
    for scheme in all_schemes():
        integers = ("int8", "int8x2") if find_format(scheme.name).integer_sums else ()
        for activations in ("f32", *integers):
            yield {"scheme": scheme.name, "activations": activations}


def plan_file(folder: Path, plan: dict[str, str]) -> Path:
    """Write a plan with one scheme for all classes of tensors."""
    path = folder / f"{plan['scheme']}-{plan['activations']}.toml"
    classes = "".join(
        f'{name} = "{plan["scheme"]}"\n' for name in ("experts", "dense", "embedding", "head")
    )
    path.write_text(f'activations = "{plan["activations"]}"\n[schemes]\n{classes}')
    return path


def run(path: Path, threads: int) -> list[Round]:
    """Measure one bundle and the limits of the machine in turn."""
    bundle = Bundle.open(path)
    bundled = Bundled(plan=bundle.plan, costs=bundle.manifest.kernels)
    random = np.random.default_rng(0)

    def ids(count: int) -> list[int]:
        return [int(i) for i in random.integers(0, bundle.plan.vocab_size, count)]

    with LOCAL.start(bundle, threads) as runner:
        runner.prefill(ids(PROMPT_TOKENS))
        runner.decode(ids(WARM_UP_TOKENS))  # maps the pages of all experts
        runner.times(True)
        runner.routing(True)
        limits_before, rounds = probe_roofline(runner, threads), []
        for _ in range(ROUNDS):
            runner.reset()
            prefill = [prefill_call(runner.prefill(ids(PROMPT_TOKENS)))]
            runner.fill(DEPTH)
            decode = typical_calls(decode_calls(runner.decode(ids(DECODED_TOKENS)), DEPTH))
            limits_after = probe_roofline(runner, threads)
            rounds.append(
                Round(
                    roofline=_between(limits_before, limits_after),
                    decode=[list(bundled.executions(call)) for call in decode],
                    prefill=[list(bundled.executions(call)) for call in prefill],
                )
            )
            limits_before = limits_after
    return rounds


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


@dataclass
class _Sum:
    """Of all calls of one kind of kernel, in ms."""

    taken: float = 0
    memory: float = 0
    arithmetic: float = 0
    single: float = 0
    """Share of the arithmetic that is of tokens outside of tiles, in ms."""


def sums(calls: Iterable[list[Execution]], roofline: Roofline) -> dict[Kind, _Sum]:
    """Add up times and limits by kind."""
    result: dict[Kind, _Sum] = defaultdict(_Sum)
    for call in calls:
        working_set = working_set_bytes((one.cost, one.call) for one in call)
        for one in call:
            cost = one.cost
            times = limits(cost, one.call, roofline, working_set)
            idle = idle_factor(one.step, one.call.tokens, roofline.threads)
            arithmetic = idle * (times.f32_ms + times.int8_ms)
            entry = result[cost.operation, cost.scheme, cost.arithmetic]
            entry.taken += one.ns / 1e6 - times.launch_ms
            entry.memory += idle * times.memory_ms
            entry.arithmetic += arithmetic
            entry.single += arithmetic * share_of_single_tokens(cost, one.call)
    return result


def efficiencies(large: Round, small: Round) -> Iterator[Efficiency]:
    """Divide limits by times."""
    from_memory = sums(large.decode, large.roofline)
    chunk = sums(large.prefill, large.roofline)
    from_cache = sums(small.decode, small.roofline)
    for kind in sorted({*from_memory, *chunk}, key=str):
        decode, prefill = from_memory.get(kind, chunk[kind]), chunk.get(kind, from_memory[kind])
        near = from_cache.get(kind, decode)
        token = _share(near.arithmetic, near.taken)
        filled = prefill.taken - prefill.single / token
        yield Efficiency(
            operation=kind[0],
            scheme=kind[1],
            arithmetic=kind[2],
            memory=_share(decode.memory, decode.taken),
            token=token,
            chunk=max(token, _share(prefill.arithmetic - prefill.single, filled)),
        )


def _share(limit_ms: float, taken_ms: float) -> float:
    """Return a limit over the time taken; 1 where there is none, as of arithmetic in a copy."""
    return limit_ms / taken_ms if limit_ms > 0 and taken_ms > 0 else 1.0


def compile_all(folder: Path, target: str) -> None:
    """Compile what the folder does not hold yet; this needs no quiet machine."""
    for name, shape in MODELS.items():
        model = folder / name
        if not model.exists():
            make_checkpoint(model, shape)
        for plan in plans():
            path = plan_file(folder, plan)
            out = folder / f"{path.stem}-{name}"
            if not out.exists():
                recipe = Recipe(
                    model=model, target=target, quant=str(path), context=CONTEXT, out=out
                )
                print(compile_model(recipe), flush=True)


def measure(folder: Path, threads: int) -> tuple[str, list[Efficiency]]:
    """Measure all plans; of a kind, the medians over plans and rounds."""
    found: dict[Kind, list[Efficiency]] = defaultdict(list)
    isa = ""
    for plan in plans():
        path = plan_file(folder, plan)
        large, small = (run(folder / f"{path.stem}-{name}", threads) for name in MODELS)
        isa = large[0].roofline.isa
        for rounds in zip(large, small, strict=True):
            print(path.stem, rounds[0].roofline, flush=True)
            for each in efficiencies(*rounds):
                print(f"  {each}", flush=True)
                found[each.operation, each.scheme, each.arithmetic].append(each)
    return isa, [_median(entries) for entries in found.values()]


def _median(entries: list[Efficiency]) -> Efficiency:
    first = entries[0]
    return Efficiency(
        operation=first.operation,
        scheme=first.scheme,
        arithmetic=first.arithmetic,
        memory=statistics.median(each.memory for each in entries),
        token=statistics.median(each.token for each in entries),
        chunk=statistics.median(each.chunk for each in entries),
    )


def write_table(isa: str, entries: list[Efficiency]) -> None:
    """Replace the entries of one instruction set in the table."""
    tables = tomllib.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}
    tables[isa] = {"kernels": [_fields(each) for each in sorted(entries, key=str)]}
    lines = [HEADER]
    for name, table in sorted(tables.items()):
        for kernel in table["kernels"]:
            lines += ["", f"[[{name}.kernels]]"]
            lines += [f"{key} = {_toml(value)}" for key, value in kernel.items()]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


HEADER = """\
# Shares of a machine's limits that kernels reach, by instruction set. Not edited by hand:
# tests/benchmarks/kernel_efficiency.py measures and writes it. runtimes/profile/efficiency.py
# says what the fields mean."""


def _fields(entry: Efficiency) -> dict[str, str | float]:
    names = ("operation", "scheme", "arithmetic", "memory", "token", "chunk")
    values = {name: getattr(entry, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _toml(value: str | float) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value:.4g}"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="holds the models; 8 GB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--only-compile", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    compile_all(options.folder, options.target)
    if not options.only_compile:
        write_table(*measure(options.folder, options.threads))


if __name__ == "__main__":
    main()
