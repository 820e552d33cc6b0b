"""What MSHNet keeps of a support: prototypes and unit foreground features, map by map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from handful.errors import InputError
from handful.similarity import foreground, masked_mean

_PROTOTYPES, _PIXELS, _COUNTS = "prototypes", "pixels", "counts"


@dataclass(frozen=True)
class SupportState:
    """The support of one class, computed once: a query needs neither its photos nor their maps.

    Attributes
    ----------
    prototypes : dict of str to Tensor
        Of every map, (shots, C): equation 3.
    pixels : dict of str to Tensor
        Of every map, the foreground features (equation 2) of all shots in turn, of unit length:
        (sum of counts, C).
    counts : dict of str to tuple of int
        Of every map, how many pixels each shot has.
    """

    prototypes: dict[str, Tensor]
    pixels: dict[str, Tensor]
    counts: dict[str, tuple[int, ...]]

    @property
    def shots(self) -> int:
        """Return the number of examples."""
        return len(next(iter(self.counts.values())))

    @classmethod
    def of(
        cls,
        features: Mapping[str, Tensor],
        masks: Tensor,
        weighted: bool = False,
        dtype: torch.dtype | None = torch.float16,
    ) -> SupportState:
        """Condense the examples of one class.

        Parameters
        ----------
        features : mapping of str to Tensor
            Maps (K, C, h, w) of the K photos.
        masks : Tensor
            (K, H, W), of numbers in [0, 1] or of bool, on the photos as the network saw them.
        weighted : bool
            Whether prototypes weigh each pixel by the resized mask.
        dtype : torch.dtype, optional
            In which it is kept; None: in that of the features.

        Raises
        ------
        InputError
            Another number of masks than of photos.
        """
        sizes = {tuple(found.shape[-2:]) for found in features.values()}
        if any(len(found) != len(masks) for found in features.values()):
            photos = len(next(iter(features.values())))
            raise InputError(f"{len(masks)} masks for {photos} photos: give each photo its own")
        grids = {size: foreground(masks, (size[0], size[1])) for size in sizes}
        prototypes, pixels, counts = {}, {}, {}
        for name, found in features.items():
            kept, weight = grids[tuple(found.shape[-2:])]
            if found.dtype in (torch.float16, torch.bfloat16):
                found = found.float()  # squares of half precision overflow
            mean = masked_mean(found, kept, weight if weighted else None)
            # (K, h, w, C) is a view; indexing it copies the kept pixels alone
            unit = normalize(found.permute(0, 2, 3, 1)[kept], dim=1)
            prototypes[name] = mean if dtype is None else mean.to(dtype)
            pixels[name] = unit if dtype is None else unit.to(dtype)
            counts[name] = tuple(kept.sum((1, 2)).tolist())
        return cls(prototypes, pixels, counts)

    @classmethod
    def join(cls, states: Sequence[SupportState]) -> SupportState:
        """Put the shots of several states of one class into one, in their order."""
        first = states[0]
        return cls(
            {name: torch.cat([s.prototypes[name] for s in states]) for name in first.prototypes},
            {name: torch.cat([s.pixels[name] for s in states]) for name in first.pixels},
            {name: sum((s.counts[name] for s in states), ()) for name in first.counts},
        )

    def shot_pixels(self, name: str) -> tuple[Tensor, ...]:
        """Return the foreground features of a map, shot by shot."""
        return tuple(torch.split(self.pixels[name], list(self.counts[name])))

    def to(self, device: torch.device | str) -> SupportState:
        """Return the same on another device."""
        return SupportState(
            {name: value.to(device) for name, value in self.prototypes.items()},
            {name: value.to(device) for name, value in self.pixels.items()},
            self.counts,
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it under flat names, as safetensors keeps it."""
        flat = {f"{_PROTOTYPES}/{name}": value for name, value in self.prototypes.items()}
        flat |= {f"{_PIXELS}/{name}": value for name, value in self.pixels.items()}
        return flat | {
            f"{_COUNTS}/{name}": torch.tensor(value) for name, value in self.counts.items()
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> SupportState:
        """Return the state whose `tensors` these are."""
        parts: dict[str, dict[str, Tensor]] = {_PROTOTYPES: {}, _PIXELS: {}, _COUNTS: {}}
        for key, value in tensors.items():
            part, _, name = key.partition("/")
            if part not in parts:
                raise InputError(f"{key}: is no part of a support state; fit again")
            parts[part][name] = value
        counts = {name: tuple(value.tolist()) for name, value in parts[_COUNTS].items()}
        return cls(parts[_PROTOTYPES], parts[_PIXELS], counts)
