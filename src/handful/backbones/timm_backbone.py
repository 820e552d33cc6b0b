"""Any network of timm as named feature maps."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from handful.backbones.download import from_hub, from_url
from handful.backbones.features import FeatureMaps, Triple
from handful.errors import InputError

_LINEAR = ("weight", "bias")
_NEEDED = ("forward_intermediates", "feature_info", "head_hidden_size")


class TimmBackbone(FeatureMaps):
    """A timm network by name.

    Parameters
    ----------
    name : str
        Such as ``resnet50`` or ``resnet50.a1_in1k``: an architecture and, for the download, the
        tag of its weights.
    stages : sequence of int, optional
        Which of timm's stages (or blocks, of a transformer) give a map: ``stage0``, ... By
        default the deepest of every stride from 4 on: ``stride4``, ``stride8``, ...
    mean, std : tuple of float, optional
        What the weights were trained with; by default what timm says of its own weights.
    frozen : bool
        See :class:`FeatureMaps`.
    **options : object
        Of timm's constructor, such as ``pad_type="same"``.

    Examples
    --------
    >>> import torch
    >>> backbone = TimmBackbone("resnet18")
    >>> backbone.channels
    {'stride4': 64, 'stride8': 128, 'stride16': 256, 'stride32': 512}
    >>> backbone.embed(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 512])
    """

    def __init__(
        self,
        name: str,
        stages: Sequence[int] | None = None,
        mean: Triple | None = None,
        std: Triple | None = None,
        frozen: bool = True,
        **options: object,
    ) -> None:
        network = _network(name, options)
        config = network.pretrained_cfg
        info = list(network.feature_info)
        chosen = _chosen(name, info, stages)
        classifiers = config.get("classifier") or ()
        if isinstance(classifiers, str):
            classifiers = (classifiers,)
        super().__init__(
            f"timm:{name}",
            network,
            strides={key: info[index]["reduction"] for key, index in chosen.items()},
            channels={key: info[index]["num_chs"] for key, index in chosen.items()},
            features=int(network.head_hidden_size),
            mean=mean or tuple(config["mean"]),
            std=std or tuple(config["std"]),
            dropped=frozenset(f"{path}.{leaf}" for path in classifiers for leaf in _LINEAR),
            fixed_size=config["input_size"][-1] if config.get("fixed_input_size") else None,
            frozen=frozen,
        )
        self._chosen = chosen

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map normalised pixels (N, 3, H, W) to maps (N, channels, ~H/stride, ~W/stride)."""
        network: Any = self.network
        maps = network.forward_intermediates(
            x, sorted(self._chosen.values()), output_fmt="NCHW", intermediates_only=True
        )
        return dict(zip(self._chosen, maps, strict=True))

    def maps_and_vectors(self, x: Tensor, layer: str | None = None) -> tuple[Tensor, Tensor]:
        """Map normalised pixels to one map (N, C, h, w) and the vectors, in one pass.

        Without a `layer` the map is the one that the head takes, where it is one: some networks
        have a layer above their last stage.
        """
        network: Any = self.network
        index = self._chosen[layer or list(self._chosen)[-1]]
        final, maps = network.forward_intermediates(x, [index], output_fmt="NCHW")
        vectors: Tensor = network.forward_head(final, pre_logits=True)
        return final if layer is None and final.ndim == 4 else maps[0], vectors

    def embed(self, x: Tensor) -> Tensor:
        """Map normalised pixels (N, 3, H, W) to vectors (N, features), of any length."""
        network: Any = self.network
        vectors: Tensor = network.forward_head(network.forward_features(x), pre_logits=True)
        return vectors

    def _translated(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        # published files may have their authors' names; each of timm's modules knows its own
        module = sys.modules[type(self.network).__module__]
        translate = getattr(module, "checkpoint_filter_fn", None)
        translated: dict[str, Tensor] = translate(tensors, self.network) if translate else tensors
        return translated

    def _download(self) -> Path:
        config: dict[str, Any] = self.network.pretrained_cfg  # type: ignore[assignment]
        if config.get("hf_hub_id"):
            file = config.get("hf_hub_filename") or "model.safetensors"
            return from_hub(config["hf_hub_id"], file, self.name)
        if config.get("url"):
            return from_url(config["url"], self.name)
        raise InputError(
            f"{self.name}: timm offers no weights for it; give --backbone-weights FILE"
        )


def _network(name: str, options: dict[str, object]) -> Any:
    import timm

    # a name with a scheme (hf-hub:...) would be looked up in the network already here
    if ":" in name or not timm.is_model(name.partition(".")[0]):
        raise InputError(f"timm:{name}: timm has no such network; `timm.list_models()` lists them")
    try:
        network: nn.Module = timm.create_model(
            name, pretrained=False, **{**options, "num_classes": 0}
        )
    except (RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"timm:{name}: cannot be built ({reason})") from error
    if not all(hasattr(network, part) for part in _NEEDED):
        raise InputError(f"timm:{name}: timm gives no intermediate maps of it; take another one")
    return network


def _chosen(
    name: str, info: Sequence[dict[str, Any]], stages: Sequence[int] | None
) -> dict[str, int]:
    """Return timm's index of every map, in ascending order."""
    if stages is None:
        last = {stage["reduction"]: index for index, stage in enumerate(info)}
        return {f"stride{stride}": index for stride, index in last.items() if stride >= 4}
    if not stages or any(not 0 <= stage < len(info) for stage in stages):
        raise InputError(f"timm:{name}: has the stages 0 to {len(info) - 1}, not {list(stages)}")
    return {f"stage{stage}": stage for stage in sorted(set(stages))}
