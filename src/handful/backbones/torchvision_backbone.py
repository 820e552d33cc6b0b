"""Any classification network of torchvision as named feature maps."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handful.backbones.download import from_url
from handful.backbones.features import FeatureMaps
from handful.errors import InputError

EMBEDDING = "embedding"
_PROBE = 512  # large enough that the borders of a valid convolution do not hide the stride
_TOKENS = ("vit_", "swin_", "maxvit")


class TorchvisionBackbone(FeatureMaps):
    """A torchvision network by name.

    Parameters
    ----------
    name : str
        Such as ``resnet50``; any of torchvision's networks for classification that are made of
        convolutions (its transformers are in timm, whose maps are plain).
    nodes : sequence of str, optional
        Modules (``layer2``) or operations (``layer2.0.add``) of torchvision's
        `get_graph_node_names`: one map each, named after it. By default the deepest stage of
        every stride from 4 on: ``stride4``, ``stride8``, ``stride16``, ``stride32``.
    embedding : bool or str
        Whether `embed` gives what the network's last linear layer sees, or the node whose vector
        it gives (``classifier.2`` of AlexNet is fc6). Without it, only what the maps need is kept.
    frozen : bool
        See :class:`FeatureMaps`.

    Notes
    -----
    The graph is cut by torchvision's feature extraction: what no map needs is neither kept nor
    computed, and there are no hooks.

    Examples
    --------
    >>> backbone = TorchvisionBackbone("resnet18")
    >>> backbone.strides
    {'stride4': 4, 'stride8': 8, 'stride16': 16, 'stride32': 32}
    >>> backbone(torch.zeros(1, 3, 64, 64))["stride16"].shape
    torch.Size([1, 256, 4, 4])
    """

    def __init__(
        self,
        name: str,
        nodes: Sequence[str] | None = None,
        embedding: bool | str = True,
        frozen: bool = True,
    ) -> None:
        self.architecture = name
        own = f"torchvision:{name}{f'@{embedding}' if isinstance(embedding, str) else ''}"
        network = _network(name)
        keys = network.state_dict().keys()
        last = _last_linear(network) if embedding is True else None
        # shapes are found on a copy without memory, where nothing is computed
        shadow = deepcopy(network).to("meta")
        taps = {node: node for node in nodes} if nodes else _stages(shadow)
        shapes = _shapes(_cut(shadow, taps, embedding, name))
        network = _cut(network, taps, embedding, name)
        vector = shapes.pop(EMBEDDING) if embedding else (0,)
        if len(vector) != 1:
            raise InputError(f"{own}: gives a map there, and no vector")
        (features,) = vector
        flat = [tap for tap, shape in shapes.items() if len(shape) != 3]
        if flat:
            raise InputError(f"torchvision:{name}: {flat[0]} is no feature map (N, C, H, W)")
        super().__init__(
            own,
            network,
            strides={tap: _stride(shape[-1]) for tap, shape in shapes.items()},
            channels={tap: shape[0] for tap, shape in shapes.items()},
            features=features,
            dropped=frozenset(keys - network.state_dict().keys()),
            frozen=frozen,
        )
        self._last = last

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map normalised pixels (N, 3, H, W) to maps (N, channels, ~H/stride, ~W/stride)."""
        found = self.network(x)
        return {tap: found[tap] for tap in self.strides}

    def embed(self, x: Tensor) -> Tensor:
        """Map normalised pixels (N, 3, H, W) to vectors (N, features), of any length."""
        vectors: Tensor = self.network(x)[EMBEDDING]
        return vectors

    def _fill(self, tensors: dict[str, Tensor], path: Path) -> None:
        super()._fill(tensors, path)
        layer = [tensors.get(f"{self._last}.{part}") for part in ("weight", "bias")]
        if self._last and layer[0] is not None and layer[1] is not None:
            self.classifier = layer[0].float(), layer[1].float()

    def _download(self) -> Path:
        from torchvision.models import get_model_weights

        offered = get_model_weights(self.architecture)
        # the first ones, where there are several: published methods stand on them
        return from_url(next(iter(offered)).url, self.name)


