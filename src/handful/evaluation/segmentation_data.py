"""From the name of a data set to its photos and the classes to test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from handful.data import coco20i, msrc, pascal5i, voc
from handful.data.fss1000 import read_fss1000
from handful.data.hold_outs import A_CLASSES, VALIDATION
from handful.data.segmentation.folder import read_folder
from handful.data.segmentation.joining import join
from handful.data.segmentation.photos import SegmentationSet
from handful.errors import InputError

Dataset = Literal["voc", "pascal5i", "coco20i", "fss1000", "msrc", "folder", "validation"]

VALIDATION_FOLDERS = "VOCdevkit/VOC2012", "msrc21"
"""Where VOC and MSRC lie below the root of ``validation``."""


@dataclass(frozen=True)
class Request:
    """What a person asked to be tested on.

    Attributes
    ----------
    dataset : str
        The layout.
    root : Path
        The folder.
    split : sequence of str
        Names of lists, where the layout has such.
    fold : int or None
        The fold, where the set has folds.
    classes : sequence of str or None
        The classes to test, in the place of a fold's.
    exclude : sequence of str
        Photos that show one of these take no part.
    small_object_rule : bool or None
        Whether small objects make neither support nor query; None: as the set's paper does.
    """

    dataset: Dataset
    root: Path
    split: Sequence[str] = ()
    fold: int | None = None
    classes: Sequence[str] | None = None
    exclude: Sequence[str] = ()
    small_object_rule: bool | None = None


@dataclass(frozen=True)
class Task:
    """The photos, and the classes to test.

    Attributes
    ----------
    photos : SegmentationSet
        The photos.
    classes : tuple of str
        The classes.
    fold : int or None
        The fold that they are, where they are one.
    left_out : tuple of str
        Classes of no fold and of nobody's wish, which too few photos show.
    """

    photos: SegmentationSet
    classes: tuple[str, ...]
    fold: int | None = None
    left_out: tuple[str, ...] = ()


def prepare(request: Request, needed: int = 2) -> Task:
    """Read a data set and choose its classes.

    Parameters
    ----------
    request : Request
        What was asked for.
    needed : int
        Photos that an episode needs of its class: of the classes that nobody named, those with
        fewer are left out.

    Raises
    ------
    InputError
        A file is missing, an option does not fit the data set, or a class is unknown.
    """
    photos, fold, chosen = _READERS[request.dataset](request)
    if request.exclude:
        photos = photos.without(request.exclude)
        if not len(photos):
            raise InputError(f"{request.root}: every photo shows a class of --exclude; name fewer")
    # where --classes numbered the values of masks, the set's own labels are those names
    if request.classes is not None:
        columns = photos.find(request.classes)
        return Task(photos, tuple(photos.labels[c] for c in columns))
    if chosen:
        return Task(photos, chosen, fold)
    counts = photos.counts(small_objects=False)
    few = tuple(label for label, count in counts.items() if count < needed)
    kept = tuple(label for label in photos.labels if label not in few)
    if not kept:
        raise InputError(f"{request.root}: no class is shown by {needed} photos; give more")
    return Task(photos, kept, left_out=few)


_Read = tuple[SegmentationSet, int | None, tuple[str, ...]]


def _voc(request: Request) -> _Read:
    if not request.split:
        raise InputError(f"{request.root}: give --split, a list of ImageSets/Segmentation")
    rule = bool(request.small_object_rule)
    photos = voc.read_voc(request.root, request.split, small_object_rule=rule)
    fold = request.fold
    return photos, fold, () if fold is None else pascal5i.fold_classes(fold)


def _pascal5i(request: Request) -> _Read:
    split = _one_split(request, "val")
    rule = request.small_object_rule is not False
    if split not in ("val", "train"):
        raise InputError(f"split {split!r}: PASCAL-5i has val and train; or give --dataset voc")
    kind: pascal5i.Split = "val" if split == "val" else "train"
    fold = request.fold or 0
    photos = pascal5i.read_pascal5i(request.root, kind, small_object_rule=rule)
    return photos, fold, pascal5i.fold_classes(fold)


def _coco20i(request: Request) -> _Read:
    photos = coco20i.read_coco20i(request.root, _one_split(request, "val2014"))
    fold = request.fold or 0
    return photos, fold, coco20i.fold_classes(photos, fold)


def _fss1000(request: Request) -> _Read:
    if request.fold is not None:
        raise InputError("FSS-1000 has no folds; give --split, a list of classes")
    split = _one_split(request, "") or None
    return read_fss1000(request.root, split, request.classes), None, ()


def _msrc(request: Request) -> _Read:
    _refuse_split(request)
    photos, fold = msrc.read_msrc(request.root), request.fold
    return photos, fold, () if fold is None else msrc.fold_classes(photos, fold)


def _folder(request: Request) -> _Read:
    _refuse_split(request)
    if request.fold is not None:
        raise InputError("a folder of one's own has no folds; give --classes")
    return read_folder(request.root, request.classes), None, ()


def _validation(request: Request) -> _Read:
    """Read VOC and MSRC together, without the photos of which either hold-out tests some."""
    if request.fold is not None:
        raise InputError("the validation classes have no folds; give --classes")
    first, second = (request.root / folder for folder in VALIDATION_FOLDERS)
    lists = request.split or [p.stem for p in sorted(first.glob("ImageSets/Segmentation/*.txt"))]
    photos = msrc.read_msrc(second)
    kept = photos.without(msrc.fold_classes(photos, 1))
    whole = join([voc.read_voc(first, lists).without(A_CLASSES), kept], [{}, msrc.TWINS])
    return whole, None, VALIDATION


def _one_split(request: Request, default: str) -> str:
    if len(request.split) > 1:
        raise InputError(f"--dataset {request.dataset} takes one --split; only voc joins lists")
    return request.split[0] if request.split else default


def _refuse_split(request: Request) -> None:
    if request.split:
        raise InputError(f"--dataset {request.dataset} has no splits; leave --split out")


_READERS: dict[str, Callable[[Request], _Read]] = {
    "voc": _voc,
    "pascal5i": _pascal5i,
    "coco20i": _coco20i,
    "fss1000": _fss1000,
    "msrc": _msrc,
    "folder": _folder,
    "validation": _validation,
}
