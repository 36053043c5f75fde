"""Settings of the sample model's tests."""

import pytest
import torch

from compiled import backend, backend_of_all_caches, objects

__all__ = ["backend", "backend_of_all_caches", "objects"]


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Keep torch to one thread: its threads wait for each other by spinning."""
    torch.set_num_threads(1)
