"""Raw scores of a method read as the one *score* that people see, in [0, 1]."""

from __future__ import annotations

from numbers import Real

from torch import Tensor

from handful.errors import InputError
from handful.methods.calibration import Calibration
from handful.methods.matcher import Matcher


def calibration_of(matcher: Matcher) -> Calibration | None:
    """Return the calibration that a method carries, if any."""
    found: Calibration | None = getattr(matcher, "calibration", None)
    return found


def calibrated(matcher: Matcher, purpose: str) -> Calibration:
    """Return the calibration of a method that has to have one.

    Raises
    ------
    InputError
        It has none; `purpose` says what it was needed for.
    """
    calibration = calibration_of(matcher)
    if calibration is None:
        raise InputError(
            f"{matcher.name} was never calibrated, so it gives no {purpose}: use another model"
        )
    return calibration


def as_score(matcher: Matcher, raw: Tensor) -> Tensor:
    """Map raw scores of any shape to [0, 1], keeping their order.

    With a calibration this is the probability that a pair shows one class. Without one it only
    keeps the order: ``(1 + raw / (1 + |raw|)) / 2``, which unlike a sigmoid does not run flat
    where distances are large.
    """
    calibration = calibration_of(matcher)
    if calibration is not None:
        return calibration.probability(raw)
    return (1 + raw / (1 + raw.abs())) / 2


def threshold(matcher: Matcher, reject: object) -> float | None:
    """Return the score below which the answer is "none of these"; None: never.

    Parameters
    ----------
    matcher : Matcher
        The method; its own threshold is taken where `reject` is ``"auto"``, if it has one.
    reject : "auto", None or float
        What a person asked for.

    Raises
    ------
    InputError
        `reject` is nothing of these, or no number in [0, 1].
    """
    if reject is None:
        return None
    if isinstance(reject, str) and reject == "auto":
        calibration = calibration_of(matcher)
        return None if calibration is None else calibration.reject
    if isinstance(reject, Real) and not isinstance(reject, bool) and 0 <= float(reject) <= 1:
        return float(reject)
    raise InputError(f"reject is {reject!r}: give 'auto', None (never) or a number in [0, 1]")
