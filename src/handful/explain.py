"""Explain: where pictures are alike, where they differ, and how much those places matter.

The verb knows people's pictures; which network compares them is a method's business, and what a
map is a matter of `handful.methods.similarity_attention`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import Tensor
from torch.nn.functional import normalize

from handful import methods
from handful.answers import AttentionMap, Evidence, Explanation
from handful.answers.explanation import Role
from handful.backbones.cut import cut
from handful.backbones.embedder import NetworkEmbedder
from handful.data.pictures import Picture, batches, many, name
from handful.errors import InputError
from handful.methods import erasing
from handful.methods.choice import choose_model
from handful.methods.matcher import Matcher
from handful.methods.scored import (
    Score,
    View,
    class_score,
    gradient_of,
    margin,
    margin_shares,
    share,
)
from handful.methods.scores import as_score, calibrated
from handful.methods.similarity_attention import Pooling, direction, tuple_weights
from handful.methods.support_set import SupportSet

Weights = Literal["score", "difference"]

SIZE = 224
"""Side to which photos are brought where nobody says otherwise, in pixels."""


class FittedRecognizer(Protocol):
    """What `Explainer.explain_label` needs of a `Recognizer`."""

    classes_: NDArray[np.str_]

    @property
    def support_(self) -> SupportSet:
        """The encoded support."""
        ...


class Explainer(BaseEstimator):  # type: ignore[misc]
    """Show why a model finds pictures alike or different; nothing has to be fitted.

    Parameters
    ----------
    model : str, path or Matcher
        ``"auto"`` (by what the pictures are, drawings or photos), a name of the zoo, the
        directory of a saved entry, or a method object that has a network.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ...
    weights : {"score", "difference"}
        ``score``: a map shows what the score itself is made of, the similarity to the positives
        less that to the negatives. ``difference``: the weight vectors of Zheng et al., 2022, made
        of the differences of the features.
    pooling : {"mean", "local"}
        Whether a channel weighs the same everywhere; see `handful.methods.similarity_attention`.
    layer : str, optional
        The map to explain by: a name of the backbone's maps, or the path of a module. By default
        the last.
    size : int
        Side to which photos are brought, in pixels: larger than to recognize them, because the
        last map has a cell for 32 pixels. Methods for drawings, and method objects, have their own.

    Notes
    -----
    An image is a path, a PIL image or an array (H, W, 3) uint8.

    A score of the vector's direction alone, as a cosine is, is shared out over the positions: by
    ``score`` the map of a bias-free head adds up to the score where that is above zero. Its bare
    gradient adds up to zero, and leaves out what an image has in common with what it is like; what
    it marks matters less when it is erased (``handful evaluate erasing``). Where the score is
    below zero there is nothing to share out, and the gradient shows what speaks for it.

    Examples
    --------
    >>> from handful.data.samples import omniglot
    >>> pictures = [query.path for query in omniglot().queries[:2]]
    >>> found = Explainer().explain(pictures[0], positive=pictures[1])
    >>> [one.role for one in found], found.anchor.resized().shape == found.anchor.size
    (['anchor', 'positive'], True)
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Matcher = "auto",
        device: str = "auto",
        weights: Weights = "score",
        pooling: Pooling = "mean",
        layer: str | None = None,
        size: int = SIZE,
    ) -> None:
        self.model = model
        self.device = device
        self.weights = weights
        self.pooling = pooling
        self.layer = layer
        self.size = size

    def explain(
        self,
        anchor: Picture,
        positive: Picture | Iterable[Picture] = (),
        negative: Picture | Iterable[Picture] = (),
    ) -> Explanation:
        """Explain why the anchor is like the positives, unlike the negatives, or both.

        Parameters
        ----------
        anchor : image
            The picture in question.
        positive, negative : image or iterable of images
            Pictures that it is compared with, one at least.

        Returns
        -------
        Explanation
            One map for each picture, the anchor first. The evidence is about the similarity to the
            positives; without any, about that to the negatives with its sign turned.

        Raises
        ------
        InputError
            Nothing to compare with, an unreadable picture, or a model without a network.
        """
        like, unlike = list(many(positive)), list(many(negative))
        if not like and not unlike:
            raise InputError("nothing to compare with: give --like or --unlike pictures")
        pictures = [anchor, *like, *unlike]
        view = self._look(pictures)
        alike: Role = "positive"
        different: Role = "negative"
        roles: list[Role] = ["anchor", *[alike] * len(like), *[different] * len(unlike)]
        vectors = view.vectors.detach()
        if self.weights == "difference":
            features = normalize(vectors, dim=-1)
            first = 1 + len(like)
            joined = tuple_weights(features[0], list(features[1:first]), list(features[first:]))
            gradient = direction(vectors, joined)
        else:
            gradient = gradient_of(lambda found: margin(view.matcher, found, len(like)), vectors)
            gradient = gradient + margin_shares(view.matcher, vectors, len(like))
        pairs = view.matcher.compare(vectors[:1], vectors[1:])[0]
        others, sign, what = (
            (vectors[1 : 1 + len(like)], 1, "similarity to the positives")
            if like
            else (vectors[1:], -1, "similarity to the negatives, its sign turned")
        )

        def score(found: Tensor) -> Tensor:
            return sign * view.matcher.compare(found, others).mean(1)

        similarity: dict[str, object] = {
            "positive": pairs[: len(like)].tolist(),
            "negative": pairs[len(like) :].tolist(),
        }
        return self._answer(view, pictures, roles, gradient, score, what, similarity)

    def explain_score(self, picture: Picture, score: Score, of: str = "score") -> Explanation:
        """Explain any score of one picture.

        Parameters
        ----------
        picture : image
            The picture that was scored.
        score : callable
            Maps vectors (N, D) of the model's network, on its device, to scores (N,).
        of : str
            What the score is, in a few words.

        Returns
        -------
        Explanation
            One map, of what raises the score.
        """
        return self._explain_score(self._look([picture]), picture, score, of)

    def explain_label(
        self, recognizer: FittedRecognizer, query: Picture, against: str | None = None
    ) -> Explanation:
        """Explain why a recognizer gives a picture its best label.

        Parameters
        ----------
        recognizer : Recognizer
            Fitted, with the model that is to be explained.
        query : image
            The picture that it named.
        against : str, optional
            Explain why the label is the best one and not this one.

        Raises
        ------
        InputError
            `against` is no class of the recognizer.
        """
        support = recognizer.support_
        classes = [str(label) for label in recognizer.classes_]
        if against is not None and against not in classes:
            raise InputError(f"against {against!r}: is one of {', '.join(classes)}")
        view = self._with(support.matcher)._look([query])
        vectors = view.vectors.detach()
        best = int(support.raw(vectors.cpu())[0].argmax())
        score, of = class_score(support, best, vectors), f"similarity to {classes[best]!r}"
        if against is None:
            return self._explain_score(view, query, score, of)
        rival = class_score(support, classes.index(against), vectors)
        of = f"{of} less that to {against!r}"
        return self._explain_score(view, query, lambda v: score(v) - rival(v), of)

    def explain_pair(self, a: Picture, b: Picture) -> Explanation:
        """Explain why two pictures show the same, or why they do not: what `verify` answers.

        Returns
        -------
        Explanation
            Of two pictures alike where their score reaches the model's threshold, otherwise of
            two that differ; `similarity` also holds ``score``, ``threshold`` and ``same``.

        Raises
        ------
        InputError
            The model was never calibrated for such decisions.
        """
        view = self._look([a, b])
        limit = calibrated(view.matcher, "same/different decisions").verify
        with torch.no_grad():
            raw = view.matcher.compare(view.vectors[:1], view.vectors[1:])
        score = float(as_score(view.matcher, raw))
        same = score >= limit
        found = self.explain(a, b) if same else self.explain(a, negative=b)
        found.similarity.update(score=score, threshold=limit, same=same)
        return found

    def _with(self, matcher: Matcher) -> Explainer:
        return Explainer(matcher, self.device, self.weights, self.pooling, self.layer, self.size)

    def _explain_score(self, view: View, picture: Picture, score: Score, of: str) -> Explanation:
        vectors = view.vectors.detach()
        gradient = gradient_of(lambda found: score(found).sum(), vectors)
        with torch.no_grad():
            value, doubled = score(vectors), score(2 * vectors)
        similarity: dict[str, object] = {of: float(value)}
        if torch.allclose(value, doubled, rtol=1e-4):
            gradient = gradient + share(value, vectors)
        return self._answer(view, [picture], ["anchor"], gradient, score, of, similarity)

    def _look(self, pictures: Sequence[Picture]) -> View:
        """Decode pictures and run the network over them once."""
        for given, options in ((self.weights, Weights), (self.pooling, Pooling)):
            if given not in get_args(options):
                raise InputError(f"{given!r}: is one of {', '.join(get_args(options))}")
        images = [image for _, part in batches(pictures) for image in part]
        matcher, chosen = self._load(images)
        embedder = getattr(matcher, "embedder", None)
        if not isinstance(embedder, NetworkEmbedder):
            raise InputError(f"{matcher.name}: has no network to explain; take another --model")
        network = cut(embedder.network, self.layer)
        pixels = embedder.pixels(images)
        closed = network.head is not None
        with torch.set_grad_enabled(not closed):
            maps, vectors = network.both(pixels if closed else pixels.requires_grad_())
        return View(matcher, chosen, embedder, network, images, pixels.detach(), maps, vectors)

    def _load(self, images: Sequence[NDArray[np.uint8]]) -> tuple[Matcher, str]:
        if not isinstance(self.model, str | os.PathLike):
            return self.model, "as given"
        given = str(self.model)
        model, chosen = given, "as asked"
        if given == "auto":
            model, chosen = choose_model(len(images), images.__getitem__)
        key = (model, self.device, self.size)
        if getattr(self, "_loaded", (None,))[0] != key:
            self._loaded = key, methods.load(model, device=self.device, size=self.size)
        return self._loaded[1], chosen

    def _answer(
        self,
        view: View,
        pictures: Sequence[Picture],
        roles: Sequence[Role],
        gradient: Tensor,
        score: Score,
        of: str,
        similarity: dict[str, object],
    ) -> Explanation:
        """Bring the gradients by the vectors to the maps, and look at what they mark."""
        maps = view.attention(gradient, self.pooling)
        falls = erasing.measure_falls(
            lambda x: score(view.network.both(x)[1]),
            view.pixels[:1],
            erasing.top_mask(maps[:1], (view.pixels.shape[2], view.pixels.shape[3])),
            torch.Generator().manual_seed(0),
        )
        evidence = Evidence(
            of,
            erasing.SHARE,
            float(falls.before),
            float(falls.after),
            tuple(falls.shifted[0].tolist()),
        )
        peaks = maps.amax((1, 2), keepdim=True)
        grids = torch.where(peaks > 0, maps / peaks.clamp_min(1e-30), maps).float().cpu().numpy()
        return Explanation(
            tuple(
                AttentionMap(name(picture), role, grid, image.shape[:2], view.embedder.place(image))
                for picture, role, grid, image in zip(
                    pictures, roles, grids, view.images, strict=True
                )
            ),
            similarity,
            evidence,
            view.matcher.name,
            view.matcher.backbone,
            view.chosen,
        )
