"""Running a bundle of another architecture: its ``ossc-run`` under qemu-user.

It shows that the bundle computes the right thing, not how fast a device is.
"""

import shutil
import subprocess
from collections.abc import Sequence

from ossc.runtimes.bundle import EXECUTABLE_NAME, Bundle
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.run_report import RunOptions, RunReport
from ossc.targets.errors import BundleError, SessionError


def find_emulator(arch: str) -> str:
    """The program that runs executables of an architecture.

    Raises:
        SessionError: It is not installed.
    """
    for name in (f"qemu-{arch}", f"qemu-{arch}-static"):
        if shutil.which(name):
            return name
    raise SessionError(
        f"The bundle is for {arch} and qemu-{arch} is not installed; install it (Debian and "
        "Ubuntu: apt install qemu-user), or copy the bundle to such a machine and run its "
        f"{EXECUTABLE_NAME}."
    )


def run_emulated(bundle: Bundle, token_ids: Sequence[int], options: RunOptions) -> RunReport:
    """Continue a prompt with a bundle of another architecture.

    Args:
        bundle: Checked.
        token_ids: The prompt.
        options: How to continue it.

    Raises:
        BundleError: The bundle has no executable.
        SessionError: There is no emulator, or the run failed.
    """
    emulator = find_emulator(bundle.manifest.target.arch)
    if EXECUTABLE_NAME not in bundle.manifest.files:
        raise BundleError(f"{bundle.path} has no {EXECUTABLE_NAME}; compile the model again.")
    executable = str(bundle.path / EXECUTABLE_NAME)
    # The most capable CPU: the default one of some architectures lacks what the bundle may need.
    command = [
        emulator,
        "-cpu",
        "max",
        executable,
        str(bundle.path),
        *_arguments(options, bundle.kv),
    ]
    prompt = " ".join(map(str, token_ids))
    finished = subprocess.run(command, input=prompt, capture_output=True, text=True, check=False)
    if finished.returncode:
        reason = finished.stderr.strip().removeprefix(f"{EXECUTABLE_NAME}: ")
        raise SessionError(reason or f"{emulator} ended with status {finished.returncode}.")
    return RunReport.from_json(finished.stdout, emulator)


def _arguments(options: RunOptions, kv: KvType) -> list[str]:
    values = {
        "--token-ids": "-",
        "-n": options.max_new_tokens,
        "--temp": options.temperature,
        "--top-p": options.top_p,
        "--seed": options.seed,
        "--threads": options.threads or 0,
        "--weights": options.weights,
        "--kv": kv,
        "--format": "json",
    }
    return [str(part) for pair in values.items() for part in pair]
