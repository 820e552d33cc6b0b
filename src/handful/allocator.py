"""Memory that a network frees is kept for its next layer, where the system's allocator allows it.

glibc gives a block of over 32 MB back to the system as soon as it is freed, and asks for it again
at the next layer: the system then clears every page anew, which can take a third of the time of a
small network on a batch of photos.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

# as mallopt(3) numbers them; threads have arenas of their own, that cannot hold a large block
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT, _LARGEST = 512 << 20, 256 << 20


@cache
def keep_freed_memory() -> bool:
    """Let this process keep up to 512 MiB that it freed, of blocks below 256 MiB, for all threads.

    Returns
    -------
    bool
        False where nothing was changed: the C library has no such setting, or the environment
        has a ``MALLOC_...`` or ``GLIBC_TUNABLES`` of its own.

    Examples
    --------
    >>> keep_freed_memory() in (True, False)
    True
    """
    own = "GLIBC_TUNABLES" in os.environ or any(name.startswith("MALLOC_") for name in os.environ)
    if own or not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    settings = {_MMAP_THRESHOLD: _LARGEST, _TRIM_THRESHOLD: _KEPT, _ARENA_MAX: 1}
    taken = [bool(mallopt(name, value)) for name, value in settings.items()]
    return all(taken)
