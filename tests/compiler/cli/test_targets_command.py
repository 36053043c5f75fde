"""``ossc targets``."""

import json

import pytest

from ossc.targets import all_targets, resolve_target


def test_every_target_is_listed_with_how_far_it_was_tried(ossc):
    lines = ossc("targets").stdout.splitlines()
    for target in all_targets():
        position = next(i for i, line in enumerate(lines) if line.startswith(f"{target.name} "))
        assert target.summary in lines[position]
        assert lines[position + 1].strip().startswith(f"{target.verified}: ")


def test_instruction_sets_are_listed_with_how_far_they_were_tried(ossc):
    lines = [line.strip() for line in ossc("targets").stdout.splitlines()]
    for target in all_targets():
        for each in target.host.instruction_sets:
            position = lines.index(f"also {each.name}: {each.summary}")
            assert lines[position + 1].startswith(f"{each.verified}: ")


def test_this_machines_target_is_marked(ossc):
    marked = [line for line in ossc("targets").stdout.splitlines() if "this machine" in line]
    assert [line.split()[0] for line in marked] == [resolve_target("cpu").name]


def test_one_target_is_described(ossc):
    lines = ossc("targets", "cpu:aarch64").stdout.splitlines()
    assert lines[0].split() == ["name", "cpu:aarch64"]
    assert any(line.startswith("verified ") for line in lines)


def test_cpu_is_described_as_the_target_that_it_stands_for(ossc):
    assert ossc("targets", "cpu").stdout == ossc("targets", resolve_target("cpu").name).stdout


def test_json_has_every_field(ossc):
    fields = json.loads(ossc("targets", "--format", "json").stdout)
    assert [each["name"] for each in fields] == [target.name for target in all_targets()]
    assert fields[0]["host"]["tvm_target"]["kind"] == "llvm"
    assert json.loads(ossc("targets", "cpu:aarch64", "--format", "json").stdout)[0]["host"]["arch"]


@pytest.mark.parametrize("name", ["cpu:x86_64-v3", "cpu:X86-64-v3"])
def test_a_near_miss_is_suggested(refusal, name):
    assert "did you mean 'cpu:x86-64-v3'" in refusal("targets", name, exit_code=2)
