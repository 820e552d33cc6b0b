"""Methods by name: one short file each, all behind the one door of `matcher.Matcher`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from handful import zoo
from handful.errors import InputError
from handful.methods.calibration import Calibration
from handful.methods.matcher import Image, Matcher, class_scores

if TYPE_CHECKING:
    from torch import Tensor, nn

    Tensors = dict[str, Tensor]

__all__ = ["Calibration", "Image", "Matcher", "class_scores", "load", "names"]

KOCH = ("koch-paper", "koch-slides", "koch-warm")
"""Recipes of Koch's network: too large to bundle, so their weights are given as a file."""


def names() -> list[str]:
    """Return the names that :func:`load` takes, but for saved directories."""
    return [*zoo.cards(), *KOCH]


def load(
    name: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
) -> Matcher:
    """Build a method and load its weights.

    Parameters
    ----------
    name : str or path-like
        A name of the zoo, a recipe of Koch's network, or a directory that ``handful train``
        wrote.
    weights : path-like, optional
        A weights file to use in the place of the name's own; a ``card.json`` beside it says how
        to read its scores.
    device : str
        ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ...

    Returns
    -------
    Matcher
        Ready to encode and compare.

    Raises
    ------
    InputError
        No such name, or weights that are missing or belong to another network.

    Examples
    --------
    >>> load("nearest-neighbour").name
    'nearest-neighbour'
    """
    device = _device(device)
    if weights is not None:
        folder = Path(weights).parent
        entry = zoo.card(folder) if (folder / "card.json").is_file() else None
        method = entry.method if entry else _method_of(str(name))
        return _BUILDERS[method](str(name), zoo.load_weights(weights), entry, device)
    if str(name) in KOCH:
        raise InputError(
            f"{name}: its weights are not bundled; make them with `handful train {name} --root"
            " OMNIGLOT --out RUN` and give --weights RUN/weights.safetensors"
        )
    entry = zoo.card(name)
    tensors = zoo.load_weights(name) if entry.weights else {}
    return _BUILDERS[entry.method](entry.name, tensors, entry, device)


def _method_of(name: str) -> str:
    if name in KOCH:
        return "koch_siamese"
    return zoo.card(name).method


def _device(device: str) -> str:
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _calibration(entry: zoo.Card | None) -> Calibration | None:
    return Calibration(**entry.calibration) if entry and entry.calibration else None


def _nearest_neighbour(name: str, tensors: Tensors, entry: zoo.Card | None, device: str) -> Matcher:
    from handful.methods.baselines.nearest_neighbour import NearestNeighbour

    return NearestNeighbour(calibration=_calibration(entry))


def _hausdorff(name: str, tensors: Tensors, entry: zoo.Card | None, device: str) -> Matcher:
    from handful.methods.baselines.hausdorff import ModifiedHausdorff

    return ModifiedHausdorff(calibration=_calibration(entry))


def _koch(name: str, tensors: Tensors, entry: zoo.Card | None, device: str) -> Matcher:
    from handful.methods.koch_siamese import KochMatcher, KochSiamese

    network = KochSiamese(bias="beta" in tensors)
    _fill(network, tensors, name)
    margin = entry.input.get("margin") if entry else None
    return KochMatcher(network, name, _calibration(entry), device, margin)


def _prototypes(name: str, tensors: Tensors, entry: zoo.Card | None, device: str) -> Matcher:
    from handful.backbones.drawing import DrawingNet, drawing_embedder
    from handful.methods.prototypes import Prototypes

    config = dict(entry.input) if entry else {}
    network = DrawingNet(**config.get("network", {}))
    _fill(network, tensors, name)
    embedder = drawing_embedder(network, config.get("margin"), device)
    return Prototypes(embedder, name, _calibration(entry))


def _fill(network: nn.Module, tensors: Tensors, name: str) -> None:
    """Load weights, half precision as float32; another network's are refused."""
    try:
        network.load_state_dict({key: value.float() for key, value in tensors.items()})
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise InputError(f"{name}: these weights belong to another network ({first})") from error


_BUILDERS: dict[str, Callable[[str, Tensors, zoo.Card | None, str], Matcher]] = {
    "hausdorff": _hausdorff,
    "koch_siamese": _koch,
    "nearest_neighbour": _nearest_neighbour,
    "prototypes": _prototypes,
}
