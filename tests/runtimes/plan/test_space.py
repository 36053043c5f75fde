"""The devices and spaces of a plan."""

from dataclasses import replace

import pytest

from ossc.runtimes.plan import Device
from ossc.targets.errors import BundleError
from synthetic.tiny_plan import STATE, WEIGHTS


@pytest.mark.parametrize("kind", ["", "CPU", "9", "_cpu", "cpu:0", "a b", "é", "a\n", "k" * 256])
def test_a_device_of_an_impossible_kind_is_refused(kind):
    with pytest.raises(BundleError, match="The execution plan is not valid"):
        Device(kind=kind)


@pytest.mark.parametrize("alignment", [0, 1, 32, 63, 65, 96, 8192, 2**31])
def test_an_alignment_that_not_every_memory_keeps_is_refused(alignment):
    with pytest.raises(BundleError, match=f"has an alignment of {alignment} bytes"):
        replace(STATE, alignment_bytes=alignment)


@pytest.mark.parametrize("alignment", [64, 128, 256, 512, 1024, 2048, 4096])
def test_an_alignment_is_a_power_of_two(alignment):
    assert replace(STATE, alignment_bytes=alignment).alignment_bytes == alignment


@pytest.mark.parametrize("file", ["", "../weights.bin", "/etc/passwd", ".hidden", "a/b", "-x"])
def test_weights_lie_in_a_file_of_the_bundle(file):
    with pytest.raises(BundleError, match="weights lie in"):
        replace(WEIGHTS, file=file)


def test_what_is_no_weights_lies_in_no_file():
    with pytest.raises(BundleError, match=r"state lies in the file 'weights\.bin'"):
        replace(STATE, file="weights.bin")


def test_a_huge_space_is_refused():
    with pytest.raises(BundleError, match="out of range"):
        replace(STATE, size_bytes=2**49)
