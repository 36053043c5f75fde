"""Each kernel says how many of its groups a multiprocessor holds."""

import pytest

from ossc.compiler.backends.cuda.launch_bounds import with_least_groups


@pytest.mark.parametrize(("items", "groups"), [(128, 3), (64, 6), (100, 4), (1024, 1)])
def test_a_multiprocessor_holds_at_least_384_work_items(items, groups):
    source = f"void __launch_bounds__({items}) f(int n) {{}}"
    assert with_least_groups(source) == f"void __launch_bounds__({items}, {groups}) f(int n) {{}}"


def test_every_kernel_of_a_source_gets_it():
    assert with_least_groups("__launch_bounds__(64) a __launch_bounds__(128) b").count(", ") == 2
