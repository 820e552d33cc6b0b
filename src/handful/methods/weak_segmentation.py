"""Segmentation without masks: similarity attention finds the class, GrabCut its outline.

M. Zheng et al., "Visual similarity attention", IJCAI 2022, section 4.3. The query is the anchor of
a triplet: a shot of the class is its positive, a shot of another class its negative. The query's
attention map (equation 1) says where GrabCut is to look for the object. The network only compares
whole pictures; nothing was trained on masks, and no mask of a support is looked at.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from handful import zoo
from handful.backbones import FeatureMaps, check_digest
from handful.backbones.cut import Cut, LinearHead, MeanHead, cut
from handful.backbones.tail import Tail
from handful.errors import InputError
from handful.images import resize
from handful.methods.dense_features import encode_maps
from handful.methods.loading import PhotoOptions, Request, fill
from handful.methods.masks.grabcut import grabcut, seed_hints
from handful.methods.segmenter import Answer, Features, Image, Mask
from handful.methods.similarity_attention import direction, tuple_weights
from handful.similarity import cosine

MAP, VECTOR, PIXELS = "map", "vector", "pixels"
"""What is kept of a picture: the last map, its embedding, and itself, small."""

SIDE = 160
"""Long side of the picture that GrabCut sees, in pixels, at most. On 40 episodes of the validation
classes 241 pixels cost five times the time of 121 and gain less than a point of IoU."""

ROUNDS = 5
"""Iterations of GrabCut."""

THRESHOLD = 0.15
"""Presence from which a class is there: of 100 photos with and 100 without a validation class 89 %
of the first and 20 % of the second reach it (AUROC .90)."""

Weights = Literal["difference", "score", "mutual"]
"""How a score is made of features. ``difference``: the weight vectors of Zheng et al., made of the
differences of the features. ``score``: the positive less the negative, which explains the
similarity itself. ``mutual``: the same, but of a shot only what is like the query counts: its
embedding is made anew of its map, weighted by the shot's own attention to the query. That is for
a class that stands alone; with others as negatives it is ``score``.

With handful-base, on 100 episodes of the validation classes, ``score`` marks the object far better
than ``difference`` (IoU of the plain map .39 against .22, with the other class as the negative .43
against .23; after GrabCut, on 40 episodes, .41 against .16). After GrabCut, on 150 episodes,
``mutual`` adds 1.5 points (95 % interval .5 to 2.5) with ResNet-50, .508, and .9 (0 to 1.8) with
handful-base, .421; cutting out the middle of the photo has .418 there. On 100 episodes of two
classes it would lose 2.7 (5.6 to -.1) and 1.6 (3.7 to -.7): negatives are not cleaned alike.
"""


@dataclass(frozen=True)
class Shots:
    """One class: what its examples look like as a whole.

    Attributes
    ----------
    vectors : Tensor
        (shots, D), unit embeddings.
    maps : tuple of Tensor
        Of each shot its last map, (C, h, w), for the weights ``mutual``; else none.
    """

    vectors: Tensor
    maps: tuple[Tensor, ...] = ()

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it under flat names, as safetensors keeps it."""
        return {"vectors": self.vectors, **{f"map/{n}": one for n, one in enumerate(self.maps)}}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Shots:
        """Return the shots whose `tensors` these are."""
        names = [f"map/{number}" for number in range(len(tensors) - 1)]
        if set(tensors) != {"vectors", *names}:
            raise InputError("shots without their vectors; fit again")
        return cls(tensors["vectors"], tuple(tensors[name] for name in names))


