import os
import subprocess
import sys

import pytest

TOUCHED = """
import resource
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from handful.allocator import keep_freed_memory

print(sys.argv[1] == "kept" and keep_freed_memory())

def touch(_):
    for _ in range(10):
        np.full(100 << 20, 1, np.uint8)

touch(0)
with ThreadPoolExecutor(1) as pool:
    pool.submit(touch, 0).result()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    touch(0)
    pool.submit(touch, 0).result()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode, **environment):
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MALLOC_") and name != "GLIBC_TUNABLES"
    }
    command = [sys.executable, "-c", TOUCHED, mode]
    found = subprocess.run(
        command, capture_output=True, text=True, check=True, env=clean | environment
    )
    kept, count = found.stdout.split()
    return kept == "True", int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="settings of glibc")
def test_a_block_that_was_freed_is_not_cleared_by_the_system_again():
    _, given_back = faults("plain")
    kept, held = faults("kept")
    if not kept:
        pytest.skip("this C library has no mallopt")
    # twenty blocks of 100 MiB, in pages of 4 KiB or of 2 MiB
    assert given_back >= 20 * 50
    assert held < given_back / 5


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="settings of glibc")
def test_the_settings_of_the_environment_are_left_alone():
    kept, _ = faults("kept", MALLOC_TRIM_THRESHOLD_="1000000")
    assert not kept
