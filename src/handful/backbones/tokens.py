"""A vision transformer as maps: its patch tokens on their grid, for photos of any size."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import interpolate

from handful.backbones.timm_backbone import TimmBackbone
from handful.errors import InputError


class TokenMaps(TimmBackbone):
    """A timm transformer whose tokens all have one stride, freed of its one size of input.

    A photo is resized to whole patches, and the positional embedding to their grid; tokens that
    stand for no patch (class, registers) are left out.

    Parameters
    ----------
    name : str
        Such as ``vit_small_patch14_dinov2`` or ``vit_small_patch16_dinov3``.
    blocks : sequence of int, optional
        Which blocks give a map: ``stage0``, ... By default the last: ``stride14``, ``stride16``.
    frozen : bool
        See :class:`handful.backbones.FeatureMaps`.

    Raises
    ------
    InputError
        No such network, or one that is no plain transformer.

    Examples
    --------
    >>> import torch
    >>> backbone = TokenMaps("vit_tiny_patch16_224")
    >>> backbone.fixed_size
    >>> backbone(torch.zeros(1, 3, 100, 150))["stride16"].shape
    torch.Size([1, 192, 6, 9])
    """

    def __init__(self, name: str, blocks: Sequence[int] | None = None, frozen: bool = True) -> None:
        if not is_transformer(name):
            raise InputError(f"timm:{name}: is no transformer whose tokens have one stride")
        super().__init__(name, blocks, frozen=frozen, dynamic_img_size=True)
        self.patch = next(iter(self.strides.values()))
        self.fixed_size = None

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map normalised pixels (N, 3, H, W) to maps (N, channels, ~H/patch, ~W/patch)."""
        return super().forward(self._whole(x))

    def maps_and_vectors(self, x: Tensor, layer: str | None = None) -> tuple[Tensor, Tensor]:
        """Map normalised pixels to one map (N, C, h, w) and the vectors, in one pass."""
        return super().maps_and_vectors(self._whole(x), layer)

    def embed(self, x: Tensor) -> Tensor:
        """Map normalised pixels (N, 3, H, W) to vectors (N, features), of any length."""
        return super().embed(self._whole(x))

    def _whole(self, x: Tensor) -> Tensor:
        """Resize photos to the nearest number of whole patches."""
        size = [self.patch * max(1, round(side / self.patch)) for side in x.shape[2:]]
        if list(x.shape[2:]) == size:
            return x
        return interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)


def is_transformer(name: str) -> bool:
    """Say whether timm has a plain transformer of this name: its blocks share one stride.

    Examples
    --------
    >>> is_transformer("vit_tiny_patch16_224"), is_transformer("resnet18")
    (True, False)
    """
    import inspect

    import timm

    architecture = name.partition(".")[0]
    if ":" in name or not timm.is_model(architecture):
        return False
    # the functions that build a network sit in the module of its class
    module = inspect.getmodule(timm.model_entrypoint(architecture))
    return module is not None and module.__name__.rpartition(".")[2] in _PLAIN


_PLAIN = {"vision_transformer", "eva"}
"""timm's modules of plain transformers that take photos of any size."""
