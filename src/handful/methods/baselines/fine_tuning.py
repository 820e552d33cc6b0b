"""Fine-tuning: the last layers of the network, and a classifier of pixels, on the support alone.

A baseline of A. Shaban et al., "One-shot learning for semantic segmentation", 2017, section 6, as
S. Caelles et al., "One-shot video object segmentation", 2017, tune a network to a video's first
frame. Every class has a network of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from handful.backbones import FeatureMaps
from handful.backbones.tail import Tail
from handful.methods.dense_features import check_support, encode_maps, presence_of
from handful.methods.dense_pixels import cells
from handful.methods.segmenter import Answer, Features, Image, Mask

TRUNK = "trunk"
"""The name of the frozen map among what is kept of a photo."""

STEPS, RATE, HEAD_RATE = 20, 1e-3, 1e-1
"""Of stochastic gradient descent with a momentum of .9: steps over all shots, the rate of the
network's layers, and that of the classifier, which starts at zero.

On 60 episodes of the validation classes (handful-base, 241 pixels) the mIoU is .300, where 1-NN
has .342 and logistic regression .323.
"""


@dataclass(frozen=True, eq=False)
class TunedNetwork:
    """One class: the layers as they were tuned, and the classifier on top.

    Attributes
    ----------
    layers : nn.Module
        From the frozen map to the last.
    head : nn.Conv2d
        From unit pixels of the last map to a logit.
    """

    layers: nn.Module
    head: nn.Conv2d

    def __call__(self, maps: Tensor) -> Tensor:
        """Map frozen maps (N, C, h, w) to logits (N, h', w')."""
        found: Tensor = self.head(normalize(self.layers(maps), dim=1))
        return found[:, 0]


class FineTuning:
    """Tune the last layers of a network to the support by gradient descent.

    Parameters
    ----------
    backbone : FeatureMaps
        `handful-base` or a ResNet of torchvision, with its weights loaded.
    name : str
        The name under which results quote it.
    steps : int
        Steps, each over all shots.
    rate, head_rate : float
        Of the layers, and of the classifier.
    threshold : float
        Presence at or above which the class is said to be there.

    Notes
    -----
    The last layers keep the grid of what they take (no halving), so that a mask has cells of
    stride 16. The classifier starts at zero, so that nothing is drawn by chance: the same support
    gives the same network.

    Examples
    --------
    >>> import numpy as np
    >>> from handful.backbones.handful_base import HandfulBase
    >>> method = FineTuning(HandfulBase().load(), "fine-tuning:handful-base", steps=3)
    >>> photo = np.zeros((64, 64, 3), np.uint8)
    >>> photo[16:48, 16:48] = (255, 160, 0)
    >>> mask = (photo[..., 0] > 0).astype(np.uint8)
    >>> features = method.encode([photo])
    >>> method.answer(features[0], [method.condition(features, [mask])]).masks.shape
    torch.Size([1, 4, 4])
    """

    def __init__(
        self,
        backbone: FeatureMaps,
        name: str,
        steps: int = STEPS,
        rate: float = RATE,
        head_rate: float = HEAD_RATE,
        threshold: float = 0.5,
    ) -> None:
        self.network = backbone
        self.name = name
        self.backbone = backbone.name
        self.steps = steps
        self.rate = rate
        self.head_rate = head_rate
        self.threshold = threshold
        tail = Tail(backbone, fine=True).eval()
        before, self._last = _last_layers(tail)
        self._frozen = nn.Sequential(tail.whole_trunk, before)
        self._channels = tail.channels
        for part in (self._frozen, self._last):
            part.to(next(backbone.parameters()).device)

    def encode(self, images: Sequence[Image]) -> list[dict[str, Tensor]]:
        """Return the frozen map of photos, (channels, h, w) in half precision on the CPU."""

        def run(pixels: Tensor) -> dict[str, Tensor]:
            return {TRUNK: self._frozen(pixels)}

        return encode_maps(self.network, images, run)

    @torch.inference_mode(False)
    def condition(self, features: Sequence[Features], masks: Sequence[Mask]) -> TunedNetwork:
        """Tune a copy of the last layers to the shots of one class.

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
        tuned = self._start()
        maps = [self._map(found) for found in features]
        groups = [
            {"params": [*tuned.layers.parameters()], "lr": self.rate},
            {"params": [*tuned.head.parameters()], "lr": self.head_rate},
        ]
        optimizer = torch.optim.SGD(groups, momentum=0.9)
        with torch.enable_grad():
            for _ in range(self.steps):
                optimizer.zero_grad()
                torch.autograd.backward(_loss([tuned(one)[0] for one in maps], masks))
                optimizer.step()
        for part in (tuned.layers, tuned.head):
            part.requires_grad_(False)
        return tuned

    @torch.no_grad()
    def answer(self, query: Features, states: Sequence[TunedNetwork]) -> Answer:
        """Segment one query by several classes.

        Parameters
        ----------
        query : mapping
            What `encode` gave.
        states : sequence of TunedNetwork
            What `condition` gave.
        """
        maps = self._map(query)
        masks = torch.cat([state(maps) for state in states]).sigmoid().cpu()
        return Answer(masks, presence_of(masks))

    def _start(self) -> TunedNetwork:
        """Return the untuned layers and a classifier that says one half."""
        layers = copy.deepcopy(self._last).requires_grad_(True)
        head = nn.Conv2d(self._channels, 1, 1).to(next(layers.parameters()).device)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(cast("Tensor", head.bias))
        return TunedNetwork(layers, head)

    def _map(self, features: Features) -> Tensor:
        device = next(self._last.parameters()).device
        # a copy: what was encoded in inference mode takes no part in gradients
        return features[TRUNK].to(device, torch.float32, copy=True)[None]


def _last_layers(tail: Tail) -> tuple[nn.Module, nn.Module]:
    """Part a tail: what stays, and the last residual block, or handful-base's last convolution."""
    if isinstance(tail.layers, nn.Sequential):
        return tail.layers[:-1], tail.layers[-1]
    head = nn.Sequential(tail.layers.get_submodule("head"), nn.ReLU6())
    return tail.layers.get_submodule("blocks"), head


def _loss(logits: Sequence[Tensor], masks: Sequence[Mask]) -> Tensor:
    """Return the cross-entropy of logits (h, w), object and ground weighing alike."""
    values, labels = [], []
    for one, mask in zip(logits, masks, strict=True):
        shown, known = (x.to(one.device) for x in cells(mask, (one.shape[0], one.shape[1])))
        values.append(one[known])
        labels.append(shown[known])
    flat, truth = torch.cat(values), torch.cat(labels)
    each = binary_cross_entropy_with_logits(flat, truth.to(flat), reduction="none")
    sides = [each[side].mean() for side in (truth, ~truth) if side.any()]
    return torch.stack(sides).mean()
