"""Sets whose file names tell identity and camera: Market-1501, CUHK03-NP, VeRi, and their likes.

L. Zheng et al., "Scalable person re-identification: a benchmark", ICCV 2015; Z. Zhong et al.,
"Re-ranking person re-identification with k-reciprocal encoding", CVPR 2017 (CUHK03-NP); X. Liu et
al., "A deep learning-based approach to progressive vehicle re-identification for urban
surveillance", ECCV 2016 (VeRi).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handful.data.class_folders import ClassFolders
from handful.data.retrieval_sets.lists import check_there, read_rows
from handful.data.retrieval_sets.reid_set import DISTRACTOR, JUNK, ReidSet
from handful.errors import InputError
from handful.images import list_images

# 0002_c1s1_000451_03.jpg, -1_c1s1_000401_03.jpg, 0001_c001_00016450_0.jpg
_NAME = re.compile(r"(-?\d+)_c?(\d+)")


@dataclass(frozen=True)
class Layout:
    """Where a set keeps its parts.

    Attributes
    ----------
    query, gallery, train : str
        Folders.
    query_list, gallery_list, train_list : str
        Files that list the names in them; empty where there are none. One that is missing is
        done without: then the images of the folder count, in natural order.
    """

    query: str
    gallery: str
    train: str
    query_list: str = ""
    gallery_list: str = ""
    train_list: str = ""


MARKET = Layout("query", "bounding_box_test", "bounding_box_train")
VERI = Layout(
    *("image_query", "image_test", "image_train"),
    *("name_query.txt", "name_test.txt", "name_train.txt"),
)


@dataclass(frozen=True)
class _Views:
    """Images with what their names tell."""

    paths: tuple[Path, ...]
    identity: tuple[str, ...]
    camera: tuple[int, ...]
    junk: int


def read_cameras(root: str | os.PathLike[str], layout: Layout = MARKET) -> ReidSet:
    """Read the queries and the gallery of a set.

    Parameters
    ----------
    root : path-like
        The folder that holds those of the layout.
    layout : Layout
        How they are called. A file name begins with the identity, an underscore, perhaps a
        ``c``, and the camera's number. Identity 0 is a distractor, -1 is junk.

    Returns
    -------
    ReidSet
        Queries first; junk is left out and counted.

    Raises
    ------
    InputError
        A folder or a listed file is missing, holds no images, or a name tells no identity.
    """
    root = _checked_root(Path(root), layout)
    query = _views(root, layout.query, layout.query_list)
    gallery = _views(root, layout.gallery, layout.gallery_list)
    counts = [len(query.paths), len(gallery.paths)]
    images = ClassFolders(root, query.paths + gallery.paths, query.identity + gallery.identity)
    return ReidSet(
        images,
        query=np.repeat([True, False], counts),
        gallery=np.repeat([False, True], counts),
        camera=np.array(query.camera + gallery.camera, np.int64),
        junk=query.junk + gallery.junk,
    )


def read_cameras_train(root: str | os.PathLike[str], layout: Layout = MARKET) -> ClassFolders:
    """Read the images to learn from; their identities are in no query.

    Parameters
    ----------
    root, layout
        As for :func:`read_cameras`.

    Raises
    ------
    InputError
        The folder or a listed file is missing, or a name tells no identity.
    """
    root = _checked_root(Path(root), layout)
    views = _views(root, layout.train, layout.train_list)
    keep = [i for i, identity in enumerate(views.identity) if identity != DISTRACTOR]
    return ClassFolders(root, views.paths, views.identity).take(keep)


def _checked_root(root: Path, layout: Layout) -> Path:
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the one that holds {layout.query}")
    versions = [name for name in ("labeled", "detected") if (root / name / layout.query).is_dir()]
    if versions and not (root / layout.query).is_dir():
        either = " or ".join(str(root / name) for name in versions)
        raise InputError(f"{root}: its parts are in sub-folders; give {either}")
    return root


def _views(root: Path, name: str, listing: str) -> _Views:
    folder = root / name
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a root that holds it")
    if listing and (root / listing).exists():
        paths = [folder / row[0] for row in read_rows(root / listing, ("NAME",))]
        check_there(paths, root / listing)
    else:
        paths = list_images(folder)
    if not paths:
        raise InputError(f"{folder}: no images; unpack the data set again")
    told = [_told(path) for path in paths]
    keep = [i for i, (identity, _) in enumerate(told) if identity != JUNK]
    return _Views(
        paths=tuple(paths[i] for i in keep),
        identity=tuple(told[i][0] for i in keep),
        camera=tuple(told[i][1] for i in keep),
        junk=len(told) - len(keep),
    )


def _told(path: Path) -> tuple[str, int]:
    found = _NAME.match(path.name)
    if found is None:
        raise InputError(f"{path}: its name is not IDENTITY_cCAMERA...; remove or rename the file")
    identity = int(found[1])
    return (JUNK if identity < 0 else f"{identity:04d}"), int(found[2])
