"""CUB-200-2011, birds: the first 100 species to learn from, the last 100 to be measured on.

C. Wah et al., "The Caltech-UCSD Birds-200-2011 dataset", CNS-TR-2011-001, 2011; the parts are
those of H. Oh Song et al., "Deep metric learning via lifted structured feature embedding", 2016.
"""

from __future__ import annotations

import os
from pathlib import Path

from handful.data.class_folders import ClassFolders
from handful.data.retrieval_sets.lists import Part, check_there, find_root, read_rows, whole_number
from handful.errors import InputError

FIRST_TEST_CLASS = 101


def read_cub(root: str | os.PathLike[str], part: Part = "test") -> ClassFolders:
    """Read one part of CUB-200-2011 as published: 5,864 images to train, 5,924 to test.

    Parameters
    ----------
    root : path-like
        The folder with ``images.txt``, ``image_class_labels.txt`` and ``images``, or the one
        above it.
    part : {"train", "test"}
        Classes 1 to 100, or 101 to 200.

    Returns
    -------
    ClassFolders
        Labels are the folders of the images, such as ``001.Black_footed_Albatross``.

    Raises
    ------
    InputError
        A list or a listed image is missing, or a list is damaged.
    """
    folder = find_root(Path(root), "images.txt", "CUB_200_2011")
    images, classes = folder / "images.txt", folder / "image_class_labels.txt"
    class_of = {
        image: whole_number(number, classes)
        for image, number in read_rows(classes, ("IMAGE", "CLASS"))
    }
    names = []
    for image, name in read_rows(images, ("IMAGE", "PATH")):
        if image not in class_of:
            raise InputError(f"{classes}: no class for image {image}; unpack the data set again")
        if (class_of[image] >= FIRST_TEST_CLASS) == (part == "test"):
            names.append(name)
    paths = tuple(folder / "images" / name for name in names)
    check_there(paths, images)
    return ClassFolders(folder, paths, tuple(name.rpartition("/")[0] for name in names))
