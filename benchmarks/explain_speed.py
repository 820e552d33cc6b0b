"""Explaining 64 triplets at 224 pixels: the closed form against Grad-CAM run by autograd.

    python benchmarks/explain_speed.py [--threads 2] [--triplets 64] [--rounds 3] [--out FILE.json]

For each network, `pytorch-grad-cam` and the closed form explain the same batches of normalised
photos, of the same type and layout, in turns, and give maps of the photos' size, maximum 1.
pytorch-grad-cam is asked for the same maps, which is checked: its target is w . f, and w is given,
which costs it nothing. Where it is not installed a twin stands in for it that runs a forward and a
backward pass and little else, so the ratio is then a lower bound. Seconds are the median of the
rounds, a ratio the median of the rounds' ratios. ``handful`` is the closed form in the layout in
which handful itself runs. One JSON object is printed; it fails below the bars, 1.8 times for
ResNet-50 and 4 times for handful-base.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, interpolate, normalize

from handful.backbones import build
from handful.backbones.cut import cut
from handful.backbones.features import FeatureMaps
from handful.files import write_json
from handful.methods.similarity_attention import similarity_attention, weight_vector
from handful.provenance import describe_device, provenance

BARS = {"resnet50": 1.8, "handful-base": 4.0}
Explain = Callable[[Tensor], Tensor]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--triplets", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8, help="triplets at once")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--networks", nargs="+", choices=tuple(BARS), default=tuple(BARS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = {name: measure(name, options) for name in options.networks}
    passed = all(one["ratio"]["closed"] >= BARS[name] for name, one in found.items())
    answer = {
        "protocol": "explain-speed",
        "model": "similarity-attention",
        "n": options.triplets,
        "metrics": {name: one["ratio"]["closed"] for name, one in found.items()},
        "size": options.size,
        "rival": _rival(),
        "networks": found,
        "passed": passed,
    }
    print(json.dumps(answer, indent=2))
    if options.out is not None:
        origin = provenance([], 0, describe_device("cpu"))
        command = f"python benchmarks/explain_speed.py --threads {options.threads}"
        write_json(options.out, answer | origin | {"command": command})
    return 0 if passed else 1


def _rival() -> str:
    if find_spec("pytorch_grad_cam") is None:
        return "autograd"
    try:
        return f"pytorch-grad-cam {version('grad-cam')}"
    except PackageNotFoundError:
        return "pytorch-grad-cam"


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Time every way on one network, in turns."""
    torch.manual_seed(0)
    network = build(name)
    if name == "handful-base":
        network.load()
    plain = build(name)
    plain.load_state_dict(network.state_dict())
    plain = plain.to(memory_format=torch.contiguous_format)
    shape = (3, options.batch, 3, options.size, options.size)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    packaged = find_spec("pytorch_grad_cam") is not None
    ways: dict[str, Explain] = {
        "rival": by_package(plain, name, x) if packaged else by_autograd(plain),
        "closed": closed(plain),
        "handful": closed(network.to(memory_format=torch.channels_last)),
    }
    truth = ways["closed"](x).flatten(1)
    alike = {
        way: round(float(cosine_similarity(run(x).flatten(1), truth).min()), 6)
        for way, run in ways.items()
    }
    if min(alike.values()) < 0.999:
        raise SystemExit(f"{name}: the ways explain different things: {alike}")
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way, run in ways.items():
            start = time.perf_counter()
            for _ in range(-(-options.triplets // options.batch)):
                run(x)
            seconds[way].append(time.perf_counter() - start)
    return {
        "seconds": {way: round(statistics.median(taken), 3) for way, taken in seconds.items()},
        "ratio": {
            way: round(
                statistics.median(a / b for a, b in zip(seconds["rival"], taken, strict=True)), 2
            )
            for way, taken in seconds.items()
            if way != "rival"
        },
        "least_cosine_of_maps": alike,
    }


def closed(network: FeatureMaps) -> Explain:
    found = cut(network)
    assert found.head is not None
    return lambda x: finished(similarity_attention(found, x, "triplet").flatten(0, 1), x)


def finished(maps: Tensor, x: Tensor) -> Tensor:
    """Bring maps (N, h, w) to the size of the photos, the maximum of each to 1."""
    size = (x.shape[-2], x.shape[-1])
    found = interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    return found / found.amax((1, 2), keepdim=True).clamp_min(1e-30)


def by_autograd(network: FeatureMaps) -> Explain:
    """Explain as Grad-CAM does: a forward pass with gradients, a backward pass to the input."""
    both = cut(network).both

    def run(x: Tensor) -> Tensor:
        flat = x.flatten(0, 1).clone().requires_grad_()
        maps, vectors = both(flat)
        maps.retain_grad()
        features = normalize(vectors, dim=1)
        w = weight_vector(list(features.detach().view(3, -1, vectors.shape[1])), "triplet")
        (features.view(3, -1, vectors.shape[1]) * w).sum().backward()  # type: ignore[no-untyped-call]
        assert maps.grad is not None
        alpha = torch.mean(maps.grad, dim=(2, 3), keepdim=True)
        return finished(torch.relu((alpha * maps.detach()).sum(1)), x)

    return run


class _Target:
    """What pytorch-grad-cam differentiates for one image: w . f."""

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights

    def __call__(self, output: Tensor) -> Tensor:
        return output @ self.weights


class _Headed(nn.Module):
    """handful-base with its head as a module, whose output pytorch-grad-cam can record."""

    def __init__(self, network: FeatureMaps) -> None:
        super().__init__()
        self.recorded = nn.Identity()
        self.trunk: Any = network.network

    def forward(self, x: Tensor) -> Tensor:
        maps = self.recorded(self.trunk(x)["head"])
        return normalize(self.trunk.projection(torch.mean(maps, dim=(2, 3))), dim=1)


def by_package(network: FeatureMaps, name: str, x: Tensor) -> Explain:
    """Explain by pytorch-grad-cam, at the last map; `x` is what it will be asked to explain."""
    package = import_module("pytorch_grad_cam")

    if name == "handful-base":
        model: nn.Module = _Headed(network)
        layer: Any = model.recorded
    else:
        import torchvision

        bare = torchvision.models.resnet50(weights=None).eval()
        state = network.network.state_dict()
        bare.load_state_dict({**bare.state_dict(), **state})
        bare.fc = nn.Identity()
        layer = bare.layer4[-1]
        model = nn.Sequential(bare, _Unit())
    model.eval().requires_grad_(True)
    cam = package.GradCAM(model=model, target_layers=[layer])

    with torch.no_grad():
        features = model(x.flatten(0, 1)).view(3, x.shape[1], -1)
    # a little longer than it has to be: the package adds 1e-7 to each maximum, raw maps are small
    targets = [_Target(1000 * row) for row in weight_vector(list(features), "triplet").repeat(3, 1)]

    def run(x: Tensor) -> Tensor:
        return torch.from_numpy(np.asarray(cam(x.flatten(0, 1), targets=targets)))

    return run


class _Unit(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return normalize(x, dim=1)


if __name__ == "__main__":
    sys.exit(main())
