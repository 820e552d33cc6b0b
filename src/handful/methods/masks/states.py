"""What methods of segmentation keep of a class, as flat tensors and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from handful.errors import InputError
from handful.methods.baselines.cosegmentation import ColourSupport
from handful.methods.baselines.dense_logistic import Plane
from handful.methods.cluster_segmentation import Clusters
from handful.methods.dense_pixels import SupportPixels
from handful.methods.discriminant_segmentation import Discriminant
from handful.methods.mshnet.support import SupportState
from handful.methods.oslsm.support import PixelClassifiers
from handful.methods.prototype_segmentation import PrototypePair
from handful.methods.weak_segmentation import Shots


@dataclass(frozen=True)
class JoinedState:
    """One class as several methods know it.

    Attributes
    ----------
    parts : tuple
        What each method's `condition` gave.
    """

    parts: tuple[Any, ...]

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it under flat names, as safetensors keeps it."""
        packed = [pack_states([part]) for part in self.parts]
        return {
            f"{kind}.{place}/{name}": tensor
            for place, (kind, tensors) in enumerate(packed)
            for name, tensor in tensors.items()
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> JoinedState:
        """Return the state whose `tensors` these are."""
        parts: dict[str, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            part, _, name = key.partition("/")
            parts.setdefault(part, {})[name] = value
        ordered = sorted(parts, key=lambda part: part.rpartition(".")[2].zfill(9))
        return cls(
            tuple(unpack_states(part.rpartition(".")[0], parts[part], 1)[0] for part in ordered)
        )


_KINDS = {
    kind.__name__: kind
    for kind in (
        JoinedState,
        PrototypePair,
        Clusters,
        Discriminant,
        Shots,
        SupportState,
        PixelClassifiers,
        SupportPixels,
        Plane,
        ColourSupport,
    )
}


def pack_states(states: Sequence[Any]) -> tuple[str, dict[str, Tensor]]:
    """Return the kind of the states and all of their tensors.

    Raises
    ------
    InputError
        A method whose states cannot be kept.

    Examples
    --------
    >>> import torch
    >>> pair = PrototypePair({"a": torch.ones(1)}, {"a": torch.zeros(1)})
    >>> kind, tensors = pack_states([pair])
    >>> kind, sorted(tensors)
    ('PrototypePair', ['0/background/a', '0/foreground/a'])
    """
    kind = type(states[0]).__name__
    if kind not in _KINDS:
        raise InputError("this method keeps nothing that could be saved; fit it again instead")
    return kind, {
        f"{place}/{name}": tensor
        for place, state in enumerate(states)
        for name, tensor in state.tensors().items()
    }


def unpack_states(kind: str, tensors: Mapping[str, Tensor], count: int) -> list[Any]:
    """Return the states that `pack_states` packed.

    Raises
    ------
    InputError
        Of a kind that is not known, or not `count` of them.
    """
    parts: list[dict[str, Tensor]] = [{} for _ in range(count)]
    for key, tensor in tensors.items():
        place, _, name = key.partition("/")
        if not place.isdecimal() or int(place) >= count:
            raise InputError(f"{key}: belongs to no class; fit again")
        parts[int(place)][name] = tensor
    if kind not in _KINDS or not all(parts):
        raise InputError(f"a state of kind {kind!r} with gaps, or of another version; fit again")
    return [_KINDS[kind].from_tensors(part) for part in parts]
