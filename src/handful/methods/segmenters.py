"""From a name to a method of segmentation that is ready to use."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from handful import zoo
from handful.errors import InputError
from handful.methods.masks.thresholds import presence_threshold
from handful.methods.segmenter import SegmentationMethod

if TYPE_CHECKING:
    from handful.backbones import FeatureMaps


@dataclass(frozen=True)
class Request:
    """What a builder needs to know.

    Attributes
    ----------
    name : str
        As it was asked for, and as results quote it.
    backbone : str
        What stands behind the colon of the name; empty where there is none.
    weights, backbone_weights : path-like or None
        Files in the place of the method's own.
    device : str
        ``cpu``, ``cuda``, ...
    card : Card or None
        What is known of the weights, where they come with a card.
    """

    name: str
    backbone: str = ""
    weights: str | os.PathLike[str] | None = None
    backbone_weights: str | os.PathLike[str] | None = None
    device: str = "cpu"
    card: zoo.Card | None = None


def load(
    name: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    backbone_weights: str | os.PathLike[str] | None = None,
) -> SegmentationMethod:
    """Build a method of segmentation and load its weights.

    Parameters
    ----------
    name : str or path-like
        One of :func:`names`; ``METHOD:BACKBONE`` for methods that stand on any network of
        :func:`handful.backbones.build`, on handful-base where none is named; a model of the zoo,
        or the folder that ``handful train`` wrote. Several of them, with a plus between, answer
        as one, see :class:`handful.methods.joined.Joined`.
    weights : path-like, optional
        A weights file to use in the place of the method's own. The card beside it, if there is
        one, says how it was trained.
    device : str
        ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ...
    backbone_weights : path-like, optional
        A weights file of the backbone.

    Raises
    ------
    InputError
        No such method, or weights that are missing or of another network.

    Examples
    --------
    >>> load("centre").name
    'centre'
    """
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    if len(parts := zoo.parts(name)) > 1:
        return _joined(parts, weights, device, backbone_weights)
    entry = _entry(name, weights)
    if entry is not None:
        weights = weights or zoo.weights(name)
        if zoo.is_entry(name):
            name = entry.name
    method, _, backbone = str(name).partition(":")
    # a recipe of one's own may have any name: the card knows the method
    build = _BUILDERS.get(method) or _BUILDERS.get(entry.method if entry else "")
    if build is None:
        raise InputError(f"{name}: no such method of segmentation; there are {', '.join(names())}")
    found = build(Request(str(name), backbone, weights, backbone_weights, device, entry))
    found.threshold = presence_threshold(str(name), entry, found.threshold)
    return found


def _joined(
    names: list[str],
    weights: str | os.PathLike[str] | None,
    device: str,
    backbone_weights: str | os.PathLike[str] | None,
) -> SegmentationMethod:
    from handful.methods.joined import Joined

    if weights is not None:
        raise InputError(f"{'+'.join(names)}: name the folders of the weights, not --weights")
    parts = [
        load(name, None, device, backbone_weights if takes_backbone(name) else None)
        for name in names
    ]
    name = "+".join(part.name for part in parts)
    return Joined(parts, name, presence_threshold(name))


def rooted(name: str | os.PathLike[str]) -> str:
    """Return a name that means the same wherever it is said: folders in full.

    Examples
    --------
    >>> rooted("mshnet-light+clusters")
    'mshnet-light+clusters'
    """
    parts = zoo.parts(name)
    return "+".join(str(Path(part).resolve()) if zoo.is_entry(part) else part for part in parts)


def _entry(name: str | os.PathLike[str], weights: str | os.PathLike[str] | None) -> zoo.Card | None:
    """Return the card of a folder, of a weights file that lies in one, or of a bundled name."""
    if weights is not None:
        file = Path(weights)
        beside = zoo.card(file.parent) if zoo.is_entry(file.parent) else None
        if beside is None or beside.weights != file.name:
            return None
        zoo.weights(file.parent)
        return beside
    known = zoo.card(name) if zoo.is_entry(name) else zoo.cards().get(str(name))
    if known is not None and known.task != "segment":
        raise InputError(f"{name}: is a model to {known.task}, not to segment")
    return known


def names() -> list[str]:
    """Return the methods that :func:`load` takes."""
    return list(_BUILDERS)


def every(backbone: str = "handful-base") -> list[str]:
    """Return all methods, by the names under which they stand on one backbone.

    Examples
    --------
    >>> [name for name in every("resnet50") if "whole" in name or "dense" in name]
    ['dense-siamese:resnet50', 'dense-nearest:resnet50', 'dense-logistic:resnet50', 'whole']
    """
    return [f"{name}:{backbone}" if takes_backbone(name) else name for name in names()]


def takes_backbone(name: str | os.PathLike[str]) -> bool:
    """Say whether a method stands on a network that may be chosen: a bundled one has its own."""
    if len(parts := zoo.parts(name)) > 1:
        return any(map(takes_backbone, parts))
    if str(name) in zoo.cards():
        return False
    return _BUILDERS.get(str(name).partition(":")[0]) not in (_blind, _centre_grabcut)


def _blind(request: Request) -> SegmentationMethod:
    from handful.methods.baselines.blind_segmentation import BlindSegmentation

    if request.weights is not None or request.backbone_weights is not None or request.backbone:
        raise InputError(f"{request.name}: takes no weights and no backbone, it does not look")
    return BlindSegmentation("whole" if request.name == "whole" else "centre")


def _prototypes(request: Request) -> SegmentationMethod:
    from handful.backbones import build
    from handful.methods.prototype_segmentation import PrototypeSegmentation

    if request.weights is not None:
        raise InputError(f"{request.name}: learns nothing; give the network --backbone-weights")
    network = build(request.backbone or "handful-base").load(request.backbone_weights)
    return PrototypeSegmentation(network.to(request.device), request.name)


def _clusters(request: Request) -> SegmentationMethod:
    from handful.methods.cluster_segmentation import load as build

    if request.weights is not None:
        raise InputError(f"{request.name}: learns nothing; give the network --backbone-weights")
    return build(request.name, request.device, request.backbone_weights)


def _discriminant(request: Request) -> SegmentationMethod:
    from handful.methods.discriminant_segmentation import load as build

    if request.weights is not None:
        raise InputError(f"{request.name}: learns nothing; give the network --backbone-weights")
    return build(request.name, request.device, request.backbone_weights)


def _centre_grabcut(request: Request) -> SegmentationMethod:
    from handful.methods.baselines.grabcut_segmentation import CentreGrabCut

    if request.weights is not None or request.backbone_weights is not None or request.backbone:
        raise InputError(f"{request.name}: takes no weights and no backbone, it has no network")
    return CentreGrabCut()


def _gradcam_grabcut(request: Request) -> SegmentationMethod:
    from handful.backbones import build
    from handful.methods.baselines.grabcut_segmentation import GradCAMSegmentation

    if request.weights is not None:
        raise InputError(f"{request.name}: learns nothing; give the network --backbone-weights")
    network = build(request.backbone or "handful-base").load(request.backbone_weights)
    return GradCAMSegmentation(network.to(request.device), request.name)


def _attention(request: Request) -> SegmentationMethod:
    from handful.methods.weak_segmentation import load as build

    return build(request.name, request.device, request.weights, request.backbone_weights)


def _mshnet(request: Request) -> SegmentationMethod:
    from handful.backbones import check_digest
    from handful.methods.mshnet import LIGHT, PAPER, MSHNet
    from handful.methods.mshnet.segmentation import TRAINED_AT, MSHNetSegmentation

    if request.weights is None:
        raise InputError(
            f"{request.name}: its weights are not bundled; make them with `handful train` and give"
            " --weights RUN/weights.safetensors"
        )
    kind = request.name.partition(":")[0]
    light = kind == "mshnet-light"
    known: dict[str, Any] = {
        "similarity": _SIMILARITIES.get(kind, "both"),
        "widths": "light" if light else "paper",
    }
    backbone = request.backbone or ("handful-base" if light else "resnet50")
    if request.card is not None:
        known |= request.card.input
        backbone = request.backbone or request.card.backbone
    widths = LIGHT if known["widths"] == "light" else PAPER
    model = MSHNet(backbone, known["similarity"], widths)
    model.backbone.load(request.backbone_weights)
    if request.card is not None:
        check_digest(request.card.input["backbone_sha256"], model.backbone)
    model.load_learned(zoo.load_weights(request.weights))
    size = known.get("size", TRAINED_AT)
    return MSHNetSegmentation(model.to(request.device).eval(), request.name, size=size)


def _oslsm(request: Request) -> SegmentationMethod:
    from handful.backbones import build, check_digest
    from handful.methods.oslsm import OSLSM
    from handful.methods.oslsm.segmentation import OSLSMSegmentation

    if request.weights is None:
        raise InputError(
            f"{request.name}: its weights are not bundled; make them with `handful train oslsm` and"
            " give --weights RUN/weights.safetensors"
        )
    tensors = zoo.load_weights(request.weights)
    network = build(request.backbone or (request.card.backbone if request.card else "resnet50"))
    model = OSLSM.of_weights(network, tensors)
    # where everything was trained, the file holds the backbones too
    if model.learns == "heads":
        network.load(request.backbone_weights)
        if request.card is not None:
            check_digest(request.card.input["backbone_sha256"], network)
    return OSLSMSegmentation(model.to(request.device), request.name)


def _dense_siamese(request: Request) -> SegmentationMethod:
    from handful.backbones import build, check_digest
    from handful.methods.dense_siamese import DenseSiamese, DenseSiameseSegmentation

    if request.weights is None:
        raise InputError(
            f"{request.name}: its weights are not bundled; make them with `handful train"
            " dense-siamese` and give --weights RUN/weights.safetensors"
        )
    known = request.card.input if request.card else {}
    backbone = request.backbone or (request.card.backbone if request.card else "resnet50")
    network = build(backbone).load(request.backbone_weights)
    if request.card is not None:
        check_digest(known["backbone_sha256"], network)
    tensors = zoo.load_weights(request.weights)
    model = DenseSiamese(network, known.get("layers"), len(tensors.get("alpha", ())))
    model.load_learned(tensors)
    return DenseSiameseSegmentation(model.to(request.device).eval(), request.name)


def _dense_baseline(request: Request) -> SegmentationMethod:
    from handful.backbones import build
    from handful.methods.baselines.cosegmentation import Cosegmentation
    from handful.methods.baselines.dense_logistic import DenseLogistic
    from handful.methods.baselines.dense_nearest import DenseNearest
    from handful.methods.baselines.fine_tuning import FineTuning

    if request.weights is not None:
        raise InputError(f"{request.name}: learns nothing; give the network --backbone-weights")
    network = build(request.backbone or "handful-base").load(request.backbone_weights)
    kinds: dict[str, Callable[[FeatureMaps, str], SegmentationMethod]] = {
        "cosegmentation": Cosegmentation,
        "dense-logistic": DenseLogistic,
        "dense-nearest": DenseNearest,
        "fine-tuning": FineTuning,
    }
    kind = kinds[request.name.partition(":")[0]]
    return kind(network.to(request.device), request.name)


_SIMILARITIES: dict[str, Literal["both", "cosine", "prototype"]] = {
    "mshnet": "both",
    "mshnet-cosine": "cosine",
    "mshnet-light": "both",
    "mshnet-prototype": "prototype",
}


_BUILDERS: dict[str, Callable[[Request], SegmentationMethod]] = {
    **dict.fromkeys(_SIMILARITIES, _mshnet),
    "attention": _attention,
    "attention-score": _attention,
    "attention-mutual": _attention,
    "centre-grabcut": _centre_grabcut,
    "gradcam-grabcut": _gradcam_grabcut,
    "oslsm": _oslsm,
    "dense-siamese": _dense_siamese,
    **dict.fromkeys(
        ("dense-nearest", "dense-logistic", "fine-tuning", "cosegmentation"), _dense_baseline
    ),
    "clusters": _clusters,
    "discriminant": _discriminant,
    "prototypes": _prototypes,
    "whole": _blind,
    "centre": _blind,
}
