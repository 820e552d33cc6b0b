"""From a name to a method that is ready to use."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handful import zoo
from handful.errors import InputError
from handful.files import sha256
from handful.methods.calibration import Calibration
from handful.methods.matcher import Matcher

if TYPE_CHECKING:
    from torch import Tensor, nn

    from handful.backbones.photos import Fit

KOCH = ("koch-paper", "koch-slides", "koch-warm")
"""Recipes of Koch's network: too large to bundle, so their weights are given as a file."""


@dataclass(frozen=True)
class PhotoOptions:
    """What may be asked of a model for photos; None: its own.

    Attributes
    ----------
    size : int or None
        Side of the network's input in pixels.
    fit : {"squash", "crop"} or None
        See :func:`handful.backbones.photos.preparation`.
    backbone_weights : path-like or None
        A weights file of the backbone.
    """

    size: int | None = None
    fit: Fit | None = None
    backbone_weights: str | os.PathLike[str] | None = None


@dataclass(frozen=True)
class Request:
    """What a builder needs to know: the name, its card and tensors if any, and what was asked."""

    name: str
    entry: zoo.Card | None
    tensors: dict[str, Tensor]
    device: str
    photos: PhotoOptions

    @property
    def calibration(self) -> Calibration | None:
        """The calibration of the card."""
        stored = self.entry.calibration if self.entry else None
        return Calibration(**stored) if stored else None


def names() -> list[str]:
    """Return the names that :func:`load` takes, but for directories and METHOD:BACKBONE."""
    return [*zoo.cards(), *KOCH]


def load(
    name: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    size: int | None = None,
    backbone_weights: str | os.PathLike[str] | None = None,
    fit: Fit | None = None,
) -> Matcher:
    """Build a method and load its weights.

    Parameters
    ----------
    name : str or path-like
        A name of the zoo, a recipe of Koch's network, a directory that ``handful train`` wrote,
        or ``prototypes:BACKBONE`` with any network of :func:`handful.backbones.build`.
    weights : path-like, optional
        A weights file to use in the place of the name's own. The ``card.json`` beside it must be
        of that name and hold the file's digest; it says how to read the scores.
    device : str
        ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ...
    size : int, optional
        Side to which photos are brought, in pixels; methods for drawings have their own.
    backbone_weights : path-like, optional
        A weights file of the backbone; without it the library that the network comes from
        downloads its own.
    fit : {"squash", "crop"}, optional
        How a photo becomes a square: both sides resized, or the middle square cut.

    Returns
    -------
    Matcher
        Ready to encode and compare.

    Raises
    ------
    InputError
        No such name, or weights that are missing, changed or of another model.

    Examples
    --------
    >>> load("nearest-neighbour").name
    'nearest-neighbour'
    """
    device, photos = _device(device), PhotoOptions(size, fit, backbone_weights)
    method, colon, backbone = str(name).partition(":")
    if colon and not Path(name).exists():
        if method != "prototypes":
            raise InputError(f"{name}: METHOD:BACKBONE takes the method prototypes, not {method!r}")
        from handful.methods.photo_models import on_backbone

        return on_backbone(backbone, str(name), device, photos)
    if weights is not None:
        entry = _card_of(Path(weights), str(name))
        kind = entry.method if entry else "koch_siamese"
        tensors = zoo.load_weights(weights)
        return _BUILDERS[kind](Request(str(name), entry, tensors, device, photos))
    if str(name) in KOCH and not zoo.is_entry(name):
        raise InputError(
            f"{name}: its weights are not bundled; make them with `handful train {name} --root"
            " OMNIGLOT --out RUN` and give --weights RUN/weights.safetensors"
        )
    entry = zoo.card(name)
    tensors = zoo.load_weights(name) if entry.weights else {}
    request = Request(entry.name, entry, tensors, device, photos)
    return _BUILDERS[entry.method](request)


def backbone_digest(matcher: Matcher) -> str | None:
    """Return the SHA-256 of the weights of the network that a method stands on, if it says so."""
    network = getattr(getattr(matcher, "embedder", None), "network", None)
    digest: str | None = getattr(getattr(network, "backbone", None), "digest", None)
    return digest


def _card_of(file: Path, name: str) -> zoo.Card | None:
    """Return the card of a weights file: the one beside it, or that of the name.

    A file without a card of its own takes the name's, and its calibration only if it is the very
    file that was calibrated. None: one of Koch's recipes, whose network needs no card.
    """
    beside = zoo.card(file.parent) if zoo.is_entry(file.parent) else None
    if beside is not None and beside.weights == file.name:
        if beside.name != name:
            raise InputError(f"{file}: holds {beside.name!r}, not {name!r}: --model {beside.name}")
        zoo.weights(file.parent)
        return beside
    if name in KOCH:
        return None
    entry = zoo.card(name)
    if entry.weights is None:
        raise InputError(f"{file}: {name} takes no weights, it learned nothing")
    same = file.is_file() and sha256(file) == entry.sha256
    return entry if same else entry.model_copy(update={"calibration": None})


def _device(device: str) -> str:
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _nearest_neighbour(request: Request) -> Matcher:
    from handful.methods.baselines.nearest_neighbour import NearestNeighbour

    return NearestNeighbour(calibration=request.calibration)


def _hausdorff(request: Request) -> Matcher:
    from handful.methods.baselines.hausdorff import ModifiedHausdorff

    return ModifiedHausdorff(calibration=request.calibration)


def _colour_histogram(request: Request) -> Matcher:
    from handful.methods.baselines.colour_histogram import ColourHistogram

    return ColourHistogram()


def _koch(request: Request) -> Matcher:
    from handful.methods.koch_siamese import KochMatcher, KochSiamese

    network = KochSiamese(bias="beta" in request.tensors)
    fill(network, request)
    margin = request.entry.input.get("margin") if request.entry else None
    return KochMatcher(network, request.name, request.calibration, request.device, margin)


def _prototypes(request: Request) -> Matcher:
    if request.entry is not None and request.entry.backbone != "drawing-net":
        from handful.methods.photo_models import photo_prototypes

        return photo_prototypes(request)
    from handful.backbones.drawing import DrawingNet, drawing_embedder
    from handful.methods.prototypes import Prototypes

    config = dict(request.entry.input) if request.entry else {}
    network = DrawingNet(**config.get("network", {}))
    fill(network, request)
    embedder = drawing_embedder(network, config.get("margin"), request.device)
    return Prototypes(embedder, request.name, request.calibration)


def fill(network: nn.Module, request: Request) -> None:
    """Load weights, half precision as float32; another network's are refused."""
    try:
        network.load_state_dict({key: value.float() for key, value in request.tensors.items()})
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise InputError(
            f"{request.name}: these weights belong to another network ({first})"
        ) from error


_BUILDERS: dict[str, Callable[[Request], Matcher]] = {
    "colour_histogram": _colour_histogram,
    "hausdorff": _hausdorff,
    "koch_siamese": _koch,
    "nearest_neighbour": _nearest_neighbour,
    "prototypes": _prototypes,
}