class WeakSegmentation:
    """Look where a query is like the shots of a class and unlike those of the others.

    Parameters
    ----------
    backbone : FeatureMaps
        With its weights loaded.
    name : str
        The name under which results quote it.
    network : Cut, optional
        What was trained on the backbone, cut at its last map; the backbone itself where not given.
    weights : {"difference", "score", "mutual"}
        See `Weights`.
    threshold : float
        Presence at or above which the class is said to be there.

    Attributes
    ----------
    uses_masks : bool
        False: masks are taken, as every method takes them, and ignored.

    Examples
    --------
    >>> import numpy as np
    >>> from handful.backbones.handful_base import HandfulBase
    >>> method = WeakSegmentation(HandfulBase().load(), "attention:handful-base")
    >>> photo = np.zeros((96, 96, 3), np.uint8)
    >>> photo[16:64, 16:64] = (255, 160, 0)
    >>> features = method.encode([photo, photo[::-1]])
    >>> states = [method.condition([found], []) for found in features]
    >>> method.answer(features[0], states).masks.shape
    torch.Size([2, 96, 96])
    """

    uses_masks = False

    def __init__(
        self,
        backbone: FeatureMaps,
        name: str,
        network: Cut | None = None,
        weights: Weights = "difference",
        threshold: float = THRESHOLD,
    ) -> None:
        found = cut(backbone) if network is None else network
        if found.head is None:
            raise InputError(
                f"{backbone.name}: its embedding is no mean of its last map, so there is no"
                " attention in closed form; choose another network"
            )
        self.network = backbone
        self.name = name
        self.backbone = backbone.name
        self.weights = weights
        self.threshold = threshold
        self._both = found.both
        # what is kept of a picture, and so all but the pass over it, is on the CPU
        self._head: LinearHead = _on_cpu(found.head)

    def encode(self, images: Sequence[Image]) -> list[dict[str, Tensor]]:
        """Return of each photo its last map, its embedding and its pixels, on the CPU.

        ``map`` is (C, h, w) float16, ``vector`` (D,) float32 of any length, ``pixels`` (H, W, 3)
        uint8 with a long side of at most `SIDE`.
        """
        maps = encode_maps(self.network, images, lambda x: {MAP: self._both(x)[0]})
        encoded = []
        for image, found in zip(images, maps, strict=True):
            # of the map as it is kept, so that the two belong together
            vector = self._head(found[MAP][None].float())[0]
            encoded.append({MAP: found[MAP], VECTOR: vector, PIXELS: small_pixels(image)})
        return encoded

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> Shots:
        """Return what one class looks like.

        Parameters
        ----------
        features : sequence of mapping
            Of each shot, what `encode` gave.
        masks : sequence of array
            Ignored: a picture of the class is enough.

        Raises
        ------
        InputError
            No shots.
        """
        if not features:
            raise InputError("a class without examples: give one picture of it at least")
        vectors = torch.stack([found[VECTOR] for found in features])
        maps = (found[MAP] for found in features) if self.weights == "mutual" else ()
        return Shots(normalize(vectors, dim=1), tuple(maps))

    def answer(self, query: Features, states: Sequence[Shots]) -> Answer:
        """Segment one query by several classes, on the grid of the pixels that were kept.

        Parameters
        ----------
        query : mapping
            What `encode` gave.
        states : sequence of Shots
            What `condition` gave. Of several classes each is looked for against the others.
        """
        heat = self.attention(query, states)
        pixels = query[PIXELS].numpy()
        size = (pixels.shape[0], pixels.shape[1])
        wide = interpolate(heat[None], size, mode="bilinear", align_corners=False)[0]
        peaks = wide.amax((1, 2), keepdim=True)
        shares = torch.where(peaks > 0, wide / peaks.clamp_min(1e-30), wide)
        inside = torch.stack(
            [
                torch.from_numpy(grabcut(pixels, seed_hints(share.numpy()), ROUNDS))
                for share in shares
            ]
        )
        # the cut says what belongs; the map says how surely, where several classes claim a pixel
        masks = torch.where(inside, 0.75 + 0.25 * shares, 0.25 * shares)
        return Answer(masks, self.presence(query, states))

    def attention(self, query: Features, states: Sequence[Shots]) -> Tensor:
        """Return the query's map for each class, (classes, h, w), not negative.

        The mean over the shots of the class; with several classes over the triplets of each shot
        with each shot of the others.
        """
        maps, vector = query[MAP].float(), query[VECTOR]
        unit = normalize(vector, dim=0)
        alone = self.weights == "mutual" and len(states) == 1
        shots = [self._seen_from(unit, s) if alone else s.vectors for s in states]
        found = []
        for place, vectors in enumerate(shots):
            others = [other for n, other in enumerate(shots) if n != place]
            negatives = torch.cat(others) if others else None
            total = torch.zeros(maps.shape[1:])
            for positive in vectors:
                weights = self._weigh(unit, positive, negatives).reshape(-1, len(unit))
                total += self._map(maps, vector, weights)
            found.append(total / len(vectors))
        return torch.stack(found)

    def presence(self, query: Features, states: Sequence[Shots]) -> Tensor:
        """Return how alike query and class are as a whole, (classes,) in [0, 1]."""
        middles = torch.stack([normalize(state.vectors.mean(0), dim=0) for state in states])
        return cosine(query[VECTOR][None], middles)[0].clamp(0, 1)

    def _seen_from(self, unit: Tensor, state: Shots) -> Tensor:
        """Return the unit vectors of the shots, as far as they are like a query."""
        found = []
        for vector, kept in zip(state.vectors, state.maps, strict=True):
            maps = kept.float()
            heat = self._map(maps, vector, unit[None])
            if heat.any():  # a mean over positions, each as much as it speaks for the likeness
                vector = normalize(self._head((maps * (heat / heat.mean()))[None])[0], dim=0)
            found.append(vector)
        return torch.stack(found)

    def _weigh(self, anchor: Tensor, positive: Tensor, negatives: Tensor | None) -> Tensor:
        """Return the weight vectors of a query with a shot, and with each negative if any."""
        if self.weights == "difference":
            return tuple_weights(anchor, [positive], [] if negatives is None else [negatives])
        return positive if negatives is None else positive - negatives

    def _map(self, maps: Tensor, vector: Tensor, weights: Tensor) -> Tensor:
        """Return the mean of the maps of scores w . f for several w, (n, D) -> (h, w)."""
        size = (maps.shape[1], maps.shape[2])
        # a similarity is shared out over the positions; its bare gradient adds up to zero
        centred = self.weights == "difference"
        gradient = self._head.adjoint(direction(vector, weights, centred), size)
        # one product for all weights: the map is never copied for each
        alpha = torch.mean(gradient, dim=(2, 3))
        return torch.relu(alpha @ maps.flatten(1)).mean(0).view(size)


