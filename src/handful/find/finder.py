"""A few examples define a category on the fly; the collection is ranked by it.

How features are compared is a matter of `handful.methods.heads`, how codes lie on disk and are
searched one of `handful.index`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import Tensor
from torch.nn.functional import normalize

from handful.answers.matches import Match, Matches, SearchKind
from handful.data.pictures import Cutout, Picture, many, name, title
from handful.errors import InputError
from handful.find.coding import RANDOM_BITS, Code, Coding, library_for, random_library
from handful.find.collection import Index
from handful.find.criterion import Criterion, Head, fit_criterion
from handful.index.flat import Flat
from handful.index.hits import Floats, Ints, best
from handful.methods.encoding import encode_pictures
from handful.methods.hashing import HashLibrary
from handful.methods.scores import calibration_of

HeadChoice = Literal["auto", "prototype", "logistic"]

SHORTLIST_FROM = 200_000
"""Pictures above which codes make a shortlist."""

SAMPLE = 2000
"""Pictures of the index that a code is learned on, besides what is given."""

NEGATIVES = 200
"""Pictures of the index that stand for all others, where none are given."""


class Finder(BaseEstimator):  # type: ignore[misc]
    """Rank the pictures of an index by how surely they show what a few examples show.

    Parameters
    ----------
    index : Index or path-like
        The collection.
    head : {"auto", "prototype", "logistic"}
        ``prototype``: by cosine to the mean of the examples, moved away from the mean of what is
        given as unlike them. ``logistic``: by logistic regression against what is given as unlike
        them and `NEGATIVES` random pictures of the index; on photos it is as good from ten
        examples, and less good from fewer. ``auto``: `prototype`.
    bits : int, optional
        Search by codes of so many bits alone: functions of the library vote for them, see
        `handful.methods.hashing.votes`. Only stored bits are read.
    shortlist : "auto", int or None
        Of how many pictures a code makes a shortlist, which features then rank; None: every
        feature is compared. ``auto``: None up to `SHORTLIST_FROM` pictures, above it the larger
        of 5,000, 100 k and a fiftieth of them.
    library : HashLibrary, optional
        The hash functions. By default those that are bundled for the features of handful-base,
        and for other features, and for a shortlist, `handful.find.coding.RANDOM_BITS` random
        hyperplanes.
    seed : int
        Of the random negatives and hyperplanes.

    Attributes
    ----------
    criterion_ : Criterion
        What the examples say.
    skipped_ : tuple of (str, str)
        Examples that could not be read, each with the reason.

    Notes
    -----
    An image is a path, a PIL image, an array (H, W, 3) uint8 or one object of such a picture
    (`handful.data.pictures.Cutout`). A path that is in the index, and unchanged since, is not
    encoded again. The answers leave out the examples themselves, of either kind. Equal scores
    come in the order of the index's rows.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from handful.data.samples import omniglot
    >>> sample = omniglot()
    >>> index = Index.build(sample.folder / "query", Path(tempfile.mkdtemp()) / "index")
    >>> like = [q.path for q in sample.queries if q.label == sample.queries[0].label]
    >>> found = Finder(index).fit(like[0]).search(k=3)
    >>> len(found), found.search, found[0].image == str(like[1])
    (3, 'exact', True)
    """

    def __init__(
        self,
        index: Index | str | os.PathLike[str],
        head: HeadChoice = "auto",
        bits: int | None = None,
        shortlist: int | Literal["auto"] | None = "auto",
        library: HashLibrary | None = None,
        seed: int = 0,
    ) -> None:
        self.index = index
        self.head = head
        self.bits = bits
        self.shortlist = shortlist
        self.library = library
        self.seed = seed

    def fit(
        self,
        examples: Picture | Iterable[Picture],
        not_examples: Picture | Iterable[Picture] = (),
    ) -> Self:
        """Learn what to find from one or more examples.

        Parameters
        ----------
        examples : image or iterable of images
            What shows it.
        not_examples : image or iterable of images
            What does not, though it looks like it.

        Raises
        ------
        InputError
            No example that can be read, a wrong option, or an index of other weights.
        """
        if self.head not in get_args(HeadChoice):
            raise InputError(f"head {self.head!r}: is one of {', '.join(get_args(HeadChoice))}")
        self.index_ = self.index if isinstance(self.index, Index) else Index.open(self.index)
        self._snapshot = self.index_.snapshot()
        self._flat = Flat(self._snapshot.parts, self._snapshot.alive)
        if not len(self._flat):
            raise InputError(f"{self.index_.folder}: holds no picture; run `handful index` again")
        self.skipped_: tuple[tuple[str, str], ...] = ()
        self.examples_, positive, own = self._encoded(many(examples))
        self.not_examples_, negative, others = self._encoded(many(not_examples))
        if not len(positive):
            why = f": {self.skipped_[0][1]}" if self.skipped_ else "; give one or more"
            raise InputError(f"no example to find the like of{why}")
        self._given = np.concatenate([own, others])
        background = self._background(NEGATIVES)
        head: Head = "logistic" if self.head == "logistic" else "prototype"
        if not len(negative) + len(background):
            head = "prototype"  # there is nothing else to tell the examples from
        self.criterion_: Criterion = fit_criterion(
            calibration_of(self.index_.matcher), head, positive, negative, background
        )
        width = positive.shape[1]
        if self.library is not None:
            library = self.library
        elif self.bits is not None:
            library = library_for(self.index_.backbone, width, self.seed)
        else:
            library = random_library(width, self.seed)
        self._coding = Coding(self.index_, self._snapshot, library, self._given)
        self._sample = torch.cat([positive, negative])
        self._code: Code | None = None
        return self

    def search(self, k: int = 20) -> Matches:
        """Return the k pictures that most surely show it, fewer where there are fewer."""
        self._fitted()
        if k < 1:
            raise InputError(f"k is {k}; ask for 1 match or more")
        if self.bits is not None:
            return self._by_codes(k=k)
        size = self._shortlist_size(k)
        if size is None or size >= len(self._flat):
            return self._ranked(self._exact(k), "exact")
        return self._ranked(self._nearest_of(self._shortlisted(size), k), "shortlist")

    def range(self, radius: float) -> Matches:
        """Return every picture at most `radius` from the mean of the examples.

        Parameters
        ----------
        radius : float
            The largest distance: 1 - cosine, or with `bits` the levels below the highest. Copies
            of one example are at a distance of 0, or a few millionths where they were saved anew.
        """
        self._fitted()
        if not radius >= 0:
            raise InputError(f"radius is {radius}; give 0 or more")
        if self.bits is not None:
            return self._by_codes(radius=int(radius))
        ((rows, _),) = self._without_given().range(self.criterion_.prototype.numpy()[None], radius)
        return self._ranked(rows, "exact")

    def explained_score(self, vectors: Tensor) -> Tensor:
        """Score vectors (N, D) of the network as pictures are ranked, (N,); differentiable.

        What `handful.explain.Explainer.explain_score` takes. With `bits` it is the mean margin of
        the functions that vote, as they are weighed.
        """
        criterion = self._fitted()
        unit = normalize(vectors, dim=-1)
        if self.bits is None:
            return criterion.raw(unit)
        votes = self._learned().votes
        code, weighs = self._coding.library.take(votes.functions), votes.weights[:, 0]
        share = weighs / max(np.abs(weighs).sum(), 1)
        # a weighted sum of margins is one margin
        direction = torch.from_numpy(share @ code.weights).to(vectors)
        return unit @ direction + float(share @ code.bias)

    def _fitted(self) -> Criterion:
        if not hasattr(self, "criterion_"):
            raise InputError("this Finder has no examples yet: call fit(examples) first")
        return self.criterion_

    def _encoded(self, pictures: Iterable[Picture]) -> tuple[tuple[str | None, ...], Tensor, Ints]:
        """Return titles, unit features (n, D) and the rows of those that are in the index."""
        found: dict[int, Tensor] = {}
        rows: list[int] = []
        given = list(pictures)
        for place, picture in enumerate(given):
            path = name(picture)
            if path is None:
                continue
            row = self.index_.row_of(self._snapshot, path)
            if row is not None:
                rows.append(row)
                if not isinstance(picture, Cutout):
                    found[place] = torch.from_numpy(self._flat.take([row])[0])
        fresh = [place for place in range(len(given)) if place not in found]
        skipped: list[tuple[str, str]] = []
        if fresh:
            asked = [given[place] for place in fresh]
            for batch, features in encode_pictures(self.index_.matcher, asked, skipped):
                found |= {fresh[p]: row for p, row in zip(batch.places, features, strict=True)}
        self.skipped_ = (*self.skipped_, *skipped)
        places = sorted(found)
        width = self._flat.parts[0].shape[1]
        table = torch.stack([found[p] for p in places]) if places else torch.zeros(0, width)
        titles = tuple(title(given[place]) for place in places)
        return titles, normalize(table, dim=-1), np.array(sorted(set(rows)), np.int64)

    def _background(self, count: int) -> Tensor:
        """Return the features of random pictures of the index, (n, D) with n at most `count`."""
        others = np.flatnonzero(self._without_given().alive)
        rng = np.random.default_rng(self.seed)
        rows = rng.choice(others, min(count, len(others)), replace=False)
        return normalize(torch.from_numpy(self._flat.take(np.sort(rows))), dim=-1)

    def _without_given(self) -> Flat:
        searched = Flat(self._flat.parts, self._flat.alive)
        searched.remove(self._given)
        return searched

    def _target(self) -> NDArray[np.float32]:
        """Return what pictures are compared with, (1, D)."""
        target: NDArray[np.float32] = self.criterion_.target.numpy()[None]
        return target

    def _exact(self, k: int) -> Ints:
        searched = self._without_given()
        if self.criterion_.head == "prototype":
            return searched.search(self._target(), k).rows[0] if len(searched) else _NONE
        scores = searched.score(self.criterion_.raw).astype(np.float64)
        rows = np.flatnonzero(searched.alive)
        return best(rows, -scores[rows], k)[0]

    def _nearest_of(self, rows: Ints, k: int) -> Ints:
        """Return the k of some rows that the criterion ranks first."""
        if self.criterion_.head == "prototype":
            return best(rows, self._flat.rank(self._target()[0], rows), k)[0]
        features = normalize(torch.from_numpy(self._flat.take(rows)), dim=-1)
        return best(rows, -self.criterion_.raw(features).numpy().astype(np.float64), k)[0]

    def _shortlist_size(self, k: int) -> int | None:
        if self.shortlist != "auto":
            return self.shortlist
        count = len(self._flat)
        return max(5000, 100 * k, count // 50) if count > SHORTLIST_FROM else None

    def _shortlisted(self, size: int) -> Ints:
        """Return the rows whose codes are nearest to that of what is looked for."""
        functions = min(RANDOM_BITS, len(self._coding.library))
        query = self._coding.library.take(np.arange(functions)).encode(self._target())
        rows: Ints = self._coding.plain(functions).search(query, size).rows[0]
        return rows

    def _learned(self) -> Code:
        """Return the code of the category, learned when it is first asked for."""
        assert self.bits is not None
        if self._code is None:
            sample = torch.cat([self._sample, self._background(SAMPLE)]).numpy()
            self._code = self._coding.learn(self.bits, sample, self._target()[0])
        return self._code

    def _by_codes(self, k: int | None = None, radius: int = 0) -> Matches:
        code = self._learned()
        query, store = code.query, self._coding.voted(code.votes)
        if k is None:
            ((rows, away),) = store.range(query, radius)
        else:
            hits = store.search(query, k)
            rows, away = hits.rows[0], hits.distances[0]
        cosine = torch.from_numpy(code.levels[away])
        return self._matches(rows, self.criterion_.score_of_cosine(cosine), away, "codes")

    def _ranked(self, rows: Ints, kind: SearchKind) -> Matches:
        """Return matches from rows, in the order of their scores."""
        scores = self.criterion_.score(torch.from_numpy(self._flat.take(rows)))
        return self._matches(
            rows, scores, self._flat.rank(self.criterion_.prototype.numpy(), rows), kind
        )

    def _matches(
        self, rows: Ints, scores: Tensor, distances: Floats | Ints, kind: SearchKind
    ) -> Matches:
        paths = self.index_.paths(self._snapshot, rows.tolist())
        triples: Sequence[tuple[str, float, float]] = list(
            zip(paths, scores.tolist(), distances.tolist(), strict=True)
        )
        return Matches(
            tuple(Match(*triple) for triple in triples),
            kind,
            self.index_.model,
            self.index_.backbone,
            self.criterion_.head if kind != "codes" else "code",
            len(self._flat),
            self.examples_,
            self.not_examples_,
            self.bits if kind == "codes" else None,
            self.skipped_,
        )


_NONE: Ints = np.empty(0, np.int64)
