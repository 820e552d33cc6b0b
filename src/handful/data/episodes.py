"""Episodes: which images are the support, which are queries, and what each query's class is.

An episode holds indices into a list of image paths and nothing else, so it can be written down,
replayed on another machine and shared by every method.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handful.errors import InputError
from handful.files import write_text

Indices = NDArray[np.int64]

_FORMAT = "handful-episodes-1"


@dataclass(frozen=True, eq=False)
class Episodes:
    """Few-shot episodes of one shape.

    Attributes
    ----------
    support : ndarray
        (T, ways, shots) int64, indices into `paths`.
    query : ndarray
        (T, Q) int64, indices into `paths`; -1 where an episode has fewer queries.
    target : ndarray
        (T, Q) int64, the way each query belongs to, 0 to ways - 1; -1 for a class outside the
        support, and where `query` is -1.
    paths : tuple of str
        Image files relative to a root, with forward slashes; may be empty where the images are
        known by number alone (then the episodes cannot be saved).
    protocol : str
        How they were drawn, such as ``within-alphabet``.
    seed : int or None
        What they were drawn from.

    Raises
    ------
    InputError
        The three arrays do not fit each other or `paths`.

    Examples
    --------
    >>> import numpy as np
    >>> episodes = Episodes(np.array([[[0], [2]]]), np.array([[3, 5]]), np.array([[1, -1]]))
    >>> len(episodes), episodes.ways, episodes.shots
    (1, 2, 1)
    >>> episodes.known.tolist(), episodes.unknown.tolist()
    ([[True, False]], [[False, True]])
    """

    support: Indices
    query: Indices
    target: Indices
    paths: tuple[str, ...] = ()
    protocol: str = ""
    seed: int | None = None

    def __post_init__(self) -> None:
        fit = (
            self.support.ndim == 3
            and self.query.ndim == 2
            and self.query.shape == self.target.shape
            and len(self.support) == len(self.query)
        )
        if not fit:
            raise InputError(
                f"episodes: support {self.support.shape}, query {self.query.shape} and target "
                f"{self.target.shape} do not fit (T, ways, shots), (T, Q) and (T, Q)"
            )
        if not self.support.size or not self.query.size:
            raise InputError("episodes: there are none; ask for at least one")
        limit = len(self.paths) or np.iinfo(np.int64).max
        inside = self.support.min() >= 0 and self.query.min() >= -1
        inside &= max(self.support.max(), self.query.max()) < limit
        if not inside or self.target.min() < -1 or self.target.max() >= self.ways:
            raise InputError("episodes: an image or a class number is out of range")
        if (self.target[self.query < 0] >= 0).any():
            raise InputError("episodes: a query that is not there has a class")

    def __len__(self) -> int:
        return len(self.support)

    @property
    def ways(self) -> int:
        """Classes in a support."""
        return int(self.support.shape[1])

    @property
    def shots(self) -> int:
        """Examples of a class in a support."""
        return int(self.support.shape[2])

    @property
    def known(self) -> NDArray[np.bool_]:
        """Queries whose class is in the support, (T, Q)."""
        return self.target >= 0

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Queries whose class is not in the support, (T, Q)."""
        return (self.target < 0) & (self.query >= 0)

    @property
    def used(self) -> Indices:
        """The images that occur, sorted, each once."""
        images = np.unique(np.concatenate([self.support.ravel(), self.query.ravel()]))
        return images[images >= 0]

    def take(self, which: ArrayLike) -> Episodes:
        """Return some of the episodes, by number."""
        rows = np.asarray(which, np.int64)
        return replace(
            self, support=self.support[rows], query=self.query[rows], target=self.target[rows]
        )

    def over(self, paths: Sequence[str], source: object = "the root") -> Episodes:
        """Return the same episodes as indices into another list of paths.

        Raises
        ------
        InputError
            An image that occurs is not in `paths`; the message calls them `source`.
        """
        index = {path: i for i, path in enumerate(paths)}
        place = np.full(len(self.paths) + 1, -1)  # the last entry serves the index -1
        for i in self.used:
            if self.paths[i] not in index:
                raise InputError(
                    f"{self.paths[i]}: an episode names it, but {source} does not hold it; give "
                    f"the root that the episodes were drawn from"
                )
            place[i] = index[self.paths[i]]
        return replace(
            self, support=place[self.support], query=place[self.query], paths=tuple(paths)
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the episodes as JSON, one line each, with the paths that occur in them."""
        if not self.paths:
            raise InputError(f"{path}: episodes without image paths cannot be saved")
        used = self.used
        head = {
            "format": _FORMAT,
            "protocol": self.protocol,
            "seed": self.seed,
            "paths": [self.paths[i] for i in used],
        }
        lines = ",\n".join(
            json.dumps({"support": support, "query": query, "target": target})
            for support, query, target in zip(
                np.searchsorted(used, self.support).tolist(),
                _nulls(np.where(self.query < 0, -1, np.searchsorted(used, self.query))),
                _nulls(self.target),
                strict=True,
            )
        )
        start = json.dumps(head, ensure_ascii=False, indent=1).removesuffix("\n}")
        write_text(path, f'{start},\n "episodes": [\n{lines}\n]}}\n')

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], root: str | os.PathLike[str] | None = None
    ) -> Episodes:
        """Read episodes that :meth:`save` wrote.

        Parameters
        ----------
        path : path-like
            The JSON file.
        root : path-like, optional
            Where given, every image must be there.

        Raises
        ------
        InputError
            The file is missing or holds no episodes, or an image is missing.
        """
        try:
            value = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}; give a file of episodes") from error
        except ValueError as error:
            raise InputError(f"{path}: not JSON; give a file that --episodes-file wrote") from error
        if not isinstance(value, dict) or value.get("format") != _FORMAT:
            raise InputError(f"{path}: holds no episodes; give a file that --episodes-file wrote")
        try:
            rows = value["episodes"]
            episodes = cls(
                support=np.array([row["support"] for row in rows], np.int64),
                query=_whole([row["query"] for row in rows]),
                target=_whole([row["target"] for row in rows]),
                paths=tuple(str(name) for name in value["paths"]),
                protocol=str(value["protocol"]),
                seed=value["seed"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: damaged ({error}); write it again") from error
        for name in episodes.paths if root is not None else ():
            if not (Path(str(root)) / name).is_file():
                raise InputError(
                    f"{path}: {name} is not in {root}; give the root the episodes were drawn from"
                )
        return episodes


def _nulls(values: Indices) -> list[list[int | None]]:
    """Write -1 as JSON's null."""
    return [[None if v < 0 else v for v in row] for row in values.tolist()]


def _whole(rows: list[list[int | None]]) -> Indices:
    return np.array([[-1 if v is None else v for v in row] for row in rows], np.int64)
