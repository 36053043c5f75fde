"""The roofline plot."""

from dataclasses import replace

import pytest

from ossc.runtimes.profile.report.plots.roofline_plot import HEIGHT, WIDTH, roofline_plot
from profile_example import ROOFLINE, example_profile

KERNEL = example_profile().kernels[0]


def kernel(**changes):
    """A kernel that reaches 20 GB/s at 4 operations a byte."""
    row = replace(
        KERNEL, bytes=1e6, operations=4e6, gb_per_s=20.0, gop_per_s=80.0, share=0.25, of_bound=0.64
    )
    return replace(row, **changes)


def plot(*rows, roofline=ROOFLINE):
    return roofline_plot(roofline, [(f"D{i}", row) for i, row in enumerate(rows, 1)])


def on(ceiling, x):
    """Height of a ceiling, in percent from the top, at a percent of the width."""
    slope = (ceiling.y2 - ceiling.y1) / (ceiling.x2 - ceiling.x1)
    return ceiling.y1 + slope * (x - ceiling.x1)


def ceiling(plot, text):
    (found,) = [line for line in plot.ceilings if line.text == text]
    return found


def test_a_point_is_at_its_intensity_and_its_rate():
    shown = plot(kernel())
    (point,) = shown.points
    assert point.x == shown.x.at(4)
    assert point.y == 100 - shown.y.at(80)


def test_a_kernel_that_meets_the_memory_lies_on_its_line():
    shown = plot(kernel(gop_per_s=4 * 31.4))
    height = on(ceiling(shown, "memory 31.4 GB/s"), shown.x.at(4))
    assert shown.points[0].y == pytest.approx(height, abs=0.01)


def test_a_diagonal_ends_at_the_highest_rate_of_arithmetic():
    shown = plot(kernel())
    memory, int8 = ceiling(shown, "memory 31.4 GB/s"), ceiling(shown, "int8 688 GOP/s")
    assert memory.y2 == pytest.approx(int8.y1)
    assert memory.x2 == pytest.approx(shown.x.at(688 / 31.4))
    assert memory.main
    assert int8.main


def test_caches_whose_lines_would_touch_are_left_out():
    close = replace(ROOFLINE, read_gb_per_s={2**16: 33.0, 2**20: 32.0, 2**28: 31.4})
    diagonals = [line.text for line in plot(kernel(), roofline=close).ceilings if line.diagonal]
    assert diagonals == ["memory 31.4 GB/s"]


def test_int8_in_two_terms_is_a_line_where_a_kernel_is_bound_by_it():
    bound = kernel(bound="int8", gop_per_s=300.0, of_bound=300 / 344)
    assert ceiling(plot(bound), "int8 in two terms 344 GOP/s").y1
    one_term = replace(bound, of_bound=300 / 688)
    assert not [line for line in plot(one_term).ceilings if "terms" in line.text]


def test_kernels_that_only_copy_or_take_no_time_are_left_out():
    shown = plot(kernel(), kernel(operations=0.0), kernel(share=0.0005), kernel(gop_per_s=0.0))
    assert [point.tag for point in shown.points] == ["D1"]
    assert shown.left_out == 3


def test_the_area_of_a_point_is_its_share():
    small, large = sorted(plot(kernel(share=0.01), kernel(share=0.16)).points, key=lambda p: p.tag)
    assert (large.radius - 4) / (small.radius - 4) == pytest.approx(4, rel=0.05)


def test_tags_do_not_cover_each_other():
    points = plot(*[kernel(share=0.2 - i / 100) for i in range(8)]).points
    spots = [
        (p.x * WIDTH / 100 + p.tag_dx, p.y * HEIGHT / 100 + p.tag_dy)
        for p in points
        if p.tag_dx is not None
    ]
    assert 4 <= len(spots) <= 6  # of eight kernels in one place
    for i, (x, y) in enumerate(spots):
        assert all(abs(x - a) > 20 or abs(y - b) > 12 for a, b in spots[:i])


def test_everything_lies_on_the_plot():
    profile = example_profile()
    rows = [(row.kernel, row) for row in profile.kernels]
    shown = roofline_plot(ROOFLINE, rows)
    ends = [n for line in shown.ceilings for n in (line.x1, line.x2, line.y1, line.y2)]
    places = [n for point in shown.points for n in (point.x, point.y)]
    assert all(-0.01 <= number <= 100.01 for number in [*ends, *places])
    assert len(shown.points) == len(rows) - shown.left_out > 15


def test_a_machine_without_kernels_to_show_has_a_plot_without_points():
    assert plot().points == ()


def test_texts_of_lines_that_are_close_are_on_both_sides():
    close = replace(ROOFLINE, f32_gflops=680.0)
    lines = [line for line in plot(kernel(), roofline=close).ceilings if not line.diagonal]
    assert [(line.text.split()[0], line.below) for line in lines] == [
        ("int8", False),
        ("f32", True),
    ]
    assert not any(line.below for line in plot(kernel()).ceilings)
