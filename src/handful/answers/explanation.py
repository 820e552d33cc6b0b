"""What explaining answers: where each image is alike or different, and how much that matters.

An answer holds plain Python values and arrays only, so it outlives the model that gave it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Role = Literal["anchor", "positive", "negative"]


@dataclass(frozen=True, slots=True, eq=False)
class AttentionMap:
    """Where in one image the explained score comes from.

    Attributes
    ----------
    image : str or None
        The path as it was given; None for a picture that was given as pixels.
    role : {"anchor", "positive", "negative"}
        What the image was given as.
    grid : ndarray
        (h, w) float32 in [0, 1], the largest value 1; all zero where nothing speaks for the score.
    size : (int, int)
        Height and width of the picture, in pixels.
    box : (x, y, width, height)
        The part of the picture that the grid covers, in pixels; it may reach over the edge.

    Examples
    --------
    >>> grid = np.array([[0.0, 1.0]], np.float32)
    >>> found = AttentionMap("a.png", "anchor", grid, (2, 8), (0, 0, 4, 2))
    >>> found.resized()[0].tolist()
    [0.0, 0.25, 0.75, 1.0, 0.0, 0.0, 0.0, 0.0]
    """

    image: str | None
    role: Role
    grid: NDArray[np.float32]
    size: tuple[int, int]
    box: tuple[float, float, float, float]

    def resized(self) -> NDArray[np.float32]:
        """Return the map at the picture's size: (H, W) in [0, 1], bilinear; 0 outside the box."""
        x, y, width, height = self.box
        rows = _interpolation(self.size[0], y, height, self.grid.shape[0])
        columns = _interpolation(self.size[1], x, width, self.grid.shape[1])
        found: NDArray[np.float32] = np.clip(rows @ self.grid @ columns.T, 0, 1, dtype=np.float32)
        return found


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much the explained score depends on what the anchor's map marks.

    Attributes
    ----------
    of : str
        What the score is.
    share : float
        The share of the area that was erased.
    before, after : float
        The score of the anchor as it is, and with what is marked erased.
    random_after : tuple of float
        The same with the mask shifted around at random.
    """

    of: str
    share: float
    before: float
    after: float
    random_after: tuple[float, ...]

    @property
    def fall(self) -> float:
        """What erasing the mark costs."""
        return self.before - self.after

    @property
    def random_fall(self) -> float:
        """What erasing the shifted mask costs, on average."""
        return self.before - sum(self.random_after) / len(self.random_after)

    @property
    def ratio(self) -> float | None:
        """How many times more the mark costs; None where the shifted mask costs nothing."""
        return self.fall / self.random_fall if self.random_fall > 0 else None

    def to_json(self) -> dict[str, Any]:
        """Return the evidence as a plain dictionary."""
        return {
            "of": self.of,
            "share": self.share,
            "before": self.before,
            "after": self.after,
            "fall": self.fall,
            "random_fall": self.random_fall,
            "ratio": self.ratio,
            "draws": len(self.random_after),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Why images are alike or different for a model.

    Attributes
    ----------
    maps : tuple of AttentionMap
        One for each image, the anchor first.
    similarity : dict
        How alike the anchor is to the others in the model's own measure: ``positive`` and
        ``negative``, lists of float in the order of the images; where a score was explained, the
        score by its name.
    evidence : Evidence
        What erasing the marked part of the anchor costs.
    model, backbone : str
        What gave the answer.
    chosen : str
        Why this model was used.
    """

    maps: tuple[AttentionMap, ...]
    similarity: dict[str, Any]
    evidence: Evidence
    model: str
    backbone: str
    chosen: str = ""

    def __len__(self) -> int:
        return len(self.maps)

    def __iter__(self) -> Iterator[AttentionMap]:
        return iter(self.maps)

    def __getitem__(self, index: int) -> AttentionMap:
        return self.maps[index]

    @property
    def anchor(self) -> AttentionMap:
        """The map of the anchor."""
        return self.maps[0]

    def to_json(self) -> dict[str, Any]:
        """Return everything but the maps as plain lists and dictionaries."""
        return {
            "model": self.model,
            "backbone": self.backbone,
            "chosen": self.chosen,
            "images": [found.image for found in self.maps],
            "roles": [found.role for found in self.maps],
            "similarity": self.similarity,
            "evidence": self.evidence.to_json(),
        }


def _interpolation(length: int, start: float, extent: float, cells: int) -> NDArray[np.float32]:
    """Return the matrix (length, cells) from cells that cover an extent to the pixels of a line."""
    place = (np.arange(length) + 0.5 - start) * cells / extent
    inside = (place >= 0) & (place <= cells)
    place = np.clip(place - 0.5, 0, cells - 1)
    weights = np.clip(1 - np.abs(place[:, None] - np.arange(cells)), 0, None)
    found: NDArray[np.float32] = np.asarray(weights * inside[:, None], np.float32)
    return found
