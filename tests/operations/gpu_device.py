"""GPUs: kernels become OpenCL C, which a driver of this machine runs."""

from functools import cache

from gpu_kernels import driver_or_skip, run_function
from operations.segment_runner import Arguments
from ossc.compiler.backends.gpu.operations import OPERATIONS
from ossc.compiler.backends.opencl.vector_bodies import OpenClCalls
from ossc.compiler.lowering.flatten import FlatStep
from ossc.compiler.lowering.importer import OperationTable


class Gpu:
    """One OpenCL driver."""

    def __init__(self, driver: str) -> None:
        self.operations: OperationTable = OPERATIONS
        self.calls = OpenClCalls()
        self._driver = driver_or_skip(driver)

    def run(self, step: FlatStep, arguments: Arguments, tokens: int) -> None:
        """Run a step."""
        self.calls.step(step, range(1, 1 + len(arguments)), "f32")
        run_function(self._driver, self.calls.functions[step.symbol], arguments, tokens)


@cache
def find_gpu(driver: str) -> Gpu:
    """Return the device of a driver; the test is skipped where this machine has not got it."""
    return Gpu(driver)
