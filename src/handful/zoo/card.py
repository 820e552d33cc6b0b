"""The card of a model: everything that a person must know before trusting it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Strict):
    """A measured figure that a card quotes.

    Attributes
    ----------
    result : str
        The name of the file ``results/RESULT.json`` that it comes from.
    metric : str
        The key of its ``metrics``.
    value : float
        The number as quoted.
    protocol : str
        How it was measured, in a few words.
    """

    result: str
    metric: str
    value: float
    protocol: str = ""


class LearnedFrom(_Strict):
    """The files that a model learned from.

    Attributes
    ----------
    list : str
        The committed list that names every file.
    count : int
        How many it names.
    """

    list: str
    count: int = Field(ge=1)


class Card(_Strict):
    """What a model is, where it comes from and what it can do.

    Attributes
    ----------
    name, title : str
        The name that ``--model`` takes, and one line for people.
    task : str
        ``recognize``, ``segment``, ``find`` or ``explain``.
    method, backbone : str
        The file of ``handful.methods`` and the network that it stands on.
    weights : str or None
        The name of the weights file; None for a method that learned nothing.
    sha256 : str or None
        Digest of the weights file.
    bytes, parameters : int
        Size of the weights file; numbers that were learned.
    licence : str
        The terms of the weights.
    commercial_use : bool
        Whether those terms allow it.
    data : str
        What it learned from, in words.
    files : LearnedFrom or None
        What it learned from, file by file.
    recipe, command : str or None
        The recipe, and the command that makes the weights again.
    seed : int or None
        Of the training.
    date : str or None
        When the weights were made, as YYYY-MM-DD.
    input : dict
        The size and preparation of a picture.
    calibration : dict or None
        How to read its raw scores: see `handful.methods.calibration.Calibration`.
    figures : tuple of Figure
        What was measured.
    limits : str
        What it is not good for.

    Examples
    --------
    >>> Card(
    ...     name="pixels", title="Pixels", task="recognize", method="m", backbone="none",
    ...     licence="Apache-2.0", commercial_use=True, data="none", limits="most things",
    ... ).parameters
    0
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str
    task: str
    method: str
    backbone: str
    weights: str | None = None
    sha256: Digest | None = None
    bytes: int = Field(default=0, ge=0)
    parameters: int = Field(default=0, ge=0)
    licence: str
    commercial_use: bool
    data: str
    files: LearnedFrom | None = None
    recipe: str | None = None
    command: str | None = None
    seed: int | None = None
    date: str | None = None
    input: dict[str, Any] = Field(default_factory=dict)
    calibration: dict[str, float] | None = None
    figures: tuple[Figure, ...] = ()
    limits: str
