"""Photos and masks of one's own, as a segmentation set, in whichever form they are kept."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from handful.data import voc
from handful.data.annotations.classes import numbered, read_classes
from handful.data.annotations.coco import load_json, read_coco
from handful.data.annotations.labelme import is_labelme, read_labelme
from handful.data.annotations.mask import OBJECT
from handful.data.annotations.shapes import AnnotatedImage, from_shapes
from handful.data.coco20i import coco_set
from handful.data.segmentation.photos import SegmentationSet, from_label_maps
from handful.errors import InputError
from handful.images import is_clutter, list_images, natural_key


def read_folder(
    root: str | os.PathLike[str], classes: Sequence[str] | None = None
) -> SegmentationSet:
    """Index photos and masks, in the first of these forms that is there.

    - ``images/X.jpg`` with ``masks/X.png`` (or ``labels/``): :func:`read_pairs`;
    - VOC's ``JPEGImages`` with ``SegmentationClass``: every photo that has a mask;
    - a COCO file (`root` itself, or the only one in it), its photos beside it or in ``images/``;
    - LabelMe's ``X.json`` beside ``X.jpg``.

    Parameters
    ----------
    root : path-like
        The folder, or a COCO file.
    classes : sequence of str, optional
        Names of the values of masks; see :func:`read_pairs`.

    Raises
    ------
    InputError
        None of these is there, or a file in it is missing or damaged.
    """
    base = Path(root)
    if base.is_file():
        return _coco(base)
    if not base.is_dir():
        raise InputError(f"{base}: no such folder; give one with photos and masks")
    masks = _mask_folder(base)
    if (base / "images").is_dir() and masks is not None:
        return read_pairs(base / "images", masks, classes, base)
    if (base / "JPEGImages").is_dir():
        known = {p.stem for folder in voc.mask_folders(base) for p in list_images(folder)}
        names = [p.stem for p in list_images(base / "JPEGImages") if p.stem in known]
        return voc.read_voc(base, (), names=names)
    files = [p for p in base.rglob("*.json") if not is_clutter(p.name)]
    files.sort(key=lambda path: (natural_key(path.as_posix()), path.as_posix()))
    drawn = [path for path in files if is_labelme(load_json(path))]
    if drawn:
        return _labelme(base, drawn)
    if len(files) == 1:
        return _coco(files[0])
    raise InputError(
        f"{base}: no masks; give images/ and masks/, a COCO file, LabelMe files or a VOC folder"
    )


def read_pairs(
    images: str | os.PathLike[str],
    masks: str | os.PathLike[str],
    classes: Sequence[str] | None = None,
    root: str | os.PathLike[str] | None = None,
) -> SegmentationSet:
    """Index two folders whose files have the same names: ``X.jpg`` and its mask ``X.png``.

    Parameters
    ----------
    images, masks : path-like
        The folders.
    classes : sequence of str, optional
        Without it and without a ``classes.txt`` any value but 0 is the object; with either a value
        is a class's number: by the file, or 1, 2, ... in this order, or the numeral itself.
    root : path-like, optional
        What photos are named from, and where ``classes.txt`` may be besides with the masks; by
        default `images`.

    Returns
    -------
    SegmentationSet
        A photo without a mask is listed as skipped.

    Raises
    ------
    InputError
        A folder is missing, or no photo has a mask.
    """
    base = Path(images if root is None else root)
    named = {_stem(path): path for path in list_images(masks)}
    photos = list_images(images)
    pairs = [(photo, named[_stem(photo)]) for photo in photos if _stem(photo) in named]
    if not pairs:
        raise InputError(f"{masks}: no mask has the name of a picture of {images}; name them alike")
    skipped = [
        (photo.relative_to(base).as_posix(), f"no mask of this name in {masks}")
        for photo in photos
        if _stem(photo) not in named
    ]
    numbers = _numbers((base, Path(masks)), classes)
    return from_label_maps(base.name or "folder", base, pairs, numbers, skipped=skipped)


def _coco(path: Path) -> SegmentationSet:
    here = path.parent
    name = path.stem if here.name in ("", "annotations") else here.name
    file = read_coco(path)
    first = file.images[0].path if file.images else ""
    root = here.parent if here.name == "annotations" else here
    for folder in (here, here / "images", root, root / "images"):
        if (folder / first).is_file():
            return coco_set(name, file, path.name, folder, root)
    raise InputError(f"{path}: {first} is neither beside it nor in images/; put the photos there")


def _labelme(base: Path, files: Sequence[Path]) -> SegmentationSet:
    pairs: list[tuple[Path, AnnotatedImage]] = []
    for file in files:
        image = read_labelme(file)
        # the path was written on another machine, maybe: the name beside the file counts
        photo = file.with_name(Path(image.path).name)
        if not photo.is_file():
            raise InputError(f"{photo}: is missing, but {file.name} names it; put it beside")
        pairs.append((photo, image))
    return from_shapes(base.name or "folder", base, pairs)


def _mask_folder(base: Path) -> Path | None:
    return next((base / name for name in ("masks", "labels") if (base / name).is_dir()), None)


def _numbers(folders: Iterable[Path], classes: Sequence[str] | None) -> Mapping[str, int | None]:
    for folder in folders:
        if (folder / "classes.txt").is_file():
            return read_classes(folder / "classes.txt")
    return numbered(classes) if classes else {OBJECT: None}


def _stem(path: Path) -> str:
    return unicodedata.normalize("NFC", path.stem)
