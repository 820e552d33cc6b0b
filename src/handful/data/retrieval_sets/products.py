"""Stanford Online Products: 11,318 products to learn from, 11,316 to be measured on.

H. Oh Song et al., "Deep metric learning via lifted structured feature embedding", CVPR 2016.
"""

from __future__ import annotations

import os
from pathlib import Path

from handful.data.class_folders import ClassFolders
from handful.data.retrieval_sets.lists import Part, check_there, find_root, read_rows

_COLUMNS = ("image_id", "class_id", "super_class_id", "path")


def read_products(root: str | os.PathLike[str], part: Part = "test") -> ClassFolders:
    """Read one part of Stanford Online Products: 59,551 images to train, 60,502 to test.

    Parameters
    ----------
    root : path-like
        The folder with ``Ebay_train.txt``, ``Ebay_test.txt`` and the twelve ``*_final``, or the
        one above it.
    part : {"train", "test"}
        Which of the two lists.

    Returns
    -------
    ClassFolders
        Labels are the numbers of the products.

    Raises
    ------
    InputError
        A list or a listed image is missing, or a list is damaged.
    """
    folder = find_root(Path(root), f"Ebay_{part}.txt", "Stanford_Online_Products")
    source = folder / f"Ebay_{part}.txt"
    rows = read_rows(source, _COLUMNS, head=True)
    paths = tuple(folder / row[3] for row in rows)
    check_there(paths, source)
    return ClassFolders(folder, paths, tuple(row[1] for row in rows))
