"""Measuring here and under an emulator."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from compiled import require_a_way_to_run
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import HostEntry, TargetEntry
from ossc.runtimes.profile.places import LOCAL, EmulatedPlace, find_place
from ossc.runtimes.profile.places.ssh_place import SshPlace
from ossc.runtimes.session import Session
from ossc.targets import find_target
from ossc.targets.errors import BundleError, SessionError, UsageError
from ossc.targets.machine import this_machine
from synthetic.tiny_bundle import ZIG, compile_c, runtime_sources, static_flags, write_bundle

PROMPT = [5, 1, 30]


@pytest.fixture
def likeliest(tiny_bundle):
    with Session(tiny_bundle, threads=1) as session:
        return int(np.argmax(session.prefill(PROMPT)))


def test_here_the_bundle_runs_as_it_is(tiny_bundle, likeliest):
    place = find_place("local")
    assert (place.name, place.emulated) == ("local", False)
    with place.start(Bundle.open(tiny_bundle), threads=3, weights="resident") as runner:
        assert runner.hello.threads == 3
        assert runner.prefill(PROMPT).argmax == likeliest


def test_a_bundle_named_by_a_relative_path_runs_too(tiny_bundle, monkeypatch):
    monkeypatch.chdir(tiny_bundle.parent)
    with LOCAL.start(Bundle.open(tiny_bundle.relative_to(tiny_bundle.parent))) as runner:
        runner.prefill(PROMPT)


def test_the_type_of_the_kv_caches_is_the_bundle_s(tiny_bundle):
    other = replace(Bundle.open(tiny_bundle), kv="int8")  # which the tests' bundle does not have
    with pytest.raises(SessionError, match="int8"):
        LOCAL.start(other)


def test_a_bundle_for_another_machine_is_not_run_here(tmp_path, binaries):
    target = TargetEntry(name="cpu:o", host=HostEntry(arch="riscv64", cpu_features=()))
    bundle = write_bundle(tmp_path / "b", binaries, target=target)
    with pytest.raises(SessionError, match="on riscv64 and this machine is"):
        LOCAL.start(Bundle.open(bundle))


def test_a_bundle_without_an_executable_is_refused(tmp_path):
    with pytest.raises(BundleError, match="has no ossc-run"):
        LOCAL.start(Bundle.open(write_bundle(tmp_path / "b")))


@pytest.mark.emulated
@pytest.mark.parametrize("name", ["cpu:aarch64", "cpu:armv7", "cpu:riscv64-v"])
def test_an_emulator_runs_the_bundle_of_its_architecture(tmp_path, likeliest, name):
    require_a_way_to_run(name)
    host = find_target(name).host
    flags = static_flags(host.zig_static)
    executable = compile_c(tmp_path / "ossc-run", runtime_sources(main=True), flags, ZIG)
    target = TargetEntry(name=name, host=HostEntry(arch=host.arch, cpu_features=host.cpu_features))
    bundle = Bundle.open(write_bundle(tmp_path / "b", [executable], target=target))
    place = find_place(f"qemu:{host.arch}")
    assert (place.name, place.emulated) == (f"qemu:{host.arch}", True)
    with place.start(bundle, threads=2) as runner:
        runner.times(True)
        timing = runner.prefill(PROMPT)
        assert timing.argmax == likeliest
        assert 0 < timing.times.ns.sum() <= 1e9 * timing.seconds
        assert timing.times.thread_ns.shape[1:] == (2, 2)
        assert runner.machine().memory_bytes > 0
        for probe in ("f32", "int8", "launch"):
            assert runner.probe(probe, 1).value > 0
        assert runner.probe("read", 2, 1 << 16).value > 0


def test_an_emulator_refuses_bundles_of_another_architecture(tiny_bundle):
    arch = this_machine().arch
    with pytest.raises(SessionError, match=f"for {arch} and qemu:riscv64 .*qemu:{arch}"):
        EmulatedPlace("riscv64").start(Bundle.open(tiny_bundle))


def test_an_emulator_that_is_missing_is_named(tiny_bundle, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SessionError, match="is not installed; install it"):
        EmulatedPlace(this_machine().arch).start(Bundle.open(tiny_bundle))


def test_a_machine_is_named_by_its_url():
    assert isinstance(find_place("ssh://pi"), SshPlace)


@pytest.mark.parametrize("where", ["", "here", "qemu", "qemu:", "qemu:a/b", "qemu:-x", "LOCAL"])
def test_a_place_that_does_not_exist_is_refused(where):
    with pytest.raises(UsageError, match="is no place to measure; give local"):
        find_place(where)
