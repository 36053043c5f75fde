"""Does a token cost more when the model has more experts?  It must not: only the chosen are read.

Three models that differ in nothing but the number of experts decode the same tokens in turn, A B C
A B C. Their weights are larger than the caches, so that the model of 4 experts does not win by
staying in one of them.

    PYTHONPATH=.links:tests python tests/benchmarks/expert_count.py
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from ossc.compiler.pipeline import compile_model
from ossc.compiler.recipe import Recipe
from ossc.runtimes import Session
from synthetic import SyntheticShape, make_checkpoint

EXPERTS = (4, 32, 128)
LAYERS = 12
WIDTH = 1024
TOKENS = 24


def bundle(folder: Path, experts: int) -> Path:
    """Make and compile a model; its experts are nearly all of it."""
    shape = SyntheticShape(
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_local_experts=experts,
        num_experts_per_tok=4,
    )
    model = make_checkpoint(folder / f"model{experts}", shape)
    return compile_model(Recipe(model=model, context=512, out=folder / f"bundle{experts}"))


def milliseconds_a_token(session: Session, first: int) -> float:
    """Decode some tokens."""
    session.reset()
    begin = time.perf_counter()
    for token_id in range(first, first + TOKENS):
        session.decode(token_id)
    return (time.perf_counter() - begin) / TOKENS * 1e3


def main() -> None:
    """Print the medians, their spread and their ratios to 4 experts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sessions = {e: Session(bundle(Path(scratch), e), options.threads) for e in EXPERTS}
        for session in sessions.values():
            for first in range(0, 10 * TOKENS, TOKENS):
                milliseconds_a_token(session, first)  # reads the file into memory
        times: dict[int, list[float]] = {experts: [] for experts in EXPERTS}
        for number in range(options.rounds):
            for experts, session in sessions.items():
                times[experts].append(milliseconds_a_token(session, number * TOKENS))
    base = statistics.median(times[EXPERTS[0]])
    print("experts  ms a token (median, least, most)  ratio")
    for experts, values in times.items():
        median = statistics.median(values)
        spread = f"{median:6.2f} {min(values):6.2f} {max(values):6.2f}"
        print(f"{experts:7}  {spread:32}  {median / base:.2f}")


if __name__ == "__main__":
    main()
