"""Finding targets, and choosing one for a machine."""

import dataclasses
import platform

import pytest

from ossc.targets import all_targets, find_target, resolve_target
from ossc.targets.errors import TargetError, UnknownNameError
from ossc.targets.machine import Machine, this_machine

X86_64_V3 = Machine(
    arch="x86_64", cpu_features=frozenset(find_target("cpu:x86-64-v3").host.cpu_features)
)


def test_every_target_has_a_name_of_its_own():
    names = [target.name for target in all_targets()]
    assert len(names) == len(set(names))


def test_the_targets_of_the_first_release_are_there():
    names = {target.name for target in all_targets()}
    assert names >= {"cpu:x86-64-v3", "cpu:x86-64-v2", "cpu:aarch64"}


ARCHITECTURES = {"armv7l": {"arm", "armv7a"}}
"""What LLVM, zig and qemu call an architecture, where not as Linux does."""


@pytest.mark.parametrize("target", all_targets(), ids=lambda target: target.name)
def test_a_target_says_the_same_thing_in_all_its_fields(target):
    assert target.name.split(":")[0] == target.kind
    assert len(target.summary) <= 90
    assert target.prefill_chunk % 8 == 0
    if target.device.in_browser:
        assert (target.host.arch, target.host.zig_static) == ("browser", "")
        return
    host = target.host
    names = ARCHITECTURES.get(host.arch, {host.arch})
    for triple in (host.tvm_target["mtriple"], host.zig_static, host.zig_shared):
        arch, system, _ = triple.replace("-unknown", "").split("-")
        assert arch in names
        assert system == "linux"
    assert host.emulator.removeprefix("qemu-") in names
    assert "musl" in host.zig_static
    assert host.zig_shared.partition(".")[0].endswith(host.tvm_target["mtriple"].split("-")[-1])
    assert host.glibc == ("2.27" if host.arch == "riscv64" else "2.17")


def test_a_target_is_found_by_its_name():
    assert find_target("cpu:aarch64").host.arch == "aarch64"


def test_a_misspelt_target_is_answered_with_near_misses():
    with pytest.raises(UnknownNameError, match="did you mean 'cpu:x86-64-v3'"):
        find_target("cpu:x86_64_v3")


def test_cpu_is_the_best_target_that_the_machine_can_run():
    assert resolve_target("cpu", X86_64_V3).name == "cpu:x86-64-v3"


@pytest.mark.parametrize("missing", ["avx2", "fma", "f16c", "abm"])
def test_cpu_is_a_lower_level_where_a_feature_is_missing(missing):
    machine = dataclasses.replace(X86_64_V3, cpu_features=X86_64_V3.cpu_features - {missing})
    assert resolve_target("cpu", machine).name == "cpu:x86-64-v2"


def test_cpu_is_not_a_target_of_another_architecture():
    arm = Machine(arch="aarch64", cpu_features=X86_64_V3.cpu_features | {"fp", "asimd"})
    assert resolve_target("cpu", arm).name == "cpu:aarch64"


@pytest.mark.parametrize(
    ("arch", "features", "name"),
    [
        pytest.param("riscv64", "imafdc", "cpu:riscv64", id="riscv64"),
        pytest.param("riscv64", "imafdcv", "cpu:riscv64-v", id="riscv64-with-vectors"),
        pytest.param("armv7l", ("neon", "vfpv3", "vfpv4"), "cpu:armv7", id="armv7"),
    ],
)
def test_cpu_is_the_target_of_an_architecture_with_what_the_cpu_has(arch, features, name):
    assert resolve_target("cpu", Machine(arch=arch, cpu_features=frozenset(features))).name == name


def test_a_cortex_a9_which_adds_and_multiplies_apart_fits_no_target():
    machine = Machine(arch="armv7l", cpu_features=frozenset({"neon", "vfpv3"}))
    with pytest.raises(TargetError, match="No target fits this machine's armv7l CPU"):
        resolve_target("cpu", machine)


def test_a_machine_that_no_target_fits_is_told_the_targets():
    with pytest.raises(TargetError, match=r"loongarch64.*cpu:aarch64"):
        resolve_target("cpu", Machine(arch="loongarch64", cpu_features=frozenset()))


def test_any_target_can_be_named_on_any_machine():
    assert resolve_target("cpu:aarch64", X86_64_V3).name == "cpu:aarch64"


@pytest.mark.parametrize(
    ("cpuinfo", "features"),
    [
        pytest.param("processor\t: 0\nflags\t\t: fpu avx2\nbugs\t: x\n", {"fpu", "avx2"}, id="x86"),
        pytest.param("processor\t: 0\nFeatures\t: fp asimd\n", {"fp", "asimd"}, id="arm"),
        pytest.param("hart\t: 0\nisa\t: rv64imafdcv_zicsr\n", set("imafdcv"), id="risc-v"),
        pytest.param("nothing\n", set(), id="none"),
    ],
)
def test_the_features_are_read_from_cpuinfo(tmp_path, cpuinfo, features):
    path = tmp_path / "cpuinfo"
    path.write_text(cpuinfo)
    assert this_machine(path).cpu_features == features


def test_a_32_bit_world_on_a_64_bit_arm_is_armv7(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "armv8l")
    assert this_machine(tmp_path / "absent").arch == "armv7l"


def test_a_machine_without_cpuinfo_has_no_features(tmp_path):
    assert this_machine(tmp_path / "absent").cpu_features == frozenset()


@pytest.mark.parametrize(
    ("features", "isa"),
    [
        pytest.param(set(), "avx2", id="none-more"),
        pytest.param({"avx_vnni"}, "avx_vnni", id="one"),
        pytest.param({"avx512_vnni", "avx_vnni"}, "avx_vnni", id="not-all-of-the-best"),
        pytest.param(
            {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl", "avx512_vnni", "avx_vnni"},
            "avx512_vnni",
            id="the-best-of-two",
        ),
    ],
)
def test_kernels_are_those_of_the_best_instruction_set_that_a_machine_has(features, isa):
    target = find_target("cpu:x86-64-v3")
    assert target.host.isa_on(X86_64_V3.cpu_features | features) == isa
    assert target.host.isas == ("avx512_vnni", "avx_vnni", "avx2")


@pytest.mark.parametrize("target", all_targets(), ids=lambda target: target.name)
def test_a_recorded_roofline_is_of_kernels_that_the_target_has(target):
    if target.roofline is not None:
        assert target.roofline.isa in target.host.isas
