"""Recognize: which class of a handful of labelled examples an image shows, or none of them.

The verb knows people's pictures; how two pictures are compared is a method's business
(`handful.methods`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import Tensor

from handful import methods, zoo
from handful.answers import Label, Labels, Verification
from handful.data.pictures import Picture, box, decode_ahead, is_one, many, name, title
from handful.data.support import Support
from handful.errors import InputError
from handful.methods.choice import Read, choose_model
from handful.methods.decoding import enough_side
from handful.methods.encoding import encode_pictures
from handful.methods.grouping import group_alike
from handful.methods.matcher import Matcher
from handful.methods.scores import as_score, calibrated, threshold
from handful.methods.support_check import check_support
from handful.methods.support_set import SupportSet

_LOOK = 256
"""Side from which a picture says whether it is a drawing."""


class Recognizer(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Name what an image shows, given one or a few labelled examples of each class.

    Parameters
    ----------
    model : str, path or Matcher
        ``"auto"`` (drawings or photos, see `handful.methods.choice`), a name of the zoo, the
        directory of a saved entry, or a method object.
    reject : "auto", None or float
        An image whose best score is below this is answered "none of these". ``"auto"`` is the
        model's threshold, calibrated on validation classes (a model without one never rejects);
        None never rejects; a number lies in [0, 1].
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ...
    size : int or None
        Side to which photos are brought, in pixels; None is the model's own.
    backbone_weights : path or None
        A weights file of the network that ``METHOD:BACKBONE`` names; None is the library's own.

    Attributes
    ----------
    classes_ : ndarray of str, (n_classes,)
        The labels, sorted: the columns of `scores` and `predict_proba`.
    matcher_ : Matcher
        The method in use.
    chosen_ : str
        Why this method is in use.
    images_ : tuple of (str or None)
        The paths of the examples, where they have one, with their boxes.
    groups_ : tuple of (str or None), or None
        What each example must not be parted from, where that was given.
    skipped_ : tuple of (str, str)
        Files of the support that could not be read, each with the reason.
    check_ : SupportCheck or None
        The support with each example (and what is of its group) left out once; None where no
        class can spare one.

    Notes
    -----
    An image is a path, a PIL image or an array (H, W, 3) uint8, or one object of such a picture
    (`handful.data.pictures.Cutout`; the `pictures` of a manifest). One image in gives one answer;
    a list in gives a list. The support is encoded once, in `fit`: where it has boxes or masks,
    the objects are cut out.

    Examples
    --------
    >>> from handful.data.samples import omniglot
    >>> sample = omniglot()
    >>> recognizer = Recognizer(model="nearest-neighbour").fit(sample.support)
    >>> answer = recognizer.predict(sample.queries[0].path)
    >>> answer.nearest in recognizer.classes_, 0 <= answer.score <= 1
    (True, True)
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Matcher = "auto",
        reject: float | str | None = "auto",
        device: str = "auto",
        size: int | None = None,
        backbone_weights: str | os.PathLike[str] | None = None,
    ) -> None:
        self.model = model
        self.reject = reject
        self.device = device
        self.size = size
        self.backbone_weights = backbone_weights

    def fit(
        self, images: Iterable[Picture] | Support, labels: Iterable[object] | None = None
    ) -> Recognizer:
        """Learn the classes from one or more examples of each.

        Parameters
        ----------
        images : iterable of images, or Support
            The examples, in any order; a Support brings its labels.
        labels : iterable of str
            The class of each example; what is no string becomes one.

        Returns
        -------
        Recognizer
            Itself.

        Raises
        ------
        InputError
            An unreadable image, lengths that differ, fewer than two classes, or a wrong
            `reject`.
        """
        support = images if isinstance(images, Support) else _support(images, labels)
        classes, index = np.unique(support.labels, return_inverse=True)
        if len(classes) < 2:
            raise InputError(
                f"the support has one class only ({', '.join(classes)}): give examples of two"
            )
        matcher, chosen = self._load(len(support), partial(support.read_object, at_least=_LOOK))
        side = enough_side(matcher)
        decoded = (support.read_object(place, side) for place in range(len(support)))
        features = torch.cat([part for _, part in encode_pictures(matcher, decoded)])
        self.skipped_ = support.skipped
        known = SupportSet(matcher, features, torch.from_numpy(index))
        images_ = tuple(map(title, support.images))
        return self._know(known, classes, images_, support.groups, chosen)

    @overload  # a str is an iterable of str too; the first form wins
    def predict(  # type: ignore[overload-overlap]
        self, images: Picture, on_error: Literal["raise", "skip"] = ..., group_new: bool = ...
    ) -> Label: ...

    @overload
    def predict(
        self,
        images: Iterable[Picture],
        on_error: Literal["raise", "skip"] = ...,
        group_new: bool = ...,
    ) -> Labels: ...

    def predict(
        self,
        images: Picture | Iterable[Picture],
        on_error: Literal["raise", "skip"] = "raise",
        group_new: bool = False,
    ) -> Label | Labels:
        """Name each image, or answer "none of these" (a label of None).

        Parameters
        ----------
        images : image or iterable of images
            What to name.
        on_error : "raise" or "skip"
            What to do about an image that cannot be read: raise, or list it in
            ``Labels.skipped`` and answer the rest.
        group_new : bool
            Put the images answered "none of these" into groups that show the same, by
            `handful.methods.grouping`: their `Label.group` is ``new-1``, ``new-2``, ... by first
            appearance.

        Returns
        -------
        Label or Labels
            One answer for one image; for several, the answers in their order.

        Raises
        ------
        InputError
            Not fitted, an unreadable image, or groups asked of a model without calibration.
        """
        support = self._fitted()
        if group_new:
            calibrated(support.matcher, "groups of new images")
        skipped: list[tuple[str, str]] | None = [] if on_error == "skip" else None
        answers: list[Label] = []
        strangers: list[Tensor] = []
        for batch, features in encode_pictures(support.matcher, many(images), skipped):
            raw = support.raw(features)
            new = list(map(self._label, batch.pictures, raw, as_score(support.matcher, raw)))
            answers += new
            strangers += [row for row, a in zip(features, new, strict=True) if a.label is None]
        if group_new and strangers:
            groups = iter(group_alike(support.matcher, torch.stack(strangers)))
            answers = [
                replace(answer, group=f"new-{next(groups) + 1}") if answer.label is None else answer
                for answer in answers
            ]
        if is_one(images):
            return answers[0]
        return Labels(
            tuple(answers),
            model=self.matcher_.name,
            backbone=self.matcher_.backbone,
            threshold=self.threshold_,
            chosen=self.chosen_,
            skipped=tuple(skipped or ()),
            warnings=self.check_.warnings if self.check_ else (),
        )

    def scores(self, images: Picture | Iterable[Picture]) -> NDArray[np.float32]:
        """Score each image against each class.

        Returns
        -------
        ndarray
            (n, n_classes) in [0, 1], or (n_classes,) for one image: the calibrated probability
            that the image shows what the class's examples show, each class on its own. For a
            model without calibration, a monotone map of its raw scores.
        """
        matcher = self._fitted().matcher
        return self._table(images, lambda raw: as_score(matcher, raw))

    def predict_proba(self, images: Picture | Iterable[Picture]) -> NDArray[np.float32]:
        """Give the probability of each class, taking for granted that it is one of them.

        Returns
        -------
        ndarray
            (n, n_classes), or (n_classes,) for one image; rows sum to 1, columns are
            `classes_`: ``softmax(temperature * raw)``, the temperature fitted on validation
            classes.

        Raises
        ------
        InputError
            The model has no calibration.
        """
        temperature = calibrated(self._fitted().matcher, "probabilities").temperature
        return self._table(images, lambda raw: torch.softmax(temperature * raw, dim=1))

    def score(self, images: Iterable[Picture], labels: Iterable[object]) -> float:
        """Return the share of images that `predict` names rightly; a rejection is wrong."""
        pairs = zip(self.predict(list(images)), labels, strict=True)
        return float(np.mean([answer.label == str(label) for answer, label in pairs]))

    def verify(self, a: Picture, b: Picture) -> Verification:
        """Say whether two images show the same class; needs no `fit`.

        Raises
        ------
        InputError
            An unreadable image, or a model without calibration.
        """
        pictures = [image for batch in decode_ahead([a, b]) for image in batch.images]
        if hasattr(self, "matcher_"):
            matcher, chosen = self.matcher_, self.chosen_
        else:
            matcher, chosen = self._load(2, pictures.__getitem__)
        limit = calibrated(matcher, "same/different decisions").verify
        pair = matcher.encode(pictures)
        score = float(as_score(matcher, matcher.compare(pair[:1], pair[1:])))
        return Verification(score >= limit, score, limit, matcher.name, matcher.backbone, chosen)

    @property
    def threshold_(self) -> float | None:
        """The score below which an image is rejected; None: never."""
        return threshold(self._fitted().matcher, self.reject)

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write the fitted state, without the pictures and without the model's weights.

        Parameters
        ----------
        directory : path-like
            A folder, created where missing; `load` and ``handful recognize --model`` read it.
        """
        support = self._fitted()
        state = {
            "reject": self.reject if self.reject in (None, "auto") else self.threshold_,
            "classes": self.classes_.tolist(),
            "images": self.images_,
            "size": self.size,
            "backbone_sha256": methods.backbone_digest(self.matcher_),
        }
        if self.groups_ is not None:
            state["groups"] = self.groups_
        tensors = {"features": support.features, "index": support.index}
        model = self.model if isinstance(self.model, str | os.PathLike) else ""
        found = model if zoo.is_entry(model) else self.matcher_.name
        zoo.write_fitted(directory, "recognize", found, state, tensors)

    @classmethod
    def load(
        cls,
        directory: str | os.PathLike[str],
        model: str | os.PathLike[str] | Matcher | None = None,
        device: str = "auto",
        backbone_weights: str | os.PathLike[str] | None = None,
    ) -> Recognizer:
        """Read what `save` wrote; `predict` then answers as before, bit for bit.

        Parameters
        ----------
        directory : path-like
            The folder that `save` wrote.
        model : str, path or Matcher, optional
            The method that encoded the support, where it is no entry of the zoo.
        device, backbone_weights
            As in the constructor.

        Raises
        ------
        InputError
            No such directory, a damaged one, or a model that has changed since.
        """
        state, tensors = zoo.read_fitted(directory, "recognize")
        name = model or state["model"]
        self = cls(name, state["reject"], device, state.get("size"), backbone_weights)
        matcher = self._load()[0]
        known = state.get("backbone_sha256")
        if known != (found := methods.backbone_digest(matcher)):
            raise InputError(
                f"{directory}: was fitted on backbone weights with SHA-256 {known}, not {found};"
                " give the same with --backbone-weights"
            )
        support = SupportSet(matcher, tensors["features"], tensors["index"])
        self.skipped_ = ()
        groups = tuple(state["groups"]) if "groups" in state else None
        classes, images = np.array(state["classes"]), tuple(state["images"])
        return self._know(support, classes, images, groups, f"saved in {directory}")

    def _know(
        self,
        support: SupportSet,
        classes: NDArray[np.str_],
        images: tuple[str | None, ...],
        groups: tuple[str | None, ...] | None,
        chosen: str,
    ) -> Recognizer:
        """Take over a fitted state, all of it or, where it fails, nothing."""
        limit = threshold(support.matcher, self.reject)
        check = check_support(support, classes.tolist(), images, limit, groups)
        self._support, self.classes_, self.images_, self.groups_ = support, classes, images, groups
        self.matcher_, self.chosen_, self.check_ = support.matcher, chosen, check
        return self

    @property
    def support_(self) -> SupportSet:
        """The encoded support."""
        return self._fitted()

    def _load(self, count: int = 0, read: Read | None = None) -> tuple[Matcher, str]:
        """Return the method and why; `read` gives one of `count` pictures to choose it by."""
        if not isinstance(self.model, str | os.PathLike):
            return self.model, "as given"
        model, chosen = str(self.model), "as asked"
        if model == "auto" and read is not None:
            model, chosen = choose_model(count, read)
        weights = self.backbone_weights
        found = methods.load(model, None, self.device, self.size, backbone_weights=weights)
        return found, chosen

    def _fitted(self) -> SupportSet:
        if not hasattr(self, "_support"):
            raise InputError("this Recognizer knows no classes yet: call fit(images, labels) first")
        return self._support

    def _table(
        self, images: Picture | Iterable[Picture], value: Callable[[Tensor], Tensor]
    ) -> NDArray[np.float32]:
        support = self._fitted()
        encoded = encode_pictures(support.matcher, many(images))
        rows = [value(support.raw(features)) for _, features in encoded]
        table = torch.cat(rows) if rows else torch.zeros(0, support.ways)
        found: NDArray[np.float32] = table.numpy()
        return found[0] if is_one(images) else found

    def _label(self, picture: Picture, raw: Tensor, scores: Tensor) -> Label:
        # ordered by raw scores: the sigmoid's may tie where the raw ones do not
        order = torch.argsort(raw, descending=True, stable=True).tolist()
        ranking = tuple((str(self.classes_[way]), float(scores[way])) for way in order)
        (best, score), limit = ranking[0], self.threshold_
        rejected = limit is not None and score < limit
        label = None if rejected else best
        return Label(name(picture), label, score, ranking, box(picture))


def _support(images: Iterable[Picture], labels: Iterable[object] | None) -> Support:
    if labels is None or is_one(images):
        raise InputError("give a list of images and a list with the label of each")
    return Support.from_arrays(images, labels)
