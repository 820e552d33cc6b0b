"""OSLSM as one module: the branch that conditions, and the branch that segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Literal, Self, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from handful.backbones import FeatureMaps, build
from handful.errors import InputError
from handful.methods.oslsm.branches import Conditioning, Dense
from handful.methods.oslsm.support import PixelClassifiers, View, masked_view

Learns = Literal["heads", "all"]

OUTPUTS, WIDTH = 1000, 4096
"""What VGG-16 gives: its classes, and the channels of its last hidden layer."""

VOID = 255


class OSLSM(nn.Module):
    """Turn a support into the weights of a logistic regression on the query's features.

    Parameters
    ----------
    backbone : str or FeatureMaps
        What :func:`handful.backbones.build` takes, or a network with an embedding. Constructing
        loads nothing.
    layers : sequence of str, optional
        Maps that the segmentation branch reads; by default ``stride32``.
    outputs : int
        m, the outputs of the conditioning branch that are hashed.
    width : int
        d, the features of a pixel.
    kernel : int
        Of the first layer on the maps, odd: 7 is VGG-16's fc6.
    learns : {"heads", "all"}
        What follows the backbone, which both branches share, frozen, so that its features can be
        kept; or, as published, everything, with a backbone for each branch.
    view : {"photo", "object"}
        What the conditioning branch sees, see `masked_view`.
    support_size : int
        The side of the square it sees, in pixels.
    seed : int
        Of the hashing.

    Raises
    ------
    InputError
        An unknown choice, a map that the network does not have, or one without an embedding.

    Examples
    --------
    >>> model = OSLSM("handful-base", outputs=16, width=64).eval()
    >>> photo, mask = torch.rand(1, 3, 64, 64), torch.zeros(1, 64, 64, dtype=torch.bool)
    >>> mask[:, 16:48, 16:48] = True
    >>> state = model.condition(photo, mask)
    >>> model(torch.rand(2, 3, 64, 64), [state, state]).shape
    torch.Size([2, 64, 64])
    """

    def __init__(
        self,
        backbone: str | FeatureMaps = "torchvision:vgg16",
        layers: Sequence[str] = ("stride32",),
        outputs: int = OUTPUTS,
        width: int = WIDTH,
        kernel: int = 1,
        learns: Learns = "heads",
        view: View = "photo",
        support_size: int = 224,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if learns not in get_args(Learns) or view not in get_args(View) or kernel % 2 == 0:
            raise InputError(
                f"OSLSM: learns {learns!r} is one of {', '.join(get_args(Learns))}, view {view!r}"
                f" one of {', '.join(get_args(View))}, kernel {kernel} is odd"
            )
        network = build(backbone) if isinstance(backbone, str) else backbone
        layers = _finest_first(network, layers)
        self.learns: Learns = learns
        twins = [network] if learns == "heads" else [network, deepcopy(network)]
        # also where it learns, its batch norms keep their statistics: batches are small
        self.backbones = nn.ModuleList(twins).requires_grad_(learns == "all").eval()
        self.conditioning = Conditioning(
            network.features, outputs, width, seed, get_args(View).index(view), support_size
        )
        self.dense = Dense({name: network.channels[name] for name in layers}, width, kernel)

    @classmethod
    def of_weights(cls, backbone: str | FeatureMaps, tensors: Mapping[str, Tensor]) -> OSLSM:
        """Build the model whose `learned` tensors these are, and load them.

        Raises
        ------
        InputError
            They are those of another method or of another backbone.
        """
        try:
            firsts = [name.split(".")[2] for name in tensors if name.startswith("dense.first.")]
            size, view = tensors["conditioning.sees"].tolist()
            outputs = len(tensors["conditioning.classify.weight"])
            width = len(tensors["dense.second.weight"])
            kernel = tensors[f"dense.first.{firsts[0]}.weight"].shape[-1]
        except (KeyError, IndexError) as error:
            raise InputError(
                "weights of no OSLSM; give those that `handful train oslsm` wrote"
            ) from error
        model = cls(
            backbone,
            layers=list(dict.fromkeys(firsts)),
            outputs=outputs,
            width=width,
            kernel=kernel,
            learns="all" if any(n.startswith("backbones.") for n in tensors) else "heads",
            view=get_args(View)[view],
            support_size=size,
        )
        model.load_learned(tensors)
        return model

    @property
    def backbone(self) -> FeatureMaps:
        """The network of the segmentation branch."""
        return cast("FeatureMaps", self.backbones[0])

    @property
    def layers(self) -> tuple[str, ...]:
        """The maps that are read, the finest first."""
        return tuple(self.dense.first)

    def load_backbone(self, weights: str | None = None) -> Self:
        """Load the weights of the backbone, in both branches."""
        self.backbone.load(weights)
        for twin in self.backbones[1:]:
            twin.load_state_dict(self.backbone.state_dict())
        return self

    def start_from_classifier(self, tensors: Mapping[str, Tensor]) -> Self:
        """Take over what a classification network has learned above the backbone, where it fits.

        Its last layer begins the conditioning branch; of VGG-16 the two before it begin the
        segmentation branch, as convolutions: the FCN of the paper.

        Parameters
        ----------
        tensors : mapping of str to Tensor
            A weights file of the backbone.
        """
        _take(self.conditioning.classify, tensors, ("classifier.6", "fc", "classifier", "head"))
        if len(self.layers) == 1:
            _take(self.dense.first[self.layers[0]], tensors, ("classifier.0",))
            _take(self.dense.second, tensors, ("classifier.3",))
        return self

    def learner(self) -> nn.ModuleDict:
        """Return what learns, sharing its tensors: what a training optimises and saves."""
        parts: dict[str, nn.Module] = {"conditioning": self.conditioning, "dense": self.dense}
        return nn.ModuleDict(parts | ({"backbones": self.backbones} if self._whole else {}))

    def use(self, learner: nn.ModuleDict) -> None:
        """Put the parts of another `learner` in the place of one's own."""
        for name, part in learner.items():
            setattr(self, name, part)

    def learned(self) -> dict[str, Tensor]:
        """Return what a weights file of this method holds."""
        return dict(self.learner().state_dict())

    def load_learned(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `learned` returned, of any floating type.

        Raises
        ------
        InputError
            They are those of another configuration.
        """
        mine = self.learned()
        wrong = sorted(mine.keys() ^ tensors.keys()) or sorted(
            name for name, value in mine.items() if value.shape != tensors[name].shape
        )
        if wrong:
            raise InputError(
                f"weights of another OSLSM: {len(wrong)} tensors differ, such as {wrong[0]};"
                " give those that were trained on this backbone"
            )
        self.learner().load_state_dict(dict(tensors))

    @property
    def _whole(self) -> bool:
        return self.learns == "all"

    def view(self, pixels: Tensor, mask: Tensor) -> Tensor:
        """Return what the conditioning branch sees of normalised pixels (3, H, W)."""
        size, view = self.conditioning.sees.tolist()
        return masked_view(pixels, mask, size, get_args(View)[view])

    def embed(self, views: Tensor) -> Tensor:
        """Map views of supports (K, 3, S, S) to their embedding (K, features)."""
        with torch.set_grad_enabled(self._whole and torch.is_grad_enabled()):
            return cast("FeatureMaps", self.backbones[-1]).embed(views)

    def features(self, pixels: Tensor) -> dict[str, Tensor]:
        """Map normalised pixels (N, 3, H, W) to the maps that the segmentation branch reads."""
        with torch.set_grad_enabled(self._whole and torch.is_grad_enabled()):
            maps = self.backbone(pixels)
            return {name: maps[name] for name in self.layers}

    def condition(self, photos: Tensor, masks: Tensor) -> PixelClassifiers:
        """Turn the shots of one class into classifiers of pixels.

        Parameters
        ----------
        photos : Tensor
            Normalised pixels (K, 3, H, W).
        masks : Tensor
            (K, H, W) bool, each with the object.
        """
        views = torch.stack([self.view(x, mask) for x, mask in zip(photos, masks, strict=True)])
        found: PixelClassifiers = self.conditioning(self.embed(views))
        return found

    def forward(
        self,
        query: Tensor | Mapping[str, Tensor],
        support: Sequence[PixelClassifiers],
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Segment queries, each by its own support.

        Parameters
        ----------
        query : Tensor or mapping of str to Tensor
            Normalised pixels (N, 3, H, W), or what `features` made of them.
        support : sequence of PixelClassifiers
            One for each query.
        size : (int, int), optional
            Height and width of the answer; it may be left out where pixels are given.

        Returns
        -------
        Tensor
            Logits (N, height, width).
        """
        if isinstance(query, Tensor):
            size = size or (query.shape[2], query.shape[3])
            query = self.features(query)
        if size is None:
            raise InputError("OSLSM: say at which size it is to answer, the maps do not")
        dense = self.dense(query)
        return torch.stack([s.logits(x, size) for s, x in zip(support, dense, strict=True)])


def loss(logits: Tensor, target: Tensor, summed: bool = False, positive: float = 1.0) -> Tensor:
    """Return the cross-entropy of every pixel that is not void, and its mean or its sum.

    Parameters
    ----------
    logits : Tensor
        (N, H, W)
    target : Tensor
        (N, H, W): 1 the object, 0 not, 255 not counted.
    summed : bool
        The sum over all pixels, as published; otherwise the mean.
    positive : float
        How many times a pixel of the object counts; more than once, masks grow.

    Examples
    --------
    >>> loss(torch.zeros(1, 2, 2), torch.tensor([[[0, 1], [255, 255]]]))
    tensor(0.6931)
    """
    known = target != VOID
    how = "sum" if summed else "mean"
    # in single precision: a sum over 60,000 pixels is beyond half
    found = binary_cross_entropy_with_logits(
        logits[known].float(),
        (target[known] == 1).float(),
        reduction=how,
        pos_weight=torch.tensor(positive, device=logits.device),
    )
    return found if bool(known.any()) else logits.sum() * 0


def _finest_first(network: FeatureMaps, layers: Sequence[str]) -> list[str]:
    unknown = [layer for layer in layers if layer not in network.strides]
    if unknown or not layers or not network.features:
        raise InputError(
            f"{network.name}: OSLSM reads an embedding and maps of a network, which has"
            f" {'no ' + unknown[0] if unknown else 'no embedding'};"
            f" its maps are {', '.join(network.strides)}"
        )
    return sorted(layers, key=lambda layer: network.strides[layer])


def _take(layer: nn.Module, tensors: Mapping[str, Tensor], names: Sequence[str]) -> None:
    """Fill a layer with the first of the named ones of as many numbers."""
    weight, bias = (cast("Tensor", getattr(layer, part)) for part in ("weight", "bias"))
    for name in names:
        found = tensors.get(f"{name}.weight"), tensors.get(f"{name}.bias")
        if found[0] is None or found[1] is None:
            continue
        if found[0].numel() == weight.numel() and found[1].shape == bias.shape:
            with torch.no_grad():
                weight.copy_(found[0].view_as(weight))
                bias.copy_(found[1])
            return
