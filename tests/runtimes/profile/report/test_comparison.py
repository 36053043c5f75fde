"""Profiles beside each other in the terminal."""

from dataclasses import replace

import pytest

from ossc.runtimes.profile.report.comparison import to_comparison
from profile_example import driver_profile, emulated_profile, example_profile


@pytest.fixture(scope="module")
def profile():
    return example_profile()


@pytest.fixture(scope="module")
def slower():
    return example_profile(slowed={"linear": 1.2})


def row(text, title):
    return next(line for line in text.splitlines() if line.startswith(title))[len(title) :].split()


def test_times_have_their_ratio_to_the_first(profile, slower):
    text = to_comparison([profile, slower])
    assert row(text, "  linear")[2:] == ["57.1", "ms", "×1.20"]
    assert row(text, "  expert_swiglu")[-1] == "×1.00"
    ratio = slower.decode[0].latency.p50_ms / profile.decode[0].latency.p50_ms
    assert row(text, "decode at 1024")[-1] == f"×{ratio:.2f}"
    assert "×" not in " ".join(row(to_comparison([slower]), "decode at 1024"))


def test_lines_fit_the_terminal_with_any_number_of_profiles(profile):
    for count in (1, 2, 3, 4, 7):
        text = to_comparison([profile] * count)
        assert max(map(len, text.splitlines())) <= 100
        assert text.count("target ") == max(1, count // 2)


def test_every_block_begins_with_the_first(profile):
    others = [replace(profile, bundle=replace(profile.bundle, path=f"b{i}")) for i in range(4)]
    heads = [block.splitlines()[0].split() for block in to_comparison(others).split("\n\n")]
    assert heads == [["b0", "b1", "b2"], ["b0", "b3"]]


def test_emulated_times_are_marked_and_have_no_ratio(profile):
    cells = row(to_comparison([profile, emulated_profile()]), "decode at 1024")
    assert cells[2:] == ["emulated", "95.2", "ms"]
    assert row(to_comparison([profile, emulated_profile()]), "  tok/s, noise")[-1] == "–"
    assert "×" not in to_comparison([emulated_profile(), profile])


def test_a_length_that_one_profile_lacks_is_missing_there(profile):
    short = replace(profile, decode=profile.decode[:1])
    assert row(to_comparison([short, profile]), "decode at 0") == ["–", "92.4", "ms"]


def test_operations_are_those_that_take_longest_in_any(profile):
    mixed = replace(
        profile,
        kernels=tuple(replace(row, operation="other") for row in profile.kernels[:1]),
    )
    text = to_comparison([profile, mixed])
    assert row(text, "  other") == ["–", "28.7", "ms"]
    assert row(text, "  linear")[-1] == "–"


def test_a_device_is_named_with_its_type(profile):
    assert row(to_comparison([profile, driver_profile()]), "device") == ["cpu", "cpu", "pthread"]
