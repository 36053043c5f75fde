"""Arguments that C's types would cut."""

from pathlib import Path

import numpy as np
import pytest

from ossc.runtimes.arguments import (
    FLOAT32_MAX,
    directory_path,
    real_number,
    token_id_array,
    whole_number,
)
from ossc.targets.errors import SessionError


@pytest.mark.parametrize("value", [1, 5, np.int64(3), np.uint8(4)])
def test_a_whole_number_in_range_is_taken(value):
    number = whole_number("seed", value, 1, 5)
    assert number == value
    assert type(number) is int


@pytest.mark.parametrize("value", [0, 6, 2**64 + 1, True, np.True_, 2.0, "3", None, [3]])
def test_another_value_is_no_whole_number_in_range(value):
    with pytest.raises(SessionError, match=r"it has to be a whole number from 1 to 5, or None\."):
        whole_number("seed", value, 1, 5, ", or None")


@pytest.mark.parametrize("value", [0, -1.5, np.float32(0.5), np.int8(1), FLOAT32_MAX])
def test_a_number_of_float32_is_taken(value):
    assert real_number("temperature", value) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e39, 10**400, True, "1", None, 1j])
def test_another_value_is_no_number_of_float32(value):
    with pytest.raises(
        SessionError, match=r"temperature is .*; it has to be a number that float32"
    ):
        real_number("temperature", value)


@pytest.mark.parametrize(
    "ids", [[1, 2], (1, 2), np.array([1, 2], np.uint16), np.array([1, 0, 2])[::2], range(1, 3)]
)
def test_token_ids_become_int32(ids):
    array = token_id_array(ids, 3)
    assert array.dtype == np.int32
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, [1, 2])


@pytest.mark.parametrize(
    "ids",
    [
        [1, True],
        [np.True_, 1],
        [True],
        np.array([True]),
        [1.0],
        ["1"],
        "12",
        b"12",
        None,
        7,
        [[1], [1, 2]],
        [[1]],
        {1},
        [2**70],
        [None],
    ],
)
def test_what_is_no_list_of_integers_is_refused(ids):
    with pytest.raises(SessionError, match="token_ids is not a list of integers"):
        token_id_array(ids, 3)


@pytest.mark.parametrize("path", ["a/b", b"a/b", Path("a/b")])
def test_every_kind_of_path_is_taken(path):
    assert directory_path("bundle", path) == Path("a/b")


@pytest.mark.parametrize("path", [7, None, "a\0b", ["a"]])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(SessionError, match="it has to be the path of a directory"):
        directory_path("bundle", path)
