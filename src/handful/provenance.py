"""How a file came about: command, seed, versions, date, device; nothing that tells a machine."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from handful._version import __version__


def provenance(argv: Sequence[str], seed: int, device: str) -> dict[str, Any]:
    """Return what every results file says of itself.

    Parameters
    ----------
    argv : sequence of str
        The arguments after ``handful``. Folders are cut down to their last name, so that no
        path of the machine is kept.
    seed : int
        What chance was drawn from.
    device : str
        Where it ran, see :func:`describe_device`.
    """
    return {
        "command": command_line(argv),
        "seed": seed,
        "versions": {
            "handful": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "date": datetime.now(UTC).date().isoformat(),
        "device": device,
    }


def command_line(argv: Sequence[str]) -> str:
    """Write arguments as one line to type, with only the last name of every path.

    Examples
    --------
    >>> command_line(["evaluate", "omniglot", "--root", "/home/me/omniglot-py/", "--out=../r"])
    'handful evaluate omniglot --root omniglot-py --out=r'
    """
    words = []
    for word in argv:
        option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        if os.sep in value:
            value = Path(os.path.normpath(value)).name
        words.append(shlex.quote(option + equals + value))
    return " ".join(["handful", *words])


def describe_device(device: str) -> str:
    """Name the kind of device a model ran on; nothing that tells one machine from another.

    Examples
    --------
    >>> describe_device("cpu").split(",")[0]
    'cpu'
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and torch.cuda.is_available():
        return f"{device} ({torch.cuda.get_device_name(torch.device(device))})"
    return f"cpu, threads: {torch.get_num_threads()}" if device == "cpu" else device