def is_torchvision(name: str) -> bool:
    """Say whether torchvision has a network for classification of this name."""
    import torchvision

    return name in torchvision.models.list_models(module=torchvision.models)


def _network(name: str) -> nn.Module:
    import torchvision

    if not is_torchvision(name) or name.startswith(_TOKENS):
        raise InputError(
            f"torchvision:{name}: torchvision has no such network of convolutions;"
            " `torchvision.models.list_models()` lists them, and timm:NAME has many more"
        )
    options = {"init_weights": True} if name in {"googlenet", "inception_v3"} else {}
    network: nn.Module = torchvision.models.get_model(name, weights=None, **options)
    return network.eval()


def _cut(network: nn.Module, taps: dict[str, str], embedding: bool | str, name: str) -> nn.Module:
    """Return the part of the network that the taps (node -> name of the map) need."""
    from torchvision.models.feature_extraction import create_feature_extractor

    taps = dict(taps)
    if embedding:
        node = embedding if isinstance(embedding, str) else _open_classifier(network)
        taps[node] = EMBEDDING
    try:
        part = create_feature_extractor(network, taps, suppress_diff_warning=True)
    except ValueError as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"torchvision:{name}: has no such node ({reason})") from error
    return _out_of_place(part)


def _out_of_place(part: Any) -> nn.Module:
    """Make every operation leave its input as it is: a map may be that input."""
    for module in part.modules():
        if getattr(module, "inplace", False):
            module.inplace = False
    for graph in (part.train_graph, part.eval_graph):
        for node in graph.nodes:
            if node.kwargs.get("inplace"):
                node.update_kwarg("inplace", False)
            if node.target is operator.iadd:
                node.target = operator.add
    part.graph = part.eval_graph
    network: nn.Module = part
    return network


def _last_linear(network: nn.Module) -> str | None:
    """Return the path of the last linear layer, None where there is none."""
    linear = [path for path, part in network.named_modules() if isinstance(part, nn.Linear)]
    return linear[-1] if linear else None


def _open_classifier(network: nn.Module) -> str:
    """Replace the last linear layer by the identity; return its path."""
    linear = _last_linear(network)
    # SqueezeNet classifies by a convolution: its embedding is the pooled input of that
    path = linear or "classifier.1"
    parent, _, child = path.rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())
    if not linear:
        setattr(network.get_submodule(parent), "2", nn.Identity())
        return "flatten"
    return path


def _stages(network: nn.Module) -> dict[str, str]:
    """Return the last module of every stride from 4 to 32: path -> name of the map."""
    sizes: dict[str, int] = {}

    def note(path: str) -> Any:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 4:
                sizes[path] = output.shape[-1]

        return hook

    handles = [part.register_forward_hook(note(path)) for path, part in _candidates(network)]
    network(torch.empty(1, 3, _PROBE, _PROBE, device="meta"))
    for handle in handles:
        handle.remove()
    strides = {path: _stride(side) for path, side in sizes.items()}
    last = {stride: path for path, stride in strides.items() if 4 <= stride <= 32}
    return {last[stride]: f"stride{stride}" for stride in sorted(last)}


def _candidates(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the modules at the top; in the place of the whole trunk, those in it."""
    found = []
    for path, part in network.named_children():
        if path in {"features", "layers", "trunk_output"}:
            found += [(f"{path}.{child}", inner) for child, inner in part.named_children()]
        else:
            found.append((path, part))
    return found


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    found = network(torch.empty(1, 3, _PROBE, _PROBE, device="meta"))
    return {tap: tuple(value.shape[1:]) for tap, value in found.items()}


def _stride(side: int) -> int:
    return int(2 ** round(math.log2(_PROBE / side)))
