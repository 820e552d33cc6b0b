"""The fitted state of a verb in a directory: ``fitted.json`` + ``fitted.safetensors``.

It holds what was learned from a person's examples and names the model that it stands on; neither
the pictures nor the model's weights are in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.errors import InputError
from handful.files import replacing, sha256, write_json
from handful.zoo.store import Name, digest, is_entry

if TYPE_CHECKING:
    from torch import Tensor

STATE, TENSORS = "fitted.json", "fitted.safetensors"


def is_fitted(directory: Name) -> bool:
    """Say whether `write_fitted` wrote this directory."""
    return (Path(directory) / STATE).is_file()


def write_fitted(
    directory: Name, verb: str, model: Name, state: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Write a fitted state.

    Parameters
    ----------
    directory : path-like
        Created where missing.
    verb : str
        The verb that was fitted, such as ``recognize``.
    model : str or path-like
        What it stands on: a name, or the directory of an entry.
    state : mapping
        Plain values, for JSON.
    tensors : mapping of str to Tensor
        The rest.
    """
    from safetensors.torch import save_file

    folder = Path(directory)
    with replacing(folder / TENSORS) as part:
        save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, part)
    about = {
        "format": 1,
        "verb": verb,
        # an entry of one's own is found again from any working directory
        "model": str(Path(model).resolve()) if is_entry(model) else str(model),
        "model_sha256": digest(model),
        "tensors_sha256": sha256(folder / TENSORS),
    }
    write_json(folder / STATE, about | dict(state))


def read_fitted(directory: Name, verb: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a fitted state.

    Returns
    -------
    state : dict
        As it was written, and ``model``.
    tensors : dict of str to Tensor
        As they were written, bit for bit.

    Raises
    ------
    InputError
        No such state, one of another verb, a damaged one, or a model whose weights have changed
        since.
    """
    from safetensors.torch import load_file

    folder = Path(directory)
    try:
        state: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))
        found = state["verb"], state["tensors_sha256"], state["model"], state["model_sha256"]
    except OSError as error:
        raise InputError(f"{folder}: nothing was saved here ({error.strerror})") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{folder / STATE}: damaged; save it again") from None
    saved_verb, tensors_digest, model, model_digest = found
    if saved_verb != verb:
        raise InputError(f"{folder}: was saved by {saved_verb}, not by {verb}")
    if not (folder / TENSORS).is_file() or sha256(folder / TENSORS) != tensors_digest:
        raise InputError(f"{folder / TENSORS}: missing or not the file that was saved; save again")
    now = digest(model)
    if now is not None and model_digest is not None and now != model_digest:
        raise InputError(
            f"{folder}: was fitted with other weights of {model} (SHA-256 {model_digest},"
            f" now {now}); fit again from the examples"
        )
    return state, load_file(folder / TENSORS)
