"""Siamese dense matching: every pixel takes the label of the support pixel it is most similar to.

Supplement of A. Shaban et al., "One-shot learning for semantic segmentation" (2017), section 2:
the twin network of G. Koch et al. (2015) over all pixels of two photos. The twins are a frozen
backbone and a learned 1x1 convolution over its maps; the similarity of a query pixel q and a
support pixel s is sigmoid(sum_c alpha_c |q_c - s_c| + beta).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, conv2d, normalize

from handful.backbones import FeatureMaps
from handful.errors import InputError
from handful.methods.dense_features import check_support, encode_maps, presence_of
from handful.methods.dense_pixels import (
    SupportPixels,
    chosen_layers,
    resized,
    support_pixels,
)
from handful.methods.segmenter import CUT, Answer, Features, Image, Mask
from handful.similarity import Nearest, nearest_l1, weighted_l1

WIDTH = 64
"""Channels that are compared."""

FEATURES = "features"
"""The name of the learned map among what is kept of a photo."""


class DenseSimilarity(nn.Module):
    """What is learned: the features that are compared, and how.

    Parameters
    ----------
    channels : int
        Of the joined maps.
    width : int
        Channels that are compared.

    Attributes
    ----------
    project : nn.Conv2d
        From the joined maps to what is compared; random and orthogonal before training, so that
        distances are near those of the maps. A bias would cancel in every difference.
    alpha : nn.Parameter
        (width,): the weight of each channel's difference.
    beta : nn.Parameter
        (): the similarity of equal pixels, before the sigmoid.
    """

    def __init__(self, channels: int, width: int = WIDTH) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, width, 1, bias=False)
        nn.init.orthogonal_(self.project.weight)
        self.alpha = nn.Parameter(torch.full((width,), -1.0))
        self.beta = nn.Parameter(torch.tensor(1.0))

    def forward(self, query: Tensor, support: Tensor) -> Tensor:
        """Return similarities before the sigmoid: (..., Q, D) and (..., S, D) -> (..., Q, S)."""
        sums: Tensor = weighted_l1(query, support, self.alpha)
        return sums + self.beta

    def nearest(self, query: Tensor, support: Tensor) -> Nearest:
        """Return of each query pixel (Q, D) the most similar of (S, D), before the sigmoid."""
        found = nearest_l1(query.float(), support.float(), self.alpha)
        return Nearest(found.place, found.score + self.beta.double())


class DenseSiamese(nn.Module):
    """The twin network: a frozen backbone, and the similarity that is learned on it.

    Parameters
    ----------
    backbone : FeatureMaps
        Frozen; its weights are loaded apart.
    layers : sequence of str, optional
        Its maps; by default those of strides 16 and 32. All come to the grid of the finest.
    width : int
        Channels that are compared.

    Examples
    --------
    >>> from handful.backbones import build
    >>> model = DenseSiamese(build("handful-base"))
    >>> sorted(model.similarity.state_dict())
    ['alpha', 'beta', 'project.weight']
    >>> maps = model.maps(torch.zeros(1, 3, 64, 64))
    >>> model.features(maps).shape
    torch.Size([1, 64, 4, 4])
    """

    def __init__(
        self, backbone: FeatureMaps, layers: Sequence[str] | None = None, width: int = WIDTH
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.layers = chosen_layers(backbone, layers)
        channels = sum(backbone.channels[layer] for layer in self.layers)
        self.similarity = DenseSimilarity(channels, width)

    def load_learned(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over the state of a `DenseSimilarity`, of any floating type.

        Raises
        ------
        InputError
            It is that of another configuration.
        """
        mine = self.similarity.state_dict()
        wrong = sorted(mine.keys() ^ tensors.keys()) or sorted(
            name for name, value in mine.items() if value.shape != tensors[name].shape
        )
        if wrong:
            raise InputError(
                f"weights of another dense matching: {len(wrong)} tensors differ, such as"
                f" {wrong[0]}; give those of this backbone and width"
            )
        self.similarity.load_state_dict(dict(tensors))

    @torch.no_grad()
    def maps(self, pixels: Tensor) -> dict[str, Tensor]:
        """Map normalised pixels (N, 3, H, W) to the frozen maps, which may be kept."""
        found = self.backbone(pixels)
        return {layer: found[layer] for layer in self.layers}

    def features(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Map frozen maps (N, C, h, w) to the features that are compared, (N, width, h, w)."""
        found = [maps[layer] for layer in self.layers]
        # what follows is linear: resized after it, a coarse map costs a fraction
        weights = torch.split(self.similarity.project.weight, [x.shape[1] for x in found], 1)
        parts = [
            conv2d(normalize(x.float(), dim=1), weight)
            for x, weight in zip(found, weights, strict=True)
        ]
        return torch.stack([resized(part, parts[0]) for part in parts]).sum(0)


def pair_loss(logits: Tensor, query: Tensor, support: Tensor, balanced: bool = False) -> Tensor:
    """Return the cross-entropy between the sigmoid of similarities and whether labels agree.

    Parameters
    ----------
    logits : Tensor
        (N, Q, S), of N pairs of photos.
    query, support : Tensor
        (N, Q) and (N, S), labels of the pixels: 1 the object, 0 not, 255 not counted.
    balanced : bool
        Whether object and ground count alike in each photo, whatever their areas; otherwise all
        pairs of known pixels count alike.

    Examples
    --------
    >>> labels = torch.tensor([[1]]), torch.tensor([[1, 0, 255]])
    >>> round(float(pair_loss(torch.tensor([[[3.0, -3.0, 9.0]]]), *labels)), 4)
    0.0486
    """
    agree = (query[:, :, None] == support[:, None]).to(logits)
    each = binary_cross_entropy_with_logits(logits, agree, reduction="none")
    weight = [_counted(labels, balanced).to(logits) for labels in (query, support)]
    product = weight[0][:, :, None] * weight[1][:, None]
    return (each * product).sum() / product.sum().clamp(min=1e-12)


def _counted(labels: Tensor, balanced: bool) -> Tensor:
    """Return how much each pixel counts, (N, n)."""
    sides = torch.stack([labels == value for value in (0, 1)]).float()
    if balanced:
        sides = sides / sides.sum(2, keepdim=True).clamp(min=1)
    return sides.sum(0)


class DenseSiameseSegmentation:
    """Dense matching as a `handful.methods.segmenter.SegmentationMethod`.

    Parameters
    ----------
    model : DenseSiamese
        With its own and its backbone's weights loaded.
    name : str
        The name under which results quote it.
    threshold : float
        Presence at or above which the class is said to be there.

    Notes
    -----
    The label of a pixel is that of the nearest support pixel, the first of equals. How far a mask
    is from one half is how much more similar the nearest pixel of the one label is than that of
    the other.

    Examples
    --------
    >>> import numpy as np
    >>> from handful.backbones import build
    >>> model = DenseSiamese(build("handful-base").load())
    >>> method = DenseSiameseSegmentation(model, "dense-siamese:handful-base")
    >>> photo = np.zeros((64, 64, 3), np.uint8)
    >>> photo[16:48, 16:48] = (255, 160, 0)
    >>> mask = (photo[..., 0] > 0).astype(np.uint8)
    >>> features = method.encode([photo])
    >>> found = method.answer(features[0], [method.condition(features, [mask])])
    >>> (found.masks[0] >= 0.5).int().tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """

    def __init__(self, model: DenseSiamese, name: str, threshold: float = 0.5) -> None:
        self.model = model
        self.name = name
        self.backbone = model.backbone.name
        self.threshold = threshold

    def encode(self, images: Sequence[Image]) -> list[dict[str, Tensor]]:
        """Return the features that are compared, (width, h, w) in half precision on the CPU."""

        def run(pixels: Tensor) -> dict[str, Tensor]:
            return {FEATURES: self.model.features(self.model.maps(pixels))}

        return encode_maps(self.model.backbone, images, run)

    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> SupportPixels:
        """Keep the pixels of every shot, and which of them show the object.

        Parameters
        ----------
        features : sequence of mapping
            Of each shot, what `encode` gave.
        masks : sequence of array
            (H, W) uint8, of any size: 1 the object, 0 not, 255 not counted.

        Raises
        ------
        InputError
            Another number of masks than of photos, or no mask with the object.
        """
        check_support(features, masks)
        return support_pixels([found[FEATURES] for found in features], masks)

    @torch.inference_mode()
    def answer(self, query: Features, states: Sequence[SupportPixels]) -> Answer:
        """Segment one query by several classes, on the grid of the finest map.

        Parameters
        ----------
        query : mapping
            What `encode` gave.
        states : sequence of SupportPixels
            What `condition` gave.
        """
        pixels = query[FEATURES].flatten(1).mT.to(self.model.similarity.alpha.device)
        masks = torch.stack([self._mask(pixels, state) for state in states]).cpu()
        masks = masks.view(len(states), *query[FEATURES].shape[1:])
        return Answer(masks, presence_of(masks))

    def _mask(self, pixels: Tensor, state: SupportPixels) -> Tensor:
        """Return the soft mask (Q,) of one class; on either side of one half by the label."""
        device = pixels.device
        there = self.model.similarity.nearest(pixels, state.object.to(device))
        if not len(state.ground):  # no other label: what is left is how similar they are
            return there.score.sigmoid().float()
        elsewhere = self.model.similarity.nearest(pixels, state.ground.to(device))
        place = state.place.to(device)
        first = place[there.place] < place[len(state.object) + elsewhere.place]
        ahead = there.score - elsewhere.score
        label = (ahead > 0) | ((ahead == 0) & first)
        soft = ahead.sigmoid().float()
        below = torch.nextafter(torch.tensor(CUT), torch.tensor(0.0)).to(device)
        return torch.where(label, soft.clamp(min=CUT), soft.minimum(below))
