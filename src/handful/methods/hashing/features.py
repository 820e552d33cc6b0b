"""Features of many images, kept on disk in half precision, so that an image is encoded once."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from handful import methods, zoo
from handful.data.class_folders import ClassFolders
from handful.errors import InputError
from handful.files import replacing, write_json
from handful.images import list_images
from handful.methods.encoding import encode_folder
from handful.methods.hashing.ten_crops import TenCrops
from handful.methods.matcher import Matcher


def feature_model(
    backbone: str,
    device: str = "auto",
    size: int | None = None,
    weights: str | os.PathLike[str] | None = None,
    crops: Literal[1, 10] = 1,
) -> Matcher:
    """Build the network whose features are hashed.

    Parameters
    ----------
    backbone : str
        A name of the zoo, or any network of :func:`handful.backbones.build`.
    device : str
        ``auto``, ``cpu``, ``cuda``, ...
    size : int, optional
        Side to which photos are brought; the network's own where not given.
    weights : path-like, optional
        A weights file of the network; its own where not given.
    crops : {1, 10}
        Whether features are means over ten crops.

    Raises
    ------
    InputError
        No such network, or weights that are missing or of another.

    Examples
    --------
    >>> feature_model("handful-base", "cpu").backbone
    'handful-base'
    """
    known = backbone in zoo.cards() or backbone.startswith("prototypes:")
    name = backbone if known else f"prototypes:{backbone}"
    matcher = methods.load(name, None, device, size, weights)
    return TenCrops(matcher) if crops == 10 else matcher


def features_of(
    matcher: Matcher, folder: ClassFolders, cache: Path | None = None
) -> tuple[ClassFolders, NDArray[np.float16]]:
    """Encode the images of a folder, or read what was encoded before.

    Parameters
    ----------
    matcher : Matcher
        Encodes photos as vectors.
    folder : ClassFolders
        The images.
    cache : Path, optional
        A folder for the features of any number of data sets and models. They are found again by
        the model and its weights, and by the images' names, sizes and times.

    Returns
    -------
    folder : ClassFolders
        The images that could be read.
    features : ndarray
        (N, D) float16 in unit length; a memory map where there is a cache.

    Raises
    ------
    InputError
        No image can be read, or the model gives no vectors.
    """
    if cache is None:
        return _encode(matcher, folder)
    path = cache / f"{_key(matcher, folder)}.npy"
    listing = path.with_suffix(".json")
    if not listing.is_file() or not path.is_file():
        read, features = _encode(matcher, folder)
        place = {name: i for i, name in enumerate(folder.names)}
        with replacing(path) as part:
            np.save(part, features)
        kept = [place[name] for name in read.names]
        # the list last: features without one are not looked at
        write_json(listing, {"kept": kept, "skipped": read.skipped[len(folder.skipped) :]})
    try:
        found = json.loads(listing.read_text(encoding="utf-8"))
        features = np.load(path, mmap_mode="r")
        skipped = [(str(name), str(why)) for name, why in found["skipped"]]
        return folder.take(found["kept"], skipped), features
    except (ValueError, KeyError, TypeError, EOFError):
        raise InputError(f"{path}: damaged; remove it and its .json, and run again") from None


def _encode(matcher: Matcher, folder: ClassFolders) -> tuple[ClassFolders, NDArray[np.float16]]:
    def after(vectors: Tensor) -> Tensor:
        if vectors.ndim != 2:
            raise InputError(
                f"{matcher.name}: gives no vectors; hashing takes handful-base or alike"
            )
        return normalize(vectors, dim=1).half()

    encoded = encode_folder(matcher, folder, after)
    return encoded.folder, encoded.features.numpy()


def unlabelled_folder(root: Path) -> ClassFolders:
    """List the images of a folder, whatever its sub-folders mean.

    Raises
    ------
    InputError
        No such folder, or no images in it.
    """
    paths = list_images(root, recursive=True)
    if not paths:
        raise InputError(f"{root}: no images in this folder; give one that holds some")
    return ClassFolders(root, tuple(paths), ("",) * len(paths))


def _key(matcher: Matcher, folder: ClassFolders) -> str:
    found = hashlib.sha256()
    plain = matcher.matcher if isinstance(matcher, TenCrops) else matcher
    for word in (matcher.name, matcher.backbone, zoo.digest(plain.name) or ""):
        found.update(f"{word}\0".encode())
    for name, path in zip(folder.names, folder.paths, strict=True):
        about = path.stat()
        found.update(f"{name}\0{about.st_size}\0{about.st_mtime_ns}\0".encode())
    return found.hexdigest()[:32]
