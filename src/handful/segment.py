"""Segment: where in a picture is what a handful of examples show, if it is there.

Examples have masks, or boxes, or labels alone.

The verb knows people's pictures; how a class is found from its examples is a method's business
(`handful.methods.segmenter`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from handful import zoo
from handful.answers import Region, Segmentation, Segmentations
from handful.data.pictures import decode_ahead, is_one, many, name
from handful.data.segmentation.photos import SegmentationSet
from handful.data.support import Support
from handful.errors import InputError
from handful.files import sha256
from handful.images import ImageLike
from handful.images.tones import brighten
from handful.methods import segmenters
from handful.methods.choice import MATTER, THINGS, choose_segmenter
from handful.methods.masks.learning import finds_better, learn, objects_zoom
from handful.methods.masks.refining import Refine, refine_masks
from handful.methods.masks.separating import SPECK, separate
from handful.methods.masks.states import pack_states, unpack_states
from handful.methods.masks.support import Given, MaskLike, Taught, gather
from handful.methods.masks.zoom import Zoom, decide_at, soft_masks
from handful.methods.segmenter import Image, SegmentationMethod

# what one picture may need at a time: the next is decoded meanwhile
_AHEAD = 1


class Segmenter(BaseEstimator):  # type: ignore[misc]
    """Find the pixels of each class in a picture, given one or a few examples of each.

    Best are examples with masks. Of boxes GrabCut makes masks; where there are labels alone, the
    places at which a picture is like the examples of a class are found by similarity attention.

    Parameters
    ----------
    model : str, path or SegmentationMethod
        ``"auto"`` (see `handful.methods.choice.choose_segmenter`; where a classifier of pixels
        finds the examples themselves better, that), a name of
        `handful.methods.segmenters`, or a method object.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ...
    reject : "auto", None or float
        A class whose score is below this is answered as absent. ``"auto"`` is the model's
        threshold; None never answers so unless no pixel is found; a number lies in [0, 1].
    refine : "edges", "grabcut" or None
        How masks are drawn to the edges of the picture, see `handful.methods.masks.refining`.
    split : bool
        Whether objects that touch are counted one by one, see `handful.methods.masks.separating`.
    min_area : "auto" or float
        Parts of fewer pixels are left out. ``"auto"``: a tenth of a typical object, which is the
        median of the connected parts of the examples' masks; a hundredth of the picture where
        they have none.
    weights, backbone_weights : path-like, optional
        Weights files of the model and of the network that it stands on.

    Attributes
    ----------
    classes_ : ndarray of str
        The labels, in the order of every answer.
    method_ : SegmentationMethod
        The method in use.
    chosen_ : str
        Why this method is in use.
    zoom_ : Zoom
        At which size pictures are seen; the examples' objects decide.
    images_ : tuple of (str or None)
        The paths of the examples, where they have one.
    skipped_ : tuple of (str, str)
        Files of the support that were left out, each with the reason.
    check_ : MaskCheck or None
        The support with each example left out once; None where no class can spare one.

    Notes
    -----
    An image is a path, a PIL image or an array (H, W, 3) uint8; a mask is one of (H, W) in which
    any value but 0 is the object. One image in gives one answer; a list in gives a list. The
    support is encoded once, in `fit`. A query is encoded once for all classes; masks have its own
    size.

    Examples
    --------
    >>> photo = np.full((96, 96, 3), 60, np.uint8)
    >>> photo[32:64, 16:48] = (250, 180, 0)
    >>> mask = photo[..., 0] > 60
    >>> found = Segmenter().fit(photo, mask).predict(photo[:, ::-1])
    >>> found["object"].mask.shape, bool(found["object"].mask[48, 64])
    ((96, 96), True)
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | SegmentationMethod = "auto",
        device: str = "auto",
        reject: float | str | None = "auto",
        refine: Refine | None = "edges",
        split: bool = False,
        min_area: float | Literal["auto"] = "auto",
        weights: str | os.PathLike[str] | None = None,
        backbone_weights: str | os.PathLike[str] | None = None,
    ) -> None:
        self.model = model
        self.device = device
        self.reject = reject
        self.refine = refine
        self.split = split
        self.min_area = min_area
        self.weights = weights
        self.backbone_weights = backbone_weights

    def fit(
        self,
        images: Given,
        masks: Iterable[MaskLike] | MaskLike | None = None,
        labels: Iterable[object] | object | None = None,
    ) -> Segmenter:
        """Learn the classes from one or more examples of each.

        Parameters
        ----------
        images : pictures, SegmentationSet or Support
            The examples; a set brings its masks and labels, a support its labels and boxes. A
            picture may be given several times, with several labels. A
            `handful.data.pictures.Cutout` has a box, of which GrabCut makes a mask.
        masks : masks, optional
            One for each image; or for each a mapping of labels to masks.
        labels : iterable of str, optional
            The class of each mask or box, ``object`` where not given; of each picture, where
            there are labels alone.

        Returns
        -------
        Segmenter
            Itself.

        Raises
        ------
        InputError
            An unreadable image, a mask of another size, an empty mask or one without
            surroundings, labels alone for a model that learns from masks, lengths that differ, or
            a wrong option.
        """
        classes, examples, taught = gather(images, masks, labels)
        zoom = objects_zoom(classes, examples) if taught != "labels" else None
        method, chosen = self._load(taught, zoom, len(classes))
        _limit(method, self.reject)
        learned = learn(method, classes, examples, zoom)
        if self.model == "auto" and method.name == THINGS:
            rival = learn(self._named(MATTER), classes, examples, zoom)
            if finds_better(rival, learned):
                learned, chosen = rival, f"{chosen}, which it finds better than {THINGS}"
        self.check_ = learned.check
        self.skipped_ = images.skipped if isinstance(images, SegmentationSet | Support) else ()
        self.images_ = tuple(example.image for example in examples)
        return self._know(learned.method, np.array(classes), learned.states, learned.zoom, chosen)

    @overload  # a str is an iterable of str too; the first form wins
    def predict(  # type: ignore[overload-overlap]
        self, images: ImageLike, on_error: Literal["raise", "skip"] = ...
    ) -> Segmentation: ...

    @overload
    def predict(
        self, images: Iterable[ImageLike], on_error: Literal["raise", "skip"] = ...
    ) -> Segmentations: ...

    def predict(
        self,
        images: ImageLike | Iterable[ImageLike],
        on_error: Literal["raise", "skip"] = "raise",
    ) -> Segmentation | Segmentations:
        """Find the classes in each image.

        Parameters
        ----------
        images : image or iterable of images
            What to segment.
        on_error : "raise" or "skip"
            What to do about an image that cannot be read: raise, or list it in
            ``Segmentations.skipped`` and answer the rest.

        Returns
        -------
        Segmentation or Segmentations
            One answer for one image; for several, the answers in their order.

        Raises
        ------
        InputError
            Not fitted, or an unreadable image.
        """
        limit = self.threshold_
        skipped: list[tuple[str, str]] | None = [] if on_error == "skip" else None
        answers = [
            self._segment(name(picture), image)
            for batch in decode_ahead(many(images), skipped, _AHEAD)
            for picture, image in zip(batch.pictures, batch.images, strict=True)
        ]
        if is_one(images):
            return answers[0]
        return Segmentations(
            tuple(answers),
            model=self.method_.name,
            backbone=self.method_.backbone,
            threshold=limit,
            chosen=self.chosen_,
            skipped=tuple(skipped or ()),
            warnings=(
                *(self.check_.warnings if self.check_ else ()),
                *(warning for answer in answers for warning in answer.warnings),
            ),
        )

    @property
    def threshold_(self) -> float | None:
        """The score below which a class is answered as absent; None: never."""
        if not hasattr(self, "states_"):
            raise InputError("this Segmenter knows no classes yet: call fit(images, masks) first")
        return _limit(self.method_, self.reject)

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write the fitted state, without the pictures and without the model's weights.

        Parameters
        ----------
        directory : path-like
            A folder, created where missing; `load` and ``handful segment --model`` read it.

        Raises
        ------
        InputError
            Not fitted, or a method that keeps nothing.
        """
        limit = self.threshold_
        kind, tensors = pack_states(self.states_)
        asked = self.model if isinstance(self.model, str | os.PathLike) else "auto"
        state: dict[str, Any] = {
            "method": self.method_.name if asked == "auto" else segmenters.rooted(asked),
            "kind": kind,
            "classes": self.classes_.tolist(),
            "images": self.images_,
            "zoom": asdict(self.zoom_),
            "reject": self.reject if self.reject in (None, "auto") else limit,
            "refine": self.refine,
            "split": self.split,
            "min_area": self.min_area,
        }
        for option in ("weights", "backbone_weights"):
            path = getattr(self, option)
            if path is not None:
                # of a folder that a training wrote, the weights in it
                file = zoo.weights(path) if Path(path).is_dir() else Path(path)
                state[option] = {"path": str(file.resolve()), "sha256": sha256(file)}
        zoo.write_fitted(directory, "segment", self.method_.backbone, state, tensors)

    @classmethod
    def load(
        cls,
        directory: str | os.PathLike[str],
        model: str | os.PathLike[str] | SegmentationMethod | None = None,
        device: str = "auto",
    ) -> Segmenter:
        """Read what `save` wrote; `predict` then answers as before, bit for bit.

        Parameters
        ----------
        directory : path-like
            The folder that `save` wrote.
        model : str or SegmentationMethod, optional
            The method that the support was learned by, where its name alone does not give it.
        device : str
            As in the constructor.

        Raises
        ------
        InputError
            No such directory, a damaged one, or weights that are gone or have changed since.
        """
        state, tensors = zoo.read_fitted(directory, "segment")
        self = cls(
            model or state["method"],
            device,
            state["reject"],
            state["refine"],
            state["split"],
            state["min_area"],
            _weights(state.get("weights"), directory),
            _weights(state.get("backbone_weights"), directory),
        )
        states = unpack_states(state["kind"], tensors, len(state["classes"]))
        self.check_, self.skipped_, self.images_ = None, (), tuple(state["images"])
        classes, zoom = np.array(state["classes"]), Zoom(**state["zoom"])
        return self._know(self._load()[0], classes, states, zoom, f"saved in {directory}")

    def _know(
        self,
        method: SegmentationMethod,
        classes: NDArray[np.str_],
        states: list[Any],
        zoom: Zoom,
        chosen: str,
    ) -> Segmenter:
        self.method_, self.classes_, self.states_ = method, classes, states
        self.zoom_, self.chosen_ = zoom, chosen
        return self

    def _load(
        self, taught: Taught = "masks", zoom: Zoom | None = None, classes: int = 1
    ) -> tuple[SegmentationMethod, str]:
        """Return the method and why."""
        if not isinstance(self.model, str | os.PathLike):
            return self.model, "as given"
        asked = str(self.model)
        chosen = "as asked"
        if asked == "auto":
            asked, chosen = choose_segmenter(taught, zoom, classes)
        elif taught == "boxes":
            chosen = "as asked; GrabCut made the masks of the boxes"
        return self._named(asked), chosen

    def _named(self, name: str) -> SegmentationMethod:
        return segmenters.load(name, self.weights, self.device, self.backbone_weights)

    def _segment(self, path: str | None, image: Image) -> Segmentation:
        height, width = image.shape[:2]
        image = brighten(image)
        soft, presence = soft_masks(self.method_, image, self.states_, self.zoom_)
        limit = self.threshold_
        # an absent class takes no pixel from another
        there = np.flatnonzero(presence.numpy() >= (0.0 if limit is None else limit)).tolist()
        masks: dict[int, NDArray[np.bool_]] = {}
        if there:
            kept = soft[there]
            if self.refine is not None:
                kept = refine_masks(kept, image, self.refine)
            masks = dict(zip(there, decide_at(kept, (height, width)), strict=True))
        typical = self.zoom_.typical_area((height, width))
        least = SPECK * typical if self.min_area == "auto" else float(self.min_area)
        regions = []
        for place, label in enumerate(self.classes_.tolist()):
            instances = None
            if place in masks:
                instances = separate(masks[place], least, typical if self.split else None)
            found = instances if instances is not None and instances.any() else None
            regions.append(Region(label, float(presence[place]), found))
        warnings = _warnings(self.zoom_.shortfall((height, width)), path or "a picture")
        return Segmentation(path, (height, width), tuple(regions), warnings)


def _warnings(shortfall: float | None, path: str) -> tuple[str, ...]:
    if shortfall is None:
        return ()
    return (
        f"{path}: too large to be seen at the size of the examples, seen at"
        f" {100 * shortfall:.0f} % of it; cut it into pieces to find its small objects",
    )


def _limit(method: SegmentationMethod, reject: float | str | None) -> float | None:
    if reject is None:
        return None
    if reject == "auto":
        return method.threshold
    if isinstance(reject, str) or not 0 <= reject <= 1:
        raise InputError(f"reject={reject!r}: give 'auto', None or a number from 0 to 1")
    return float(reject)


def _weights(saved: dict[str, str] | None, directory: str | os.PathLike[str]) -> str | None:
    if saved is None:
        return None
    path = saved["path"]
    if not Path(path).is_file() or sha256(path) != saved["sha256"]:
        raise InputError(f"{directory}: {path} is gone or has changed since; fit again")
    return path