_NAMED: dict[str, Weights] = {
    "attention": "difference",
    "attention-score": "score",
    "attention-mutual": "mutual",
}


def _on_cpu(head: LinearHead) -> LinearHead:
    if not isinstance(head, MeanHead):
        return head
    parts = (None if part is None else part.detach().cpu() for part in (head.weight, head.bias))
    return MeanHead(*parts)


def small_pixels(image: Image) -> Tensor:
    """Return what GrabCut sees of a photo, (H, W, 3) uint8 with a long side of at most `SIDE`."""
    scale = min(1.0, SIDE / max(image.shape[:2]))
    size = (max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale)))
    return torch.from_numpy(np.array(resize(image, size)))


def load(
    name: str = "attention:handful-base",
    device: str = "auto",
    weights: str | os.PathLike[str] | None = None,
    backbone_weights: str | os.PathLike[str] | None = None,
) -> WeakSegmentation:
    """Build the method by its name, with weights.

    Parameters
    ----------
    name : str
        ``attention``, or ``attention-score`` and ``attention-mutual`` for these weights; then
        ``:BACKBONE``. Without it: the network that `weights` were trained on, else handful-base.
    device : str
        ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ...
    weights : path-like, optional
        What metric learning (``handful train metric-learning``) trained on the backbone: its
        directory, or the weights file in it.
    backbone_weights : path-like, optional
        A weights file of the backbone.

    Raises
    ------
    InputError
        Weights that are missing or that are no tail of this backbone, or a network without an
        affine head.
    """
    from handful.backbones import build

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    method, _, backbone = name.partition(":")
    kind = _NAMED.get(method, "difference")
    if weights is None:
        network = build(backbone or "handful-base").load(backbone_weights)
        return WeakSegmentation(network.to(device), name, weights=kind)
    folder = Path(weights) if Path(weights).is_dir() else Path(weights).parent
    entry = zoo.card(folder)
    if "tail" not in entry.input or entry.weights is None:
        raise InputError(f"{weights}: no network of metric learning; give the directory of one")
    if backbone and backbone != entry.backbone:
        raise InputError(f"{weights}: stands on {entry.backbone}, not on {backbone}")
    network = build(entry.backbone).load(backbone_weights)
    check_digest(entry.input["backbone_sha256"], network)
    tail = Tail(network, entry.input["tail"]).eval()
    fill(tail, Request(entry.name, entry, zoo.load_weights(weights), device, PhotoOptions()))
    tail.whole_trunk.to(device)
    found = tail.requires_grad_(False).to(device).cut()
    return WeakSegmentation(network.to(device), name, found, kind)
