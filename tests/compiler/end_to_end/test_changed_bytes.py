"""A bundle with any byte changed is refused; changed weights do at least no harm.

Every byte of a tiny bundle is changed here for `ossc verify`, and in tests/runtimes for the C
runtime; of a compiled bundle, whose programs are large, a sample.
"""

import os
import random
import shutil
import subprocess

import numpy as np
import pytest

from compiled import Build
from ossc.compiler.backends.cpu.objects import write_objects
from ossc.compiler.backends.cpu.toolchain import kernel_table
from ossc.compiler.backends.runtime_link import device_table, runtime_sources
from ossc.compiler.order import Order
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.quantization.plan import load_plan
from ossc.runtimes import devices
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.session import Session
from ossc.targets.errors import BundleError
from shared_objects import kernels_of
from synthetic.tiny_bundle import compile_c, write_bundle

FLIPS = (0x01, 0x20, 0x80, 0xFF)
"""The lowest bit, the bit of letter case, the highest bit, all bits."""

SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
CPU = ("cpu", "null")
SANITIZER_FOUND = 99
TOKEN_IDS = " ".join(map(str, range(140)))
"""More than a prefill chunk."""


@pytest.fixture(scope="module")
def model(compiled):
    """A compiled bundle and its checkpoint."""
    return compiled(Build(quant="default"))


@pytest.fixture
def bundle(model, tmp_path):
    """A copy of the compiled bundle."""
    return shutil.copytree(model.bundle, tmp_path / "bundle")


@pytest.fixture(scope="module")
def instrumented(model, backend, c_objects, tmp_path_factory):
    """``ossc-run`` of the bundle with its own kernels, built by gcc with sanitizers."""
    folder = tmp_path_factory.mktemp("instrumented")
    probe = folder / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    command = ["gcc", *SANITIZERS, str(probe), "-o", str(folder / "probe")]
    if not shutil.which("gcc") or subprocess.run(command, check=False).returncode != 0:
        pytest.skip("gcc with sanitizers is not installed")
    build = model.build
    recipe = model.recipe()
    options = Order.of(recipe).options(model.source.config)
    whole = backend.lower(quantized_model(model.source, load_plan(build.quant)), options)
    lowered = kernels_of(whole, build.kv_types)
    kernels = (lowered.kernels, lowered.generated)
    objects = write_objects(*kernels, options.target, folder, backend.generate)
    table = folder / "kernel_table.c"
    table.write_text(kernel_table(objects))
    paths = [path for each in objects for path in each.paths]
    kinds = folder / "device_kinds.c"
    kinds.write_text(device_table(CPU))
    sources = [*runtime_sources(CPU), kinds, table, *paths]
    return compile_c(folder / "ossc-run", sources, SANITIZERS, ("gcc",), c_objects)


def flip(file, position, mask):
    """Change a byte of a file by exclusive or; twice is not at all."""
    with file.open("r+b") as opened:
        opened.seek(position)
        (byte,) = opened.read(1)
        opened.seek(position)
        opened.write(bytes([byte ^ mask]))


def is_refused(bundle, **checks):
    try:
        Bundle.open(bundle, **checks)
    except BundleError:
        return True
    return False


def sample(file, count, rng):
    """Positions in a file: its first and last bytes, and others at random."""
    size = file.stat().st_size
    if size <= count:
        return range(size)
    return [*range(8), *rng.sample(range(8, size - 8), count - 16), *range(size - 8, size)]


def test_verify_refuses_every_changed_byte_of_a_bundle(tmp_path):
    bundle = write_bundle(tmp_path / "bundle")
    for file in bundle.iterdir():
        for position in range(file.stat().st_size):
            mask = FLIPS[position % len(FLIPS)]
            flip(file, position, mask)
            refused = is_refused(bundle, hash_weights=True, only_listed=True)
            flip(file, position, mask)
            assert refused, (file.name, position)
    assert not is_refused(bundle, hash_weights=True, only_listed=True)


def test_verify_refuses_changed_bytes_of_a_compiled_bundle(bundle):
    rng = random.Random(0)
    for file in bundle.iterdir():
        for position in sample(file, 200, rng):
            mask = rng.choice(FLIPS)
            flip(file, position, mask)
            refused = is_refused(bundle, hash_weights=True, only_listed=True)
            flip(file, position, mask)
            assert refused, (file.name, position)


def test_a_session_refuses_every_change_outside_of_the_weights_before_it_loads_code(
    bundle, monkeypatch
):
    def load(_path):
        raise AssertionError("code was loaded")

    monkeypatch.setattr(devices, "Library", load)
    rng = random.Random(1)
    for file in bundle.iterdir():
        if file.name == "weights.bin":
            continue
        for position in sample(file, 100, rng):
            flip(file, position, 0x10)
            with pytest.raises(BundleError):
                Session(bundle)
            flip(file, position, 0x10)
    with pytest.raises(AssertionError, match="code was loaded"):
        Session(bundle)


def run(program, bundle):
    """Run a few tokens; returns the exit status after making sure that no sanitizer complained."""
    done = subprocess.run(
        [program, bundle, "--token-ids", TOKEN_IDS, "-n", "4", "--threads", "2"],
        env=dict(os.environ)
        | {
            "ASAN_OPTIONS": f"exitcode={SANITIZER_FOUND}",
            "UBSAN_OPTIONS": f"exitcode={SANITIZER_FOUND}:print_stacktrace=1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), (done.returncode, done.stderr)
    assert "runtime error" not in done.stderr
    assert "Sanitizer" not in done.stderr
    return done.returncode


def test_ossc_run_refuses_every_change_outside_of_the_weights_and_never_crashes(
    bundle, instrumented
):
    rng = random.Random(2)
    assert run(instrumented, bundle) == 0
    for file in bundle.iterdir():
        if file.name == "weights.bin":
            continue
        for position in rng.sample(range(file.stat().st_size), 20):
            flip(file, position, 0x04)
            assert run(instrumented, bundle) == 1, (file.name, position)
            flip(file, position, 0x04)


@pytest.mark.parametrize("damage", ["random bytes", "all ones", "zeros", "largest floats"])
def test_ossc_run_survives_any_weights(bundle, instrumented, damage):
    weights = bundle / "weights.bin"
    size = weights.stat().st_size
    data = {
        "random bytes": np.random.default_rng(0).bytes(size),
        "all ones": b"\xff" * size,  # NaN as float32, bfloat16 and MXFP4 scale
        "zeros": bytes(size),
        "largest floats": b"\xff\xff\x7f\x7f" * (size // 4) + bytes(size % 4),
    }[damage]
    weights.write_bytes(data)
    run(instrumented, bundle)


@pytest.mark.parametrize("size", ["empty", "a page less", "a byte less", "a byte more"])
def test_ossc_run_refuses_weights_of_another_size(bundle, instrumented, size):
    weights = bundle / "weights.bin"
    full = weights.stat().st_size
    changes = {"empty": -full, "a page less": -4096, "a byte less": -1, "a byte more": 1}
    os.truncate(weights, full + changes[size])
    assert run(instrumented, bundle) == 1
