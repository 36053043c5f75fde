"""Running a bundle of another architecture: its ``ossc-run`` under qemu-user.

It shows that the bundle computes the right thing, not how fast a device is.
"""

import shutil
import signal
import subprocess
from collections.abc import Sequence

from ossc.runtimes.bundle import EXECUTABLE_NAME, Bundle
from ossc.runtimes.interrupt import noticed_interrupt
from ossc.runtimes.manifest import TargetEntry
from ossc.runtimes.run_report import RunOptions, RunReport
from ossc.targets import all_targets
from ossc.targets.errors import BundleError, SessionError, UsageError

INTERRUPTED = 130
"""Exit status after SIGINT: 128 and its number."""


def find_emulator(program: str) -> str:
    """The name under which a program of qemu-user is installed; the static one does as well.

    Raises:
        SessionError: It is not installed.
    """
    for name in (program, f"{program}-static"):
        if shutil.which(name):
            return name
    raise SessionError(
        f"The bundle is for another architecture and {program} is not installed; install it "
        "(Debian and Ubuntu: apt install qemu-user), or copy the bundle to such a machine and run "
        f"its {EXECUTABLE_NAME}."
    )


def emulator_command(target: TargetEntry) -> list[str]:
    """The command before that of a program for a target.

    Raises:
        SessionError: The emulator is not installed.
    """
    arch = target.host.arch
    alike = [known for known in all_targets() if known.host.arch == arch]
    if not alike:
        return [find_emulator(f"qemu-{arch}")]
    # the target itself, or any of its architecture
    host = min(alike, key=lambda known: known.name != target.name).host
    return [find_emulator(host.emulator), "-cpu", host.qemu_cpu]


def run_emulated(bundle: Bundle, token_ids: Sequence[int], options: RunOptions) -> RunReport:
    """Continue a prompt with a bundle of another architecture.

    Args:
        bundle: Checked.
        token_ids: The prompt.
        options: How to continue it.

    Raises:
        BundleError: The bundle has no executable.
        UsageError: The program refuses an option.
        SessionError: There is no emulator, or the run failed.
    """
    emulator, *options_of_emulator = emulator_command(bundle.manifest.target)
    if EXECUTABLE_NAME not in bundle.manifest.files:
        raise BundleError(f"{bundle.path} has no {EXECUTABLE_NAME}; compile the model again.")
    executable = str(bundle.path / EXECUTABLE_NAME)
    command = [
        emulator,
        *options_of_emulator,
        executable,
        str(bundle.path),
        *_arguments(options, bundle),
    ]
    prompt = " ".join(map(str, token_ids))
    status, output, message = _run(command, prompt)
    if status not in (0, INTERRUPTED):
        reason = message.strip().removeprefix(f"{EXECUTABLE_NAME}: ")
        error = UsageError if status == UsageError.exit_code else SessionError
        raise error(reason or f"{emulator} ended with status {status}.")
    return RunReport.from_json(output, emulator)


def _run(command: Sequence[str], prompt: str) -> tuple[int, str, str]:
    """Run a program; the first SIGINT is its to obey, a second one ends it.

    Returns:
        Its status, output and messages.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, process_group=0
    ) as process:
        try:
            with noticed_interrupt(lambda: process.send_signal(signal.SIGINT)):
                output, message = process.communicate(prompt)
        except BaseException:
            process.kill()
            raise
    return process.returncode, output, message


def _arguments(options: RunOptions, bundle: Bundle) -> list[str]:
    most = options.max_new_tokens
    if most is None:
        most = bundle.plan.context + 1
    values = {
        "--token-ids": "-",
        "-n": most,
        "--temp": options.temperature,
        "--top-p": options.top_p,
        "--seed": options.seed,
        "--top-k": options.top_k,
        "--min-p": options.min_p,
        "--repeat-penalty": options.repeat_penalty,
        "--weights": options.weights,
        "--kv": bundle.kv,
        "--format": "json",
    }
    if options.threads is not None:
        values["--threads"] = options.threads
    if options.device is not None:
        values["--device"] = options.device
    return [str(part) for pair in values.items() for part in pair]
