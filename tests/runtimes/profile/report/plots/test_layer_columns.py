"""Columns of layers."""

from dataclasses import replace

import pytest

from ossc.runtimes.profile.report.plots.layer_columns import layer_columns
from profile_example import example_profile


@pytest.fixture(scope="module")
def profile():
    return example_profile()


def test_a_column_is_as_high_as_its_layer_took(profile):
    shown = layer_columns(profile, "decode")
    times = [row.ms for row in profile.layers if row.phase == "decode" and row.layer >= 0]
    heights = [column.height for column in shown.columns]
    assert [column.layer for column in shown.columns] == list(range(24))
    assert heights == pytest.approx([ms / max(times) * max(heights) for ms in times], abs=0.01)
    assert max(heights) < 100


def test_what_belongs_to_no_layer_is_no_column(profile):
    shown = layer_columns(profile, "decode")
    outside = next(row for row in profile.layers if row.layer < 0)
    assert shown.summary.outside_ms == outside.ms > 5 * shown.summary.slowest.ms


def test_a_phase_without_layers_has_no_columns(profile):
    outside = tuple(row for row in profile.layers if row.layer < 0)
    assert layer_columns(replace(profile, layers=outside), "decode") is None
    assert layer_columns(replace(profile, layers=()), "prefill") is None
