"""Nearest prototype against its definition, written out in numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handful.methods import Image, class_scores
from handful.methods.prototypes import Prototypes


class Rows:
    """The vector of a picture is its first row."""

    name = "rows"

    def embed(self, images: Sequence[Image]) -> Tensor:
        return torch.from_numpy(np.stack([image[0] for image in images])).float()


def unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


MATCHER = Prototypes(Rows(), "own")


def test_encode_gives_unit_vectors() -> None:
    images = np.random.default_rng(0).integers(1, 255, (4, 2, 5)).astype(np.uint8)
    found = MATCHER.encode(list(images))
    np.testing.assert_allclose(found, unit(images[:, 0].astype(float)), rtol=1e-6)
    assert (MATCHER.name, MATCHER.backbone, MATCHER.calibration) == ("own", "rows", None)


def test_classes_score_by_the_cosine_to_the_unit_mean_of_their_shots() -> None:
    rng = np.random.default_rng(1)
    query, support = unit(rng.normal(size=(6, 5))), unit(rng.normal(size=(4, 3, 5)))
    expected = query @ unit(support.mean(1)).T
    queries, supports = torch.from_numpy(query), torch.from_numpy(support)
    np.testing.assert_allclose(class_scores(MATCHER, queries, supports), expected, atol=1e-12)
    np.testing.assert_allclose(MATCHER.pool(supports), unit(support.mean(1)), atol=1e-12)


def test_one_shot_is_the_plain_cosine() -> None:
    rng = np.random.default_rng(2)
    query, support = rng.normal(size=(6, 5)), rng.normal(size=(4, 1, 5))
    found = class_scores(MATCHER, torch.from_numpy(query), torch.from_numpy(support))
    np.testing.assert_allclose(found, unit(query) @ unit(support[:, 0]).T, atol=1e-12)
