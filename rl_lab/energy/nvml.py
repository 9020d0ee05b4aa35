"""GPUs: NVIDIA's management library counts millijoules since its driver was loaded.

The library belongs to the driver, so it is there wherever a GPU can be used; four of its functions
are called directly. https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

from rl_lab.energy.counters import Counter, Counters

SOURCE = "NVML GPU"
_LIBRARY = "nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"
_UJ_PER_MJ = 1_000


def counters(load: Callable[[str], Any] = ctypes.CDLL) -> Counters:
    """A counter for every GPU that has one: Volta and newer, those of other programs included.

    Args:
        load: Opens a shared library by name.
    """
    try:
        library = load(_LIBRARY)
    except OSError:
        return Counters(SOURCE, (), f"no NVIDIA driver ({_LIBRARY}) on this machine")
    try:
        handles = _handles(library)
    except (OSError, AttributeError) as error:
        return Counters(SOURCE, (), f"NVML cannot be read: {error}")
    found, reason = [], "NVML shows no GPU"
    for handle in handles:
        counter = Counter(_reader(library, handle), None)
        try:
            counter.read_uj()
            found.append(counter)
        except (OSError, AttributeError) as error:
            reason = f"NVML cannot be read: {error}"
    return Counters(SOURCE, tuple(found), "" if found else reason)


def _handles(library: Any) -> list[ctypes.c_void_p]:
    """Every GPU; the library is left open, as the counters go on reading."""
    count = ctypes.c_uint()
    _require_done(library, library.nvmlInit_v2())
    _require_done(library, library.nvmlDeviceGetCount_v2(ctypes.byref(count)))
    handles = []
    for index in range(count.value):
        handle = ctypes.c_void_p()
        place = ctypes.c_uint(index)
        code = library.nvmlDeviceGetHandleByIndex_v2(place, ctypes.byref(handle))
        _require_done(library, code)
        handles.append(handle)
    return handles


def _reader(library: Any, handle: ctypes.c_void_p) -> Callable[[], int]:
    def read_uj() -> int:
        millijoules = ctypes.c_ulonglong()
        code = library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules))
        _require_done(library, code)
        return millijoules.value * _UJ_PER_MJ

    return read_uj


def _require_done(library: Any, code: int) -> None:
    """Raise OSError with the library's own words unless it returned 0."""
    if code:
        text = library.nvmlErrorString
        text.restype = ctypes.c_char_p
        raise OSError((text(ctypes.c_int(code)) or b"").decode() or f"error {code}")
