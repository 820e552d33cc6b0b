"""Weights that a library offers for download, as files; failures in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

from handful.errors import InputError
from handful.files import replacing


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn any failure of a download into one line that says what to do.

    Parameters
    ----------
    name : str
        The backbone, for the message.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # each library has its own kinds, and the remedy is one
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(
            f"{name}: its weights are not on this machine and cannot be downloaded ({reason});"
            " connect once, or give the file with --backbone-weights FILE"
        ) from error


def from_url(url: str, name: str) -> Path:
    """Return the file of a URL from torch's cache, downloaded where it is not there yet.

    Parameters
    ----------
    url : str
        With the first digits of its SHA-256 in the file's name, as torch's model zoo has it.
    name : str
        The backbone, for messages.

    Raises
    ------
    InputError
        It cannot be downloaded.
    """
    import torch

    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    if not path.is_file():
        digits = re.search(r"-([a-f0-9]{8,})\.", path.name)
        with explained(name), replacing(path) as part:
            torch.hub.download_url_to_file(url, str(part), digits and digits[1], progress=False)
    return path


def from_hub(repository: str, file: str, name: str) -> Path:
    """Return a file of a Hugging Face repository from its cache, or downloaded.

    Raises
    ------
    InputError
        It cannot be downloaded.
    """
    from huggingface_hub import hf_hub_download

    with explained(name):
        return Path(hf_hub_download(repository, file))
