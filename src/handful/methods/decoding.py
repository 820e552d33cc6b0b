"""How large a picture has to be decoded for a method to see all that it can see."""

from __future__ import annotations

from handful.methods.matcher import Matcher

TIMES = 2
"""A photo is decoded at this many times the side of the network's input at least: resizing it by
a factor of two or more then averages away what the coarser decoding changed."""


def enough_side(matcher: Matcher) -> int | None:
    """Return a short side, in pixels, beyond which a larger picture tells a method nothing.

    Parameters
    ----------
    matcher : Matcher
        The method. One that stands on a network brings every photo to that network's `side`.

    Returns
    -------
    int or None
        For `handful.images.read`; None where the method looks at all pixels.

    Examples
    --------
    >>> from handful.methods import load
    >>> enough_side(load("handful-base", device="cpu", size=160))
    320
    >>> enough_side(load("nearest-neighbour")) is None
    True
    """
    side: int | None = getattr(getattr(matcher, "embedder", None), "side", None)
    return None if side is None else TIMES * side
