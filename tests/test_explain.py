"""The verb explain: maps that can be computed by hand, on drawings and on photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import normalize

from handful import Recognizer
from handful.backbones.drawing import DrawingNet, drawing_embedder
from handful.backbones.embedder import NetworkEmbedder
from handful.backbones.handful_base import HandfulBase
from handful.backbones.photos import photo_embedder_of, preparation
from handful.data.samples import omniglot
from handful.errors import InputError
from handful.explain import Explainer
from handful.images.ink import ink_box
from handful.methods.calibration import Calibration
from handful.methods.koch_siamese import KochMatcher, KochSiamese
from handful.methods.prototypes import Prototypes


class Cells(nn.Module):
    """The map is the picture itself in cells of 8 pixels, the vector its mean colour."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.AvgPool2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return torch.mean(self.cells(x), dim=(2, 3))


def halves(left: Sequence[int], right: Sequence[int]) -> NDArray[np.uint8]:
    page = np.empty((64, 64, 3), np.uint8)
    page[:, :32], page[:, 32:] = left, right
    return page


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture
def colours() -> Prototypes:
    def prepare(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.ascontiguousarray(image.transpose(2, 0, 1) / np.float32(255), np.float32)

    calibration = Calibration(slope=10.0, offset=-5.0, temperature=7.0, reject=0.5, verify=0.5)
    return Prototypes(NetworkEmbedder(Cells(), prepare, "cells"), "colours", calibration)


def test_what_two_pictures_share_is_marked_in_both(colours: Prototypes) -> None:
    found = Explainer(colours, layer="cells").explain(
        halves(RED, GREEN), positive=halves(BLUE, RED), negative=()
    )
    anchor, positive = (one.resized() for one in found)
    assert anchor[:, :24].min() > 0.99
    assert anchor[:, 40:].max() < 0.01
    assert positive[:, 40:].min() > 0.99
    assert positive[:, :24].max() < 0.01
    assert found.similarity == {"positive": [pytest.approx(0.5)], "negative": []}
    # without its red half the anchor has, of red, what its mean colour holds
    assert found.evidence.before == pytest.approx(0.5)
    assert found.evidence.fall > 0
    assert [one.role for one in found] == ["anchor", "positive"]


def test_what_tells_them_apart_is_marked_where_they_differ(colours: Prototypes) -> None:
    found = Explainer(colours, layer="cells").explain(
        halves(RED, GREEN), negative=halves(RED, BLUE)
    )
    for one in found:
        assert one.resized()[:, 40:].min() > 0.99
        assert one.resized()[:, :24].max() < 0.01
    assert found.evidence.of.startswith("similarity to the negatives")
    assert found.evidence.before == pytest.approx(-0.5)


def test_a_triplet_marks_what_only_the_positive_shares(colours: Prototypes) -> None:
    found = Explainer(colours, layer="cells").explain(
        halves(RED, GREEN), halves(RED, BLUE), halves(BLUE, GREEN)
    )
    assert found.anchor.resized()[:, :24].min() > 0.99
    assert found.anchor.resized()[:, 40:].max() < 0.01
    assert found.similarity == {
        "positive": [pytest.approx(0.5)],
        "negative": [pytest.approx(0.5)],
    }


def test_the_published_weights_are_another_explanation(colours: Prototypes) -> None:
    images = halves(RED, GREEN), halves(RED, BLUE)
    found = Explainer(colours, weights="difference", layer="cells").explain(*images)
    # w = 1 - |f1 - f2| by hand: red counts fully, green and blue 1 - sqrt(1/2)
    f = np.array([[0.5**0.5, 0.5**0.5, 0], [0.5**0.5, 0, 0.5**0.5]])
    w = 1 - np.abs(f[0] - f[1])
    gradient = w - (w @ f[0]) * f[0]
    assert gradient[0] > 0 > gradient[1]
    assert found.anchor.resized()[:, :24].min() > 0.99
    assert found.anchor.resized()[:, 40:].max() < 0.01


def test_a_photo_is_explained_by_the_shares_of_the_cosine() -> None:
    network = HandfulBase().load()
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (90, 70, 3)).astype(np.uint8) // (1 + i) for i in range(2)]
    found = Explainer(Prototypes(photo_embedder_of(network, 96), "base")).explain(*photos)
    prepare = preparation(network, 96)
    x = torch.from_numpy(np.stack([prepare(photo) for photo in photos]))
    maps = network(x)["head"]
    f = normalize(network.embed(x), dim=1)
    shares = torch.einsum("nchw,dc,nd->nhw", maps, network.network.projection.weight, f.flip(0))
    shares = shares.relu()
    for one, expected in zip(found, shares, strict=True):
        np.testing.assert_allclose(one.grid, expected / expected.max(), rtol=1e-3, atol=1e-5)
        assert (one.size, one.box) == ((90, 70), (0, 0, 70, 90))
    assert found.similarity["positive"] == [pytest.approx(float(f[0] @ f[1]), abs=1e-5)]


def drawing(margin: float | None) -> tuple[Prototypes, DrawingNet]:
    torch.manual_seed(0)
    network = DrawingNet(size=24, widths=(4, 8), depths=(1, 1), views=3)
    return Prototypes(drawing_embedder(network, margin), "small"), network


