"""The C runtime of a bundle as Python calls; mirrors ``c/include/ossc.h``."""

import ctypes
from ctypes import (
    POINTER,
    c_bool,
    c_char,
    c_char_p,
    c_float,
    c_int,
    c_int32,
    c_size_t,
    c_uint32,
    c_void_p,
)
from ctypes import c_uint64 as u64
from pathlib import Path
from typing import Any

from ossc.runtimes.system_advice import load_advice
from ossc.targets.errors import BundleError, OsscError, SessionError

API_VERSION = 4
"""The ``OSSC_API_VERSION`` that this module mirrors."""

ERROR_BUNDLE = 3
"""``OSSC_ERROR_BUNDLE``."""


class ModelOptions(ctypes.Structure):
    """``ossc_model_options``."""

    _fields_ = (("weights_mode", c_int), ("kv_type", c_int), ("device", c_char_p))


class SessionOptions(ctypes.Structure):
    """``ossc_session_options``."""

    _fields_ = (("threads", c_int32), ("record_routing", c_bool))


class SamplerOptions(ctypes.Structure):
    """``ossc_sampler_options``."""

    _fields_ = (
        *(("temperature", c_float), ("top_p", c_float), ("seed", u64)),
        *(("top_k", c_int32), ("min_p", c_float), ("repeat_penalty", c_float)),
    )


class DeviceStruct(ctypes.Structure):
    """``ossc_device_info``."""

    _fields_ = (
        *(("kind", c_char * 16), ("index", c_int32)),
        *((name, c_char * 128) for name in ("platform", "name")),
        *(("type", c_char * 16), ("driver", c_char * 128), ("memory_bytes", u64)),
        *(("shares_memory", c_bool), ("is_default", c_bool)),
    )


class ProcessMemory(ctypes.Structure):
    """``ossc_process_memory``."""

    _fields_ = (("peak_rss_bytes", u64), ("anonymous_bytes", u64), ("mapped_bytes", u64))


_IDS = POINTER(c_int32)
_LOGITS = POINTER(c_float)
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "ossc_model_open": (c_char_p, POINTER(ModelOptions), POINTER(c_void_p)),
    "ossc_list_devices": (POINTER(DeviceStruct), c_size_t, POINTER(c_size_t)),
    "ossc_session_create": (c_void_p, POINTER(SessionOptions), POINTER(c_void_p)),
    "ossc_session_prefill": (c_void_p, _IDS, c_size_t, _LOGITS),
    "ossc_session_prefill_all": (c_void_p, _IDS, c_size_t, _LOGITS),
    "ossc_session_decode": (c_void_p, c_int32, _LOGITS),
    "ossc_session_reset": (c_void_p,),
    "ossc_session_position": (c_void_p, POINTER(c_int32)),
    "ossc_session_threads": (c_void_p, POINTER(c_int32)),
    "ossc_session_router_indices": (c_void_p, POINTER(_IDS), POINTER(c_size_t)),
    "ossc_sampler_create": (POINTER(SamplerOptions), POINTER(c_void_p)),
    "ossc_sampler_accept": (c_void_p, _IDS, c_size_t),
    "ossc_sampler_sample": (c_void_p, _LOGITS, c_size_t, POINTER(c_int32)),
    "ossc_get_process_memory": (POINTER(ProcessMemory),),
}
_RELEASES = ("ossc_model_close", "ossc_session_destroy", "ossc_sampler_destroy")


_LOADED: dict[Path, list[tuple[int, int]]] = {}
"""Device and inode of each file that this process loaded from a path, in order."""


def loader_path(path: Path) -> str:
    """Spell a path so that the loader gives the file that is there now.

    It goes by the spelling, and gives what it loaded once from the same one, even if the bundle
    there was replaced since. So each further file of a path is spelled with one more ``./``.
    """
    status = path.stat()
    file = (status.st_dev, status.st_ino)
    files = _LOADED.setdefault(path, [])
    if file not in files:
        files.append(file)
    return f"{path.parent}/{'./' * files.index(file)}{path.name}"


class Library:
    """A loaded runtime; calls that fail raise."""

    def __init__(self, path: Path) -> None:
        """Load the library of a bundle whose hashes were checked.

        Raises:
            BundleError: The system cannot load it, or it is of another version.
        """
        try:
            self._library = ctypes.CDLL(loader_path(path.resolve()))
        except OSError as error:
            advice = load_advice(path, error, "it needs Linux with glibc 2.17 or later")
            raise BundleError(f"{path} cannot be loaded ({error}); {advice}.") from error
        self._library.ossc_last_error.restype = c_char_p
        self._check_version(path)
        for name, arguments in _FUNCTIONS.items():
            self._library[name].argtypes = arguments
        for name in _RELEASES:
            self._library[name].argtypes = (c_void_p,)
            self._library[name].restype = None

    def _check_version(self, path: Path) -> None:
        self._library.ossc_api_version.restype = c_uint32
        version = self._library.ossc_api_version()
        if version != API_VERSION:
            raise BundleError(
                f"{path} has API version {version} and this ossc calls {API_VERSION}; use the "
                "ossc that compiled the bundle, or compile the model again."
            )

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function that returns a status.

        Raises:
            BundleError: The bundle is damaged or of another version.
            SessionError: Anything else was refused or failed.
        """
        status = self._library[name](*arguments)
        if status == 0:
            return
        message = self._library.ossc_last_error().decode(errors="replace")
        error: type[OsscError] = BundleError if status == ERROR_BUNDLE else SessionError
        raise error(message)

    def create(self, name: str, *arguments: Any) -> c_void_p:
        """Call a function that hands out a handle as its last argument.

        Raises:
            OsscError: As :meth:`call`.
        """
        handle = c_void_p()
        self.call(name, *arguments, ctypes.byref(handle))
        return handle

    def integer(self, name: str, *arguments: Any) -> int:
        """Call a function that hands out an int32 as its last argument.

        Raises:
            OsscError: As :meth:`call`.
        """
        value = c_int32()
        self.call(name, *arguments, ctypes.byref(value))
        return value.value

    def release(self, name: str, handle: c_void_p) -> None:
        """Call a function that releases a handle."""
        self._library[name](handle)
