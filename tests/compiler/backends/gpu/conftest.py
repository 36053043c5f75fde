"""Kernels are tested as they are written, so PoCL need not optimize them: a quarter of the time."""

import os

os.environ.setdefault("POCL_EXTRA_BUILD_FLAGS", "-cl-opt-disable")
