"""Join the masks of PASCAL VOC 2012 and of SBD into ``SegmentationClassAug``.

VOC's own masks are finer and say what is void, so they are taken where VOC has one; SBD's
(B. Hariharan et al., "Semantic contours from inverse detectors", ICCV 2011) cover the photos that
VOC outlines no object of. Training then is all of both but VOC's val: 10,582 photos.

Run as ``python -m handful.data.voc_sbd VOCdevkit/VOC2012 benchmark_RELEASE/dataset``.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.annotations.mask import write_labels
from handful.data.progress import in_threads
from handful.data.voc import AUGMENTED, CLASSES, read_list
from handful.errors import InputError
from handful.files import write_text
from handful.images import read_mask


def join_masks(voc: str | os.PathLike[str], sbd: str | os.PathLike[str]) -> tuple[int, int]:
    """Write ``SegmentationClassAug`` and the list ``train_aug.txt`` into VOC's folder.

    Parameters
    ----------
    voc : path-like
        The folder ``VOC2012``, with ``SegmentationClass`` and the lists ``train`` and ``val``.
    sbd : path-like
        SBD's folder ``dataset``, with ``cls/X.mat``, ``train.txt`` and ``val.txt``.

    Returns
    -------
    (int, int)
        Masks written, and photos in ``train_aug.txt``.

    Raises
    ------
    InputError
        A list or a mask is missing or damaged.
    """
    root, other = Path(voc), Path(sbd)
    training, test = read_list(root, "train"), set(read_list(root, "val"))
    theirs = [name for split in ("train", "val") for name in _names(other / f"{split}.txt")]
    joined = sorted({*training, *theirs} - test)
    own = {*training, *test}
    names = sorted({*own, *theirs})

    def write(name: str) -> None:
        source = root / "SegmentationClass" / f"{name}.png"
        values = read_mask(source) if name in own else _sbd_mask(other / "cls" / f"{name}.mat")
        write_labels(root / AUGMENTED / f"{name}.png", values)

    in_threads(write, names, "joining masks")
    # the list is written last: where it is, the masks are all there
    lines = "".join(f"{name}\n" for name in joined)
    write_text(root / "ImageSets" / "Segmentation" / "train_aug.txt", lines)
    return len(names), len(joined)


def _names(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give SBD's folder 'dataset'") from error


def _sbd_mask(path: Path) -> NDArray[Any]:
    from scipy.io import loadmat

    if not path.is_file():
        raise InputError(f"{path}: is missing, but a list of SBD names it; unpack the whole set")
    try:
        found = loadmat(path, squeeze_me=True, struct_as_record=False)["GTcls"].Segmentation
        values: NDArray[Any] = np.asarray(found, np.uint8)
    except Exception as error:  # a reader given a damaged file may raise anything
        raise InputError(f"{path}: damaged ({error}); copy it again") from error
    if values.ndim != 2 or int(values.max(initial=0)) > len(CLASSES):
        raise InputError(f"{path}: holds no mask of VOC's {len(CLASSES)} classes; copy it again")
    return values


def main(arguments: list[str] | None = None) -> int:
    """Join what the command line names; return an exit code."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("voc", metavar="VOC2012", help="the folder with SegmentationClass")
    parser.add_argument("sbd", metavar="SBD", help="SBD's folder dataset, with cls/")
    options = parser.parse_args(arguments)
    try:
        masks, training = join_masks(options.voc, options.sbd)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{masks:,} masks, {training:,} photos to train on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
