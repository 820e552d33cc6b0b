"""Backbones by name."""

from __future__ import annotations

import torch

from handful.backbones.features import FeatureMaps
from handful.errors import InputError


def build(name: str, **options: object) -> FeatureMaps:
    """Build a backbone with random weights; `FeatureMaps.load` gives it its own.

    Parameters
    ----------
    name : str
        ``handful-base``, ``torchvision:NAME``, ``timm:NAME``; a plain name is torchvision's.
        ``torchvision:NAME@NODE`` embeds by the vector at a node of its graph.
        ``handful-base-source`` is timm's network as the source weights of `handful-base` need it,
        and ``random:NAME`` a control: any of these with random weights, the same every time.
    **options : object
        Of the class that is built: `HandfulBase`, `TorchvisionBackbone`, `TimmBackbone`.

    Raises
    ------
    InputError
        No such network.

    Examples
    --------
    >>> build("resnet18").name
    'torchvision:resnet18'
    """
    # both libraries take seconds to import
    if name.startswith("random:"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return build(name.removeprefix("random:"), **options).keep_random()
    library, _, architecture = name.rpartition(":")
    if name == "handful-base":
        from handful.backbones.handful_base import HandfulBase

        return HandfulBase(**options)  # type: ignore[arg-type]
    if name == "handful-base-source":
        from handful.backbones.handful_base import MEAN, STD
        from handful.backbones.timm_backbone import TimmBackbone

        return TimmBackbone("mobilenetv2_100", mean=MEAN, std=STD, pad_type="same")
    if library == "timm":
        from handful.backbones.timm_backbone import TimmBackbone

        return TimmBackbone(architecture, **options)  # type: ignore[arg-type]
    if library in {"", "torchvision"}:
        from handful.backbones.torchvision_backbone import TorchvisionBackbone

        architecture, at, node = architecture.partition("@")
        options = options | ({"embedding": node} if at else {})
        return TorchvisionBackbone(architecture, **options)  # type: ignore[arg-type]
    raise InputError(f"backbone {name!r}: is handful-base, torchvision:NAME or timm:NAME")
