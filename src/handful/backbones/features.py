"""The door of a backbone: pixels in, named feature maps out."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from torch import Tensor, nn

from handful import zoo
from handful.errors import InputError
from handful.files import sha256

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Triple = tuple[float, float, float]


class FeatureMaps(nn.Module, ABC):
    """A network as named feature maps of known stride and channels.

    Constructing one loads nothing: its weights are random until :meth:`load`.

    Parameters
    ----------
    name : str
        As `handful.backbones.build` takes it.
    network : nn.Module
        What computes; its state is what a weights file must hold.
    strides, channels : mapping of str to int
        Of every map, from the shallowest to the deepest: input pixels per cell, and channels.
    features : int
        Dimensions of the embedding; 0 where there is none.
    mean, std : tuple of float
        Of the red, green and blue channel in [0, 1]: the input is (pixels - mean) / std.
    dropped : collection of str
        Tensors that a weights file may hold though the network has no use for them, such as
        those of its classifier.
    fixed_size : int, optional
        The only side of its input, in pixels, where it takes no other.
    frozen : bool
        No parameter takes a gradient, and the network stays in evaluation mode even where a
        model that contains it is set to training.

    Attributes
    ----------
    digest : str or None
        SHA-256 of the weights file that was loaded; whatever is trained on top stores it.
    classifier : tuple of Tensor or None
        Weight (classes, features) and bias (classes,) of the linear layer that the embedding was
        cut off, where the loaded weights hold one.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        strides: Mapping[str, int],
        channels: Mapping[str, int],
        features: int,
        mean: Triple = IMAGENET_MEAN,
        std: Triple = IMAGENET_STD,
        dropped: frozenset[str] = frozenset(),
        fixed_size: int | None = None,
        frozen: bool = True,
    ) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.strides = dict(strides)
        self.channels = dict(channels)
        self.features = features
        self.mean = mean
        self.std = std
        self.fixed_size = fixed_size
        self.frozen = frozen
        self.digest: str | None = None
        self.classifier: tuple[Tensor, Tensor] | None = None
        self._random = False
        self._dropped = dropped
        self.requires_grad_(not frozen)
        self.train(not frozen)

    @abstractmethod
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map normalised pixels (N, 3, H, W) to maps (N, channels, ~H/stride, ~W/stride)."""

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """Map normalised pixels (N, 3, H, W) to vectors (N, features), of any length."""

    @abstractmethod
    def _download(self) -> Path:
        """Return the library's own weights file, from its cache or the network."""

    def train(self, mode: bool = True) -> Self:
        """Set the mode of training, which a frozen network does not take."""
        return super().train(mode and not self.frozen)

    def load(self, weights: str | os.PathLike[str] | None = None) -> Self:
        """Load weights; all of them, or none.

        Parameters
        ----------
        weights : path-like, optional
            A ``.safetensors`` file, or a ``.pt`` or ``.pth`` file that holds tensors alone. By
            default the library's own, which is downloaded once.

        Returns
        -------
        FeatureMaps
            Itself.

        Raises
        ------
        InputError
            No such file, another network's file, or no file and no network connection.
        """
        if self._random and weights is None:
            return self
        path = self._download() if weights is None else Path(weights)
        if path.suffix not in {".safetensors", ".pt", ".pth"}:
            raise InputError(f"{path}: weights are a .safetensors, .pt or .pth file")
        self._fill(zoo.load_weights(path), path)
        self.digest = sha256(path)
        return self

    def keep_random(self) -> Self:
        """Let `load` without a file leave the random weights: a control in experiments."""
        self._random = True
        self.name = f"random:{self.name}"
        return self

    def _translated(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors under the names of the network, where a file has others."""
        return tensors

    def _fill(self, tensors: dict[str, Tensor], path: Path) -> None:
        wanted = self.network.state_dict()
        if not wanted.keys() <= tensors.keys():
            tensors = self._translated(tensors)
        # a counter of training steps: older files do not have it, and nothing here reads it
        needed = {key for key in wanted if not key.endswith("num_batches_tracked")}
        reasons = {
            "missing": sorted(needed - tensors.keys()),
            "unknown": sorted(tensors.keys() - wanted.keys() - self._dropped),
            "of another shape": sorted(
                key for key in needed & tensors.keys() if wanted[key].shape != tensors[key].shape
            ),
        }
        wrong = [
            f"{len(keys)} tensors {what}, such as {keys[0]}"
            for what, keys in reasons.items()
            if keys
        ]
        if wrong:
            raise InputError(f"{path}: holds other weights than {self.name}'s ({'; '.join(wrong)})")
        kept = {key: tensors[key].to(wanted[key].dtype) for key in wanted if key in tensors}
        self.network.load_state_dict(kept, strict=False)


class Embedding(nn.Module):
    """The embedding alone, of unit length: what a `NetworkEmbedder` runs.

    Parameters
    ----------
    backbone : FeatureMaps
        With its weights loaded, and `features` above 0.
    """

    def __init__(self, backbone: FeatureMaps) -> None:
        super().__init__()
        if not backbone.features:
            raise InputError(f"{backbone.name}: was built without an embedding")
        self.backbone = backbone

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised pixels (N, 3, H, W) to unit vectors (N, features)."""
        return nn.functional.normalize(self.backbone.embed(x).float(), dim=1)


def check_digest(expected: str | None, backbone: FeatureMaps) -> None:
    """Refuse a backbone whose weights are not those that something was trained on.

    Parameters
    ----------
    expected : str or None
        The digest that was stored; None: nothing was, and nothing is checked.
    backbone : FeatureMaps
        The one to be used now.

    Raises
    ------
    InputError
        It holds other weights; the message names both digests.
    """
    if expected is not None and backbone.digest != expected:
        found = backbone.digest or "none: no weights are loaded"
        raise InputError(
            f"{backbone.name}: trained on weights with SHA-256 {expected}, found {found};"
            " give the same weights with --backbone-weights"
        )
