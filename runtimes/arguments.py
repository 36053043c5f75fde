"""Arguments of Python calls, checked before ctypes would cut them to C's types."""

import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossc.targets.errors import SessionError

FLOAT32_MAX = float(np.finfo(np.float32).max)


def whole_number(name: str, value: Any, least: int, most: int, otherwise: str = "") -> int:
    """Check an integer of Python or NumPy; a bool is none.

    Args:
        name: What the value is.
        value: What was given.
        least: The smallest that is allowed.
        most: The largest.
        otherwise: What else is allowed, for the message, such as ``, or None``.

    Raises:
        SessionError: It is something else, or out of range.
    """
    try:
        number = least - 1 if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        number = least - 1
    if not least <= number <= most:
        raise SessionError(
            f"{name} is {value!r}; it has to be a whole number from {least} to {most}{otherwise}."
        )
    return number


def real_number(name: str, value: Any) -> float:
    """Check a number that float32 can hold.

    Raises:
        SessionError: It is something else, not finite, or too large.
    """
    is_number = isinstance(value, (int, float, np.integer, np.floating))
    if not is_number or isinstance(value, bool) or not abs(value) <= FLOAT32_MAX:
        raise SessionError(f"{name} is {value!r}; it has to be a number that float32 can hold.")
    return float(value)


def token_id_array(token_ids: Sequence[int], vocab_size: int) -> NDArray[np.int32]:
    """Check token ids.

    Returns:
        ``[len(token_ids)]``.

    Raises:
        SessionError: It is no list of integers, or one is not in the vocabulary.
    """
    try:
        ids = np.asarray(token_ids)
        is_list = ids.ndim == 1 and not _has_bool(token_ids)
    except (ValueError, TypeError, OverflowError):
        is_list = False
    if not is_list or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
        raise SessionError("token_ids is not a list of integers; give one.")
    for token_id in (ids.min(initial=0), ids.max(initial=0)):
        if not 0 <= token_id < vocab_size:
            raise SessionError(
                f"Token id {token_id} is not in the vocabulary of {vocab_size}; give ids "
                f"from 0 to {vocab_size - 1}."
            )
    return ids.astype(np.int32)


def _has_bool(token_ids: Sequence[int]) -> bool:
    """Whether NumPy made integers of bools, as it does beside integers."""
    return not {bool, np.bool_}.isdisjoint(map(type, token_ids))


def directory_path(name: str, value: Any) -> Path:
    """Check the path of a directory, which may be missing.

    Raises:
        SessionError: It is no path.
    """
    try:
        text = os.fsdecode(value)
    except TypeError:
        text = "\0"
    if "\0" in text:
        raise SessionError(f"{name} is {value!r}; it has to be the path of a directory.")
    return Path(text)
