"""Every error that a user of ossc can meet.

A message is one sentence: what was given, what was needed, what to do. The command line prints it
without a traceback and ends with the class's ``exit_code``.

::

    OsscError                  1
    ├── UsageError             2   the command or call itself is wrong
    │   └── UnknownNameError   2   a name that is not in its list; near misses are suggested
    ├── ConfigError            1   config.json or generation_config.json
    ├── CheckpointError        1   the safetensors files, or what they lack
    ├── ExportError            1   checkpoint to ONNX
    ├── QuantizationError      1   a scheme, or a plan of schemes
    ├── LoweringError          1   ONNX to TVM and to the execution plan
    ├── ToolchainError         1   zig or an emulator
    ├── BundleError            1   reading or writing a bundle
    ├── SessionError           1   running a bundle
    ├── TargetError            1   this machine and the target do not fit
    ├── OutputError            1   stdout, or a file in its place
    └── NotComparableError     3   no verdict: the two sides cannot be compared
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar


class OsscError(Exception):
    """An expected failure; its message is one sentence."""

    exit_code: ClassVar[int] = 1


class UsageError(OsscError):
    """The command or the call is wrong in itself."""

    exit_code: ClassVar[int] = 2


class UnknownNameError(UsageError):
    """A name that is not among those known."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Compose the message.

        Args:
            kind: What the name stands for, such as ``"target"``.
            name: The name given.
            known: The names that would do.
        """
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        listed = f"use one of: {', '.join(names)}."
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else listed
        super().__init__(f"There is no {kind} {name!r}; {hint}")


class ConfigError(OsscError):
    """A config file of the checkpoint is missing or unreadable, or contradicts itself."""


class CheckpointError(OsscError):
    """The files of a checkpoint are missing or damaged, or are not what its config describes."""


class ExportError(OsscError):
    """A checkpoint cannot be written as ONNX."""


class QuantizationError(OsscError):
    """A quantization scheme or plan cannot be applied."""


class LoweringError(OsscError):
    """An ONNX model cannot be turned into kernels and an execution plan."""


class ToolchainError(OsscError):
    """The compiler, the linker or an emulator is missing or failed."""


class BundleError(OsscError):
    """A bundle cannot be written, or cannot be trusted."""


class SessionError(OsscError):
    """A call on a running bundle was refused or failed; the session is as it was before."""


class TargetError(OsscError):
    """The target and this machine do not fit together."""


class OutputError(OsscError):
    """The output cannot be written to stdout, or to the file that is to take it."""


class NotComparableError(OsscError):
    """There is no verdict, because the two sides cannot be compared."""

    exit_code: ClassVar[int] = 3
