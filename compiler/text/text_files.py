"""Reads a checkpoint's text files before the minutes of work, and not first on the device."""

import os
import subprocess
import sys
from pathlib import Path

from ossc.compiler.text.generation_config import check_generation_config
from ossc.runtimes.text_files import TOKENIZER_NAME, read_templates, read_tokenizer
from ossc.targets.errors import CheckpointError

TIMEOUT_S = 90.0
"""For one message, which takes templates milliseconds; starting Python takes most of it."""


def check_text_files(checkpoint: Path, *, timeout_s: float = TIMEOUT_S) -> None:
    """Read what goes into the bundle as text: generation config, tokenizer, chat templates.

    Args:
        checkpoint: Its folder.
        timeout_s: How long the templates may take for one message.

    Raises:
        ConfigError: generation_config.json is not valid.
        CheckpointError: A file cannot be read or is damaged, or a template cannot be rendered. One
            that refuses the message by itself is accepted.
    """
    check_generation_config(checkpoint)
    if (checkpoint / TOKENIZER_NAME).is_file():
        read_tokenizer(checkpoint / TOKENIZER_NAME, CheckpointError)
    if read_templates(checkpoint, CheckpointError):
        _try_templates(checkpoint, timeout_s)


def _try_templates(checkpoint: Path, timeout_s: float) -> None:
    """Render in another process, which can be ended; this one's import path goes with it."""
    command = [sys.executable, "-P", "-m", "ossc.runtimes.try_templates", str(checkpoint)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _refusal(checkpoint, f"it takes more than {timeout_s:g} s for one message") from error
    if done.returncode:
        lines = done.stdout.decode(errors="replace").split("\n")
        raise _refusal(checkpoint, lines[0] or "the process that renders it was ended")


def _refusal(checkpoint: Path, fault: str) -> CheckpointError:
    return CheckpointError(
        f"The chat template of {checkpoint} cannot be used ({fault}); mend it, or remove it and "
        "run without --chat."
    )
