"""What helps when the operating system refuses something, which is no fault of the bundle."""

import errno
import os
from pathlib import Path

_MORE_FILES = "close files, or allow more of them (ulimit -n)"
_MORE_MEMORY = "close other programs, or allow more memory (ulimit -v)"
_NOEXEC = "its file system is mounted noexec and gives no code; copy the bundle to another one"
_ADVICE = {
    errno.EMFILE: _MORE_FILES,
    errno.ENFILE: _MORE_FILES,
    errno.ENOMEM: _MORE_MEMORY,
    errno.EAGAIN: _MORE_MEMORY,
    errno.EACCES: "allow this user to read it",
    errno.EPERM: "allow this user to read it",
    errno.EIO: "its disk or network does not deliver it; copy the bundle elsewhere",
}


def read_advice(error: OSError, otherwise: str) -> str:
    """What to do when a file cannot be read.

    Args:
        error: Why.
        otherwise: What to do for other reasons than those of the system.
    """
    return _ADVICE.get(error.errno or 0, otherwise)


def load_advice(path: Path, error: OSError, otherwise: str) -> str:
    """What to do when the loader does not take a library, of which it tells the reason in words.

    Args:
        path: The library.
        error: The loader's.
        otherwise: What to do for other reasons than those of the system.
    """
    if _is_noexec(path):
        return _NOEXEC
    for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES):
        if os.strerror(number) in str(error):
            return _ADVICE[number]
    return otherwise


def start_advice(program: Path, error: OSError, otherwise: str) -> str:
    """What to do when a program does not start.

    Args:
        program: The program.
        error: Why.
        otherwise: What to do for other reasons than those of the system.
    """
    if _is_noexec(program):
        return _NOEXEC
    if error.errno == errno.EACCES:
        return "allow this user to run it (chmod +x)"
    return read_advice(error, otherwise)


def _is_noexec(path: Path) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_NOEXEC)
    except OSError:
        return False
