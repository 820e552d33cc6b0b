"""Where models lie: bundled with the package, or in a directory of one's own.

A bundled entry is ``cards/NAME.json`` + ``weights/NAME.safetensors`` in this package; an own
entry is a directory with ``card.json`` + ``weights.safetensors``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from handful.errors import InputError
from handful.files import replacing, sha256, write_text
from handful.zoo.card import Card

if TYPE_CHECKING:
    from torch import Tensor

BUNDLED = Path(__file__).parent
CARD, WEIGHTS = "card.json", "weights.safetensors"

Name = str | os.PathLike[str]


@cache
def cards() -> dict[str, Card]:
    """Return the bundled cards by name, sorted.

    Examples
    --------
    >>> "nearest-neighbour" in cards()
    True
    """
    found = map(_read_card, sorted((BUNDLED / "cards").glob("*.json")))
    return {entry.name: entry for entry in found}


def card(name: Name) -> Card:
    """Return the card of a bundled model, or of a directory with ``card.json``.

    Raises
    ------
    InputError
        No such model; the message lists those there are.
    """
    if is_entry(name):
        return _read_card(Path(name) / CARD)
    if str(name) not in cards():
        raise InputError(
            f"no model {os.fspath(name)!r}: there are {', '.join(cards())},"
            f" or give a directory with {CARD} and {WEIGHTS}"
        )
    return cards()[str(name)]


def digest(name: Name) -> str | None:
    """Return the SHA-256 of a model's weights by its card; None: not in the zoo, or no weights.

    Of several models as one, see `parts`, those that there are, with a plus between.
    """
    each = [card(part) for part in parts(name) if is_entry(part) or part in cards()]
    return "+".join(entry.sha256 for entry in each if entry.sha256 is not None) or None


def parts(name: Name) -> list[str]:
    """Return the names that stand in one with a plus between; a folder may have one in its own.

    Examples
    --------
    >>> parts("mshnet-light+clusters")
    ['mshnet-light', 'clusters']
    """
    return [str(name)] if is_entry(name) else str(name).split("+")


def weights(name: Name) -> Path:
    """Return the weights file of a model, verified.

    Raises
    ------
    InputError
        No such model, a model without weights, no file, or a digest that is not the card's.
    """
    entry = card(name)
    if entry.weights is None or entry.sha256 is None:
        raise InputError(f"{entry.name} has no weights: it learned nothing")
    folder = Path(name) if is_entry(name) else BUNDLED / "weights"
    path = folder / entry.weights
    if not path.is_file():
        raise InputError(f"{path}: missing, though the card of {entry.name} names it: install anew")
    found = sha256(path)
    if found != entry.sha256:
        raise InputError(
            f"{path}: has SHA-256 {found}, the card of {entry.name} says {entry.sha256}:"
            " get the file anew"
        )
    return path


def seen(name: Name) -> str:
    """Return a model's name, its weights' digest, and the list of the files that it learned from.

    Examples
    --------
    >>> seen("mshnet-light").startswith("mshnet-light (weights ")
    True
    """
    entry = card(name)
    title = f"{entry.name} (weights {str(entry.sha256)[:12]}) learned from"
    if entry.files is None:
        return f"{title} no files of a list\n"
    folder = Path(name) if is_entry(name) else BUNDLED
    return f"{title}:\n{(folder / entry.files.list).read_text(encoding='utf-8')}"


def load_weights(source: Name) -> dict[str, Tensor]:
    """Read the tensors of a model, or of a weights file.

    Parameters
    ----------
    source : str or path-like
        A name of the zoo, the directory of an entry, a ``.safetensors`` file, or a foreign
        ``.pt`` or ``.pth`` file, which must hold nothing but tensors.

    Returns
    -------
    dict of str to Tensor
        On the CPU, of the types in which they are stored.

    Raises
    ------
    InputError
        No such model or file, a mismatched digest, or a file that holds more than tensors.
    """
    path = Path(source)
    if path.suffix in {".pt", ".pth"}:
        return _foreign(path)
    if path.suffix != ".safetensors":
        path = weights(source)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except SafetensorError as error:
        raise InputError(f"{path}: is no safetensors file ({error})") from error


def save_entry(directory: Name, card: Card, tensors: Mapping[str, Tensor]) -> Card:
    """Write an own entry: ``card.json`` and ``weights.safetensors``.

    Parameters
    ----------
    directory : path-like
        Created where missing.
    card : Card
        Its `weights`, `sha256` and `bytes` are filled in from the file.
    tensors : mapping of str to Tensor
        What to write; half precision stays half precision. None: there is no weights file.

    Returns
    -------
    Card
        The card as written.
    """
    folder = Path(directory)
    return _write(folder / CARD, folder / WEIGHTS, card, tensors)


def bundle(card: Card, tensors: Mapping[str, Tensor], root: Path = BUNDLED) -> Card:
    """Write an entry into the package: ``cards/NAME.json`` and ``weights/NAME.safetensors``."""
    written = _write(
        root / "cards" / f"{card.name}.json",
        root / "weights" / f"{card.name}.safetensors",
        card,
        tensors,
    )
    cards.cache_clear()
    return written


def _write(card_path: Path, path: Path, card: Card, tensors: Mapping[str, Tensor]) -> Card:
    from safetensors.torch import save_file

    written = card
    if tensors:
        with replacing(path) as part:
            save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, part)
        facts = {"weights": path.name, "sha256": sha256(path), "bytes": path.stat().st_size}
        written = card.model_copy(update=facts)
    write_text(card_path, written.model_dump_json(indent=2) + "\n")
    return written


def is_entry(name: Name) -> bool:
    """Say whether this is the directory of an own entry."""
    return (Path(name) / CARD).is_file()


def _read_card(path: Path) -> Card:
    try:
        return Card.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{path}: is no model card ({place}: {first['msg']})") from error


def _foreign(path: Path) -> dict[str, Tensor]:
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # torch raises many kinds, none of them worth a traceback
        raise InputError(f"{path}: holds more than tensors, or is damaged: not read") from error
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(torch.is_tensor(v) for v in found.values()):
        raise InputError(f"{path}: is no dictionary of tensors: not read")
    return found
