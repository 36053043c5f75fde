"""Which of a kernel's variants the C runtime takes, and what it does when one computes nonsense.

The test's head exists for ``future``, whose CPU feature no CPU has, for ``special``, which needs
nothing, and without either.
"""

import os
import subprocess

import pytest

IDS = "5 1 30"


@pytest.fixture
def ossc_run(tiny_bundle):
    def run(**variables):
        command = [tiny_bundle / "ossc-run", tiny_bundle, "--token-ids", IDS, "-n", "4"]
        environment = {**os.environ, **variables}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    return run


@pytest.mark.parametrize("name", ["", "base", "special"])
def test_all_variants_generate_the_same_tokens(ossc_run, name):
    finished = ossc_run(OSSC_INSTRUCTION_SET=name)
    assert finished.stdout == ossc_run().stdout
    assert "going on without" not in finished.stderr


@pytest.mark.parametrize("name", ["future", "specia", "avx2"])
def test_an_instruction_set_that_is_not_there_is_refused(ossc_run, name):
    finished = ossc_run(OSSC_INSTRUCTION_SET=name)
    assert finished.returncode == 1
    assert f"OSSC_INSTRUCTION_SET is {name}, which this bundle or this CPU" in finished.stderr


def test_a_variant_that_disagrees_is_replaced_with_a_warning(ossc_run):
    finished = ossc_run(OSSC_TEST_WRONG_KERNEL="1")
    assert finished.stdout == ossc_run().stdout
    assert finished.stderr.count("The kernel test_head computes something else") == 1


def test_without_the_variant_there_is_nothing_to_warn_of(ossc_run):
    finished = ossc_run(OSSC_TEST_WRONG_KERNEL="1", OSSC_INSTRUCTION_SET="base")
    assert "computes something else" not in finished.stderr
