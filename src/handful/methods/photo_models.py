"""Methods for photos by what they stand on: handful-base, any backbone, what was trained on top."""

from __future__ import annotations

from torch import nn

from handful.backbones import FeatureMaps, NetworkEmbedder, build, check_digest
from handful.backbones.photos import BATCH, Fit, photo_embedder_of, preparation
from handful.backbones.projection import PooledMaps, Whitening
from handful.backbones.tail import Tail, Tuned
from handful.methods.loading import PhotoOptions, Request, fill
from handful.methods.pcb import TunedParts
from handful.methods.prototypes import Prototypes

SIZE = 192
"""Side to which photos are brought where nobody says otherwise, in pixels.

Chosen on 33 training and validation classes of Caltech-101, where Recall@1 is .876 at 128 pixels,
.900 at 160, .914 at 192 and .919 at 224, while the time grows with the area.
"""

FIT: Fit = "squash"


def photo_prototypes(request: Request) -> Prototypes:
    """Build the method of an entry of the zoo for photos."""
    assert request.entry is not None
    asked, known = request.photos, request.entry.input
    backbone = build(request.entry.backbone).load(asked.backbone_weights)
    if "backbone_sha256" not in known:
        embedder = _embedder(backbone, request.device, asked)
    else:
        check_digest(known["backbone_sha256"], backbone)
        kept = known["size"]
        size = asked.size or (kept if isinstance(kept, int) else tuple(kept))
        prepare = preparation(backbone, size, asked.fit or FIT)
        network = _on_top(backbone, request)
        embedder = NetworkEmbedder(network, prepare, backbone.name, request.device, BATCH)
    return Prototypes(embedder, request.name, request.calibration, logistic=True)


def on_backbone(backbone: str, name: str, device: str, asked: PhotoOptions) -> Prototypes:
    """Build prototypes on any backbone, by its name."""
    network = build(backbone).load(asked.backbone_weights)
    return Prototypes(_embedder(network, device, asked), name, logistic=True)


def _embedder(backbone: FeatureMaps, device: str, asked: PhotoOptions) -> NetworkEmbedder:
    return photo_embedder_of(backbone, asked.size or SIZE, device, asked.fit or FIT)


def _on_top(backbone: FeatureMaps, request: Request) -> nn.Module:
    """Return the network of a projection, or of a trained tail, with its weights."""
    assert request.entry is not None
    known = request.entry.input
    if "parts" in known:
        tail = Tail(backbone, fine=known["fine"])
        fill(tail.layers, request)
        return TunedParts(tail, known["parts"])
    if "tail" in known:
        tail = Tail(backbone, known["tail"])
        fill(tail, request)
        return Tuned(tail)
    pooled = PooledMaps(backbone, known["maps"])
    whitening = Whitening(pooled.features, known["outputs"])
    fill(whitening, request)
    return nn.Sequential(pooled, whitening)