@pytest.mark.parametrize("margin", [None, 0.2])
def test_a_drawing_is_explained_where_it_was_cut_from(margin: float | None) -> None:
    page = np.full((80, 120, 3), 255, np.uint8)
    page[50:75, 10:14] = page[70:75, 10:40] = 0
    matcher, _ = drawing(margin)
    found = Explainer(matcher).explain(page, page[:, ::-1].copy())
    x, y, width, height = found.anchor.box
    assert found.anchor.box == ink_box(page, margin)
    marked = found.anchor.resized()
    rows, columns = np.nonzero(marked)
    assert marked.shape == (80, 120)
    assert x - 1 <= columns.min() <= columns.max() <= x + width
    assert y - 1 <= rows.min() <= rows.max() <= y + height
    if margin:  # the strokes' box, not the page
        assert x == pytest.approx(25 - 0.6 * 45.6, abs=3)
        assert width == pytest.approx(54.7, abs=3)


def test_the_network_sees_what_the_box_says() -> None:
    page = np.full((240, 240, 3), 255, np.uint8)
    page[120:200, 20:36] = page[190:200, 20:90] = 0
    matcher, network = drawing(0.2)
    assert isinstance(matcher.embedder, NetworkEmbedder)
    seen = matcher.embedder.prepare(page)[0]
    x, y, width, height = (round(value) for value in ink_box(page, 0.2))
    padded = Image.fromarray(np.pad(page[..., 0], 200, constant_values=255))
    part = padded.crop((200 + x, 200 + y, 200 + x + width, 200 + y + height))
    direct = 1 - np.asarray(part.resize((24, 24), Image.Resampling.BOX)) / 255
    assert np.corrcoef(seen.ravel(), direct.ravel())[0, 1] > 0.95
    assert network.size == 24


def test_why_this_label(colours: Prototypes) -> None:
    support = [halves(RED, RED), halves(GREEN, GREEN), halves(BLUE, BLUE)]
    recognizer = Recognizer(colours).fit(support, ["red", "green", "blue"])
    query = halves(RED, (0, 200, 0))
    explainer = Explainer(layer="cells")
    found = explainer.explain_label(recognizer, query)
    assert found.evidence.of == "similarity to 'red'"
    cosine = 255 / np.hypot(255, 200)
    assert found.similarity == {"similarity to 'red'": pytest.approx(cosine)}
    assert found.anchor.resized()[:, :24].min() > 0.99
    assert found.anchor.resized()[:, 40:].max() < 0.01
    against = explainer.explain_label(recognizer, query, against="green")
    assert against.evidence.before == pytest.approx(cosine * (1 - 200 / 255), abs=1e-6)
    with pytest.raises(InputError, match="against 'pink': is one of blue, green, red"):
        explainer.explain_label(recognizer, query, against="pink")


def test_why_the_same_and_why_not(colours: Prototypes) -> None:
    explainer = Explainer(colours, layer="cells")
    same = explainer.explain_pair(halves(RED, GREEN), halves(RED, RED))
    assert same.similarity["same"] is True
    assert [one.role for one in same] == ["anchor", "positive"]
    other = explainer.explain_pair(halves(RED, GREEN), halves(BLUE, BLUE))
    assert (other.similarity["same"], other.similarity["threshold"]) == (False, 0.5)
    assert other.similarity["score"] == pytest.approx(1 / (1 + np.exp(5)))
    assert [one.role for one in other] == ["anchor", "negative"]


def test_any_score_of_a_vector(colours: Prototypes) -> None:
    explainer = Explainer(colours, layer="cells")
    found = explainer.explain_score(halves(RED, GREEN), lambda v: v[:, 1], of="green")
    assert found.similarity == {"green": pytest.approx(0.5)}
    assert found.anchor.resized()[:, 40:].min() > 0.99
    assert found.anchor.resized()[:, :24].max() < 0.01


def test_kochs_network_by_autograd() -> None:
    torch.manual_seed(0)
    network = KochSiamese("unit-variance")
    sample = omniglot()
    pictures = [query.path for query in sample.queries[:2]]
    explainer = Explainer(KochMatcher(network))
    for found in (explainer.explain(*pictures), explainer.explain(pictures[0], (), pictures[1])):
        assert found.anchor.grid.shape == (6, 6)
        assert found.anchor.grid.max() == 1
    recognizer = Recognizer(KochMatcher(network)).fit(sample.support)
    label = recognizer.predict(pictures[0]).nearest
    assert explainer.explain_label(recognizer, pictures[0]).evidence.of.endswith(f"{label!r}")


def test_the_model_is_chosen_by_the_pictures() -> None:
    drawn = [query.path for query in omniglot().queries[:2]]
    explainer = Explainer()
    found = explainer.explain(drawn[0], drawn[1])
    assert (found.model, found.backbone) == ("omniglot-small", "drawing-net")
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert explainer.explain(photo, photo[::-1]).model == "handful-base"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "hausdorff"}, "hausdorff: has no network to explain"),
        ({"weights": "other"}, "'other': is one of score, difference"),
        ({"layer": "layer9"}, "no layer 'layer9'"),
    ],
)
def test_what_cannot_be_explained_is_said(options: dict[str, str], message: str) -> None:
    page = halves(RED, GREEN)
    with pytest.raises(InputError, match=message):
        Explainer(**options).explain(page, page)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="nothing to compare with"):
        Explainer().explain(page)
