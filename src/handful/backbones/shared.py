"""Maps that are kept: each photo goes once through a network that several methods stand on."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable
from hashlib import blake2b

import torch
from torch import Tensor, nn

from handful.backbones.features import FeatureMaps

MEMORY = 6.0
"""Gigabytes of maps that `share_maps` keeps at most; a quarter of the machine's where that is less.
"""

UNTOLD = 1.0
"""Gigabytes where the machine does not tell how much it has."""


class Kept:
    """Named maps by a key, in half precision, as many as memory allows.

    Parameters
    ----------
    gigabytes : float
        What is kept at most; beyond it maps are made again each time.

    Examples
    --------
    >>> kept = Kept(1.0)
    >>> kept.get("a", lambda: {"map": torch.ones(2)})["map"].dtype
    torch.float16
    >>> len(kept)
    1
    """

    def __init__(self, gigabytes: float) -> None:
        self._left = gigabytes * 2**30
        self._maps: dict[Hashable, dict[str, Tensor]] = {}

    def __len__(self) -> int:
        return len(self._maps)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._maps

    def get(self, key: Hashable, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the maps of a key, on the CPU; `make` them where they are not kept."""
        if key in self._maps:
            return self._maps[key]
        halves = {name: value.half().cpu() for name, value in make().items()}
        size = sum(value.nbytes for value in halves.values())
        if size <= self._left:
            self._maps[key] = halves
            self._left -= size
        return halves


def share_maps(holders: Iterable[object], gigabytes: float | None = None) -> int:
    """Let networks of the same weights answer for one another, in half precision.

    From then on the maps that one of them gave of some pixels are what all of them give, wherever
    no gradient is asked for.

    Parameters
    ----------
    holders : iterable
        Methods, or whatever has networks, or modules with networks in them, as attributes.
    gigabytes : float, optional
        What is kept at most; `MEMORY` where not given.

    Returns
    -------
    int
        How many networks share their maps: those whose weights and maps another one has too.
    """
    if gigabytes is None:
        gigabytes = _memory()
    alike: dict[Hashable, list[FeatureMaps]] = {}
    for network in {id(n): n for holder in holders for n in _networks(holder)}.values():
        if network.digest is not None and network.frozen:
            alike.setdefault(_identity(network), []).append(network)
    kept, shared = Kept(gigabytes), 0
    for identity, networks in alike.items():
        if len(networks) > 1:
            shared += len(networks)
            for network in networks:
                # hides the method of the class: nn.Module calls what it finds first
                vars(network)["forward"] = _remembering(network.forward, kept, identity)
    return shared


def _memory() -> float:
    if not hasattr(os, "sysconf"):  # not everywhere does the system say how much it has
        return UNTOLD
    return min(MEMORY, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**32)


def _identity(network: FeatureMaps) -> Hashable:
    """Return what two networks agree in if they give the same maps: one may give fewer of them."""
    maps = tuple(network.strides.items()), tuple(network.channels.items())
    return type(network).__qualname__, network.name, network.digest, maps


def _networks(holder: object) -> Iterable[FeatureMaps]:
    for value in vars(holder).values():
        if isinstance(value, nn.Module):
            yield from (part for part in value.modules() if isinstance(part, FeatureMaps))


def _remembering(
    forward: Callable[[Tensor], dict[str, Tensor]], kept: Kept, identity: Hashable
) -> Callable[[Tensor], dict[str, Tensor]]:
    def maps(x: Tensor) -> dict[str, Tensor]:
        if torch.is_grad_enabled() and not torch.is_inference_mode_enabled():
            return forward(x)
        each = []
        for photo in x:
            pixels = photo.detach().float().cpu().contiguous().numpy()
            key = identity, pixels.shape, blake2b(pixels.tobytes(), digest_size=16).digest()
            each.append(kept.get(key, lambda one=photo: forward(one[None])))  # type: ignore[misc]
        return {
            name: torch.cat([found[name] for found in each]).to(x.device, x.dtype)
            for name in each[0]
        }

    return maps
