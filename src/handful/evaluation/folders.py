"""What a folder of classes is called in results."""

from __future__ import annotations

from pathlib import Path

_PARTS = {"boxes", "test", "train", "training", "val", "valid", "validation", "images"}


def dataset_name(root: Path) -> str:
    """Name a data set by its folder, and by the one above where that is only a part of it.

    Examples
    --------
    >>> dataset_name(Path("data/caltech66")), dataset_name(Path("data/lion-reid/val"))
    ('caltech66', 'lion-reid-val')
    """
    whole = root.absolute()
    return f"{whole.parent.name}-{whole.name}" if whole.name in _PARTS else whole.name
