"""What `ossc targets` says of how far a target was tried is what these tests try."""

import pytest

from compiled import Build, require_a_way_to_run
from ossc.runtimes.run import run_bundle
from ossc.runtimes.run_report import RunOptions
from ossc.targets import all_targets, find_target
from ossc.targets.machine import this_machine

LEVELS = ("compiled", "emulated", "device")
PROMPT_TOKENS = 150
V3 = find_target("cpu:x86-64-v3")
ALIKE = "cuda:sm_89", "cuda:sm_90", "cuda:sm_100", "cuda:sm_120"
"""As `cuda:sm_87` and `opencl`, but for the code: compiler/backends/cuda/test_machine_code.py."""
OPTIONS = RunOptions(max_new_tokens=32)

QUANTS = {"cpu:riscv64": "none"}
"""The presets of the bundles that test_targets.py has, where not `default`."""

RUN_HERE = [
    target for target in all_targets() if target.name not in ALIKE and not target.device.in_browser
]
"""Those whose bundles hold a program; test_webgpu.py runs the others in a browser."""


@pytest.mark.parametrize("each", V3.host.instruction_sets, ids=lambda each: each.name)
def test_an_instruction_set_computes_what_the_base_does(compiled, each, monkeypatch):
    if not this_machine().cpu_features.issuperset(each.cpu_features):
        pytest.skip(f"this CPU has no {each.name}")
    bundle = compiled(Build(quant="default", target=V3.name, instruction_sets=None))
    generated = []
    for name in ("base", each.name):
        monkeypatch.setenv("OSSC_INSTRUCTION_SET", name)
        report = run_bundle(bundle.bundle, bundle.token_ids(PROMPT_TOKENS), OPTIONS)
        generated.append(report.token_ids)
    assert generated[0] == generated[1]


@pytest.mark.emulated
@pytest.mark.parametrize("target", RUN_HERE, ids=lambda target: target.name)
def test_a_target_is_verified_no_further_than_it_runs_here(compiled, target):
    machine = this_machine()
    if machine.arch != "x86_64":
        pytest.skip("the claims are of the x86-64 machines that run the tests before each merge")
    quant = QUANTS.get(target.name, "default")
    sets = None if target.host.instruction_sets else ()
    bundle = compiled(Build(quant=quant, target=target.name, instruction_sets=sets))
    if target.verified == "compiled":
        return
    require_a_way_to_run(target.name)
    report = run_bundle(bundle.bundle, bundle.token_ids(PROMPT_TOKENS), OPTIONS)
    assert len(report.token_ids) == OPTIONS.max_new_tokens
    level = "device" if report.emulator is None else "emulated"
    assert LEVELS.index(target.verified) <= LEVELS.index(level)
