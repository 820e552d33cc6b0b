"""The bundled network for photos: what it holds, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file

from handful import zoo
from handful.backbones import build, check_digest
from handful.backbones.handful_base import HandfulBase, photo_embedder
from handful.errors import InputError
from handful.images import read
from handful.zoo import store


@pytest.fixture(scope="module")
def base() -> HandfulBase:
    return HandfulBase().load()


def test_the_bundle_is_small_and_carries_its_terms() -> None:
    card = zoo.card("handful-base")
    assert zoo.weights("handful-base").stat().st_size == card.bytes < 6_000_000
    assert card.commercial_use
    assert card.licence.startswith("Apache-2.0")
    folder = store.BUNDLED / "weights"
    assert "Apache License" in (folder / "handful-base.LICENSE").read_text()
    notice = (folder / "handful-base.NOTICE").read_text()
    for change in ("8-bit", "folded", "projection", "float16"):
        assert change in notice


def test_parameters_are_the_cards(base: HandfulBase) -> None:
    count = sum(p.numel() for p in base.parameters())
    assert count == zoo.card("handful-base").parameters
    # MobileNetV2 without its classifier and without the batch norms' scales, and the projection
    network = timm.create_model("mobilenetv2_100", num_classes=0)
    scales = sum(
        part.weight.numel() for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)
    )
    assert count - 1280 * 512 == sum(p.numel() for p in network.parameters()) - scales


def test_constructing_loads_nothing_and_loading_needs_no_network() -> None:
    first, second = HandfulBase(), build("handful-base")
    assert first.digest is None
    assert not torch.equal(first.network.head.weight, second.network.head.weight)
    first.load()
    second.load(zoo.weights("handful-base"))
    assert torch.equal(first.network.head.weight, second.network.head.weight)
    assert first.digest == second.digest == zoo.card("handful-base").sha256
    check_digest(zoo.digest("handful-base"), first)


@pytest.mark.parametrize("size", [(96, 96), (97, 130)])
def test_maps_have_the_strides_and_channels_that_are_told(
    base: HandfulBase, size: tuple[int, int]
) -> None:
    maps = base(torch.randn(2, 3, *size))
    assert list(maps) == ["stride8", "stride16", "stride32", "head"]
    for key, value in maps.items():
        cells = [-(-side // base.strides[key]) for side in size]
        assert value.shape == (2, base.channels[key], *cells)
    assert maps["head"].min() >= 0
    assert maps["head"].max() <= 6


def test_embedding_is_the_projected_mean_of_the_last_map(base: HandfulBase) -> None:
    x = torch.randn(2, 3, 96, 96)
    pooled = base(x)["head"].double().mean((2, 3))
    truth = pooled @ zoo.load_weights("handful-base")["projection.weight"].double().T
    torch.testing.assert_close(base.embed(x).double(), truth, rtol=1e-4, atol=1e-5)


def test_gradients_reach_the_maps(base: HandfulBase) -> None:
    """Explanations differentiate an embedding by a map, in place operations or not."""
    maps = base(torch.randn(1, 3, 64, 64, requires_grad=True))
    vector = base.network.projection(maps["head"].mean((2, 3)))
    (gradient,) = torch.autograd.grad(vector[0, 0], maps["head"])
    truth = base.network.projection.weight[0] / 4
    torch.testing.assert_close(gradient[0], truth[:, None, None].expand(-1, 2, 2))


def test_photos_become_unit_vectors_whatever_their_shape() -> None:
    embedder = photo_embedder()
    assert embedder.name == "handful-base"
    generator = np.random.default_rng(0)
    photos = [
        generator.integers(0, 256, shape, dtype=np.uint8)
        for shape in ((200, 300, 3), (40, 20, 3), (160, 160))
    ]
    vectors = embedder.embed(photos)
    assert vectors.shape == (3, 512)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    # one at a time or together
    torch.testing.assert_close(embedder.embed(photos[1:2]), vectors[1:2], rtol=1e-4, atol=1e-5)


def test_preparation_is_pillows_and_the_normalisation_the_networks() -> None:
    from PIL import Image

    generator = np.random.default_rng(1)
    photo = generator.integers(0, 256, (100, 160, 3), dtype=np.uint8)
    wide = 102  # of 64 x 102, the middle 64 columns are 19 to 83
    middle = (19 * 160 / wide, 0, 83 * 160 / wide, 100)
    for fit, box in (("squash", (0, 0, 160, 100)), ("crop", middle)):
        prepare = photo_embedder(64, fit=fit).prepare  # type: ignore[arg-type]
        small = Image.fromarray(photo).resize((64, 64), Image.Resampling.BICUBIC, box=box)
        truth = (np.asarray(small, np.float64) / 255 - 0.498) / 0.5
        found = prepare(photo).transpose(1, 2, 0)
        # cut before or after resizing differs at the edge of the cut, by the filter's width;
        # one grey level of 255 is rounding
        inner = slice(4, -4)
        assert np.abs(found[inner, inner] - truth[inner, inner]).max() < 1.01 / 127.5


def test_wrong_sizes_and_fits_are_told() -> None:
    with pytest.raises(InputError, match="a size of 8 pixels is too small"):
        photo_embedder(8)
    with pytest.raises(InputError, match="fit 'stretch': is one of squash, crop"):
        photo_embedder(fit="stretch")  # type: ignore[arg-type]


@pytest.mark.data("weights")
def test_features_are_those_of_the_source_network(
    base: HandfulBase, data_root: Callable[[str], Path]
) -> None:
    source = timm.create_model("mobilenetv2_100", pad_type="same", num_classes=1001).eval()
    source.load_state_dict(load_file(data_root("weights") / "mobilenetv2_100.safetensors"))
    x = torch.randn(2, 3, 160, 161)
    with torch.no_grad():
        truth = source.forward_head(source.forward_features(x), pre_logits=True)
    assert (base.pooled(x) - truth).abs().max() < 1e-4
    assert truth.abs().max() > 0.5


@pytest.mark.data("caltech66")
def test_neighbours_among_photos_are_of_the_same_class(data_root: Callable[[str], Path]) -> None:
    """Ten photos of each of six training classes: most have their nearest in their own class."""
    root = data_root("caltech66")
    names = ("accordion", "bass", "chair", "euphonium", "laptop", "rooster")
    files = [file for name in names for file in sorted((root / name).iterdir())[:10]]
    vectors = photo_embedder(128).embed([read(file) for file in files])
    cosines = vectors @ vectors.T
    cosines.fill_diagonal_(-1)
    classes = np.repeat(np.arange(6), 10)
    assert (classes[cosines.argmax(1).numpy()] == classes).mean() > 0.9
