"""What the paper of UGH says of few-shot retrieval in words; its curves have no printed numbers."""

from __future__ import annotations

from typing import Any

SOURCE = "Wang, Gui, Hebert, Few-shot hash learning for image retrieval, ICCV workshops 2017"
NOTE = "AlexNet fc6, mean of ten crops; 20,000 functions from two million Flickr photos"

# dataset, shots, bits
_ROWS = {
    ("cifar10", 1, 16): (("ugh", 0.2080), ("ugh-random", 0.1842), ("cca-itq", 0.1696)),
}


def hashing_rows(dataset: str, shots: int, bits: int) -> list[dict[str, Any]]:
    """Return the published rows of one setting, as JSON objects.

    Examples
    --------
    >>> [row["map"] for row in hashing_rows("cifar10", 1, 16)]
    [0.208, 0.1842, 0.1696]
    >>> hashing_rows("cifar10", 10, 16)
    []
    """
    rows = _ROWS.get((dataset, shots, bits), ())
    return [
        {"model": model, "map": value, "shots": shots, "bits": bits, "source": SOURCE, "note": NOTE}
        for model, value in rows
    ]
