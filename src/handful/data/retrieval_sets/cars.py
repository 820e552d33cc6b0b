"""Cars-196: the first 98 models to learn from, the last 98 to be measured on.

J. Krause et al., "3D object representations for fine-grained categorization", 3dRR 2013; the
parts are those of H. Oh Song et al., 2016, and cut across the set's own training and test images.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from handful.data.class_folders import ClassFolders
from handful.data.retrieval_sets.lists import Part, check_there, whole_number
from handful.errors import InputError

FIRST_TEST_CLASS = 99

_ALL = "cars_annos.mat"
_TRAIN = "devkit/cars_train_annos.mat"
_TEST = ("devkit/cars_test_annos_withlabels.mat", "cars_test_annos_withlabels.mat")


def read_cars(root: str | os.PathLike[str], part: Part = "test") -> ClassFolders:
    """Read one part of Cars-196: 8,054 images to train, 8,131 to test.

    Parameters
    ----------
    root : path-like
        The folder with ``cars_annos.mat`` and ``car_ims``, or the one with ``cars_train``,
        ``cars_test`` and ``devkit``; the test labels, ``cars_test_annos_withlabels.mat``, are
        read from ``devkit`` or beside it.
    part : {"train", "test"}
        Classes 1 to 98, or 99 to 196.

    Returns
    -------
    ClassFolders
        Labels are the numbers of the classes, ``1`` to ``196``.

    Raises
    ------
    InputError
        A file of annotations or a listed image is missing or damaged.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the one that holds {_ALL} or devkit")
    paths: list[Path] = []
    labels: list[str] = []
    for source, base, key in _annotations(folder):
        listed = []
        for row in _structs(source):
            number = whole_number(_field(row, "class", source), source)
            if (number >= FIRST_TEST_CLASS) == (part == "test"):
                listed.append(base / str(_field(row, key, source)))
                labels.append(str(number))
        check_there(listed, source)
        paths += listed
    return ClassFolders(folder, tuple(paths), tuple(labels))


def _annotations(folder: Path) -> list[tuple[Path, Path, str]]:
    """Return the files of annotations, the folder their names start from, the names' field."""
    if (folder / _ALL).exists():
        return [(folder / _ALL, folder, "relative_im_path")]
    if not (folder / "devkit").is_dir():
        raise InputError(f"{folder / _ALL}: no such file, and no devkit; give the folder with one")
    test = next((folder / name for name in _TEST if (folder / name).exists()), folder / _TEST[0])
    sources = [(folder / _TRAIN, folder / "cars_train", "fname")]
    return [*sources, (test, folder / "cars_test", "fname")]


def _structs(source: Path) -> list[dict[str, Any]]:
    from scipy.io import loadmat

    if not source.is_file():
        raise InputError(f"{source}: no such file; unpack the data set's labels there")
    try:
        found = loadmat(source, simplify_cells=True)["annotations"]
    except Exception as error:  # scipy raises many kinds for damaged files
        raise InputError(f"{source}: not a file of annotations; unpack it again") from error
    # a struct array of one element is read as the element
    return [found] if isinstance(found, dict) else list(np.asarray(found, object))


def _field(row: Any, key: str, source: Path) -> Any:
    if not isinstance(row, dict) or key not in row:
        raise InputError(f"{source}: its annotations have no {key!r}; give the one with labels")
    return row[key]
