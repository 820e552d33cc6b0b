"""MSHNet as one module: backbone, similarities, head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from handful.backbones import FeatureMaps
from handful.backbones.pyramid import pyramid
from handful.errors import InputError
from handful.methods.mshnet.blocks import PAPER, Head, Kind, Widths, resized
from handful.methods.mshnet.output import Output
from handful.methods.mshnet.support import SupportState
from handful.similarity import dense_cosine, prototype_similarity
from handful.similarity.prototype import Interaction

Similarity = Literal["both", "cosine", "prototype"]
Features = Mapping[str, Tensor]

KINDS: dict[Similarity, tuple[Kind, ...]] = {
    "both": ("prototype", "cosine"),
    "cosine": ("cosine",),
    "prototype": ("prototype",),
}


class GenerativePrototype(nn.Module):
    """The weights W of equation 4: one vector for each width of a level's maps."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.weights = nn.ModuleDict(
            {str(width): nn.Linear(2 * width, 1, bias=False) for width in sorted(set(channels))}
        )

    def of(self, channels: int) -> Tensor:
        """Return the weight for maps of so many channels, (2 channels,)."""
        found = self.weights[str(channels)].weight
        assert isinstance(found, Tensor)
        return found[0]


class MSHNet(nn.Module):
    """Segment what a few masks show, from similarities alone.

    Parameters
    ----------
    backbone : str or FeatureMaps
        A name that `handful.backbones.pyramid.pyramid` takes, or a network whose maps have
        strides 8, 16 and 32. It is frozen; constructing it loads nothing.
    similarity : {"both", "cosine", "prototype"}
        What the masks are read from (table 4).
    widths : Widths
        Channels of the head; the paper's by default.
    interaction : {"sum", "product"}
        How a prototype meets a pixel, see `handful.similarity.prototype_similarity`.
    weighted : bool
        Whether prototypes weigh each pixel by the resized mask.

    Examples
    --------
    >>> from handful.methods.mshnet import LIGHT
    >>> model = MSHNet("handful-base", widths=LIGHT).eval()
    >>> photos, masks = torch.rand(2, 3, 64, 64), torch.zeros(2, 64, 64)
    >>> masks[:, 16:48, 16:48] = 1
    >>> state = model.support_state(photos, masks)
    >>> model(torch.rand(1, 3, 64, 64), state).masks.shape
    torch.Size([1, 64, 64])
    """

    def __init__(
        self,
        backbone: str | FeatureMaps = "resnet50",
        similarity: Similarity = "both",
        widths: Widths = PAPER,
        interaction: Interaction = "sum",
        weighted: bool = False,
    ) -> None:
        super().__init__()
        if similarity not in KINDS:
            raise InputError(f"similarity {similarity!r}: is one of {', '.join(KINDS)}")
        if interaction not in get_args(Interaction):
            raise InputError(f"interaction {interaction!r}: is one of {get_args(Interaction)}")
        self.backbone = pyramid(backbone) if isinstance(backbone, str) else backbone
        self.backbone.frozen = True
        self.backbone.requires_grad_(False).eval()
        self.interaction: Interaction = interaction
        self.weighted = weighted
        self.kinds = KINDS[similarity]
        self.levels = _levels(self.backbone)
        channels = self.backbone.channels
        self.prototype = nn.ModuleList(
            [
                GenerativePrototype([channels[name] for name in level])
                for level in self.levels
                if "prototype" in self.kinds
            ]
        )
        self.head = Head([len(level) for level in self.levels], self.kinds, widths)

    def learned(self) -> dict[str, Tensor]:
        """Return the state without the backbone: what a weights file of this method holds."""
        return {
            name: value
            for name, value in self.state_dict().items()
            if not name.startswith("backbone.")
        }

    def load_learned(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `learned` returned, of any floating type.

        Raises
        ------
        InputError
            They are those of another configuration.
        """
        mine = self.learned()
        wrong = sorted(mine.keys() ^ tensors.keys()) or sorted(
            name for name, value in mine.items() if value.shape != tensors[name].shape
        )
        if wrong:
            raise InputError(
                f"weights of another MSHNet: {len(wrong)} tensors differ, such as {wrong[0]};"
                " give those of this backbone, similarity and width"
            )
        self.load_state_dict(dict(tensors), strict=False)

    @torch.no_grad()
    def features(self, pixels: Tensor) -> dict[str, Tensor]:
        """Map normalised pixels (N, 3, H, W) to the maps, which may be kept and given again."""
        found: dict[str, Tensor] = self.backbone(pixels)
        return {name: found[name] for level in self.levels for name in level}

    def support_state(
        self,
        photos: Tensor | Features,
        masks: Tensor,
        dtype: torch.dtype | None = torch.float16,
    ) -> SupportState:
        """Condense the examples of one class, once for all queries.

        Parameters
        ----------
        photos : Tensor or mapping of str to Tensor
            Normalised pixels (K, 3, H, W), or what `features` made of them.
        masks : Tensor
            (K, H, W), of numbers in [0, 1] or of bool.
        dtype : torch.dtype, optional
            In which it is kept; None: in that of the features.
        """
        maps = self.features(photos) if isinstance(photos, Tensor) else photos
        return SupportState.of(maps, masks, self.weighted, dtype)

    def forward(
        self,
        query: Tensor | Features,
        support: SupportState | Sequence[SupportState],
        size: tuple[int, int] | None = None,
    ) -> Output:
        """Segment queries by supports.

        Parameters
        ----------
        query : Tensor or mapping of str to Tensor
            Normalised pixels (N, 3, H, W), or what `features` made of them.
        support : SupportState or sequence of SupportState
            One for all queries; as many as queries, one each; or, for a single query, several
            classes, which share its features.
        size : tuple of int, optional
            Height and width of the answer; by default those of the pixels, and for features
            twice the finest map's.

        Returns
        -------
        Output
            Of P = max(N, supports) tasks; `inner` is filled in training mode alone.
        """
        states = [support] if isinstance(support, SupportState) else list(support)
        if isinstance(query, Tensor):
            size = size or (query.shape[2], query.shape[3])
            query = self.features(query)
        tasks = _tasks(len(query[self.levels[0][0]]), len(states))
        groups = [(n, [states[k] for k in members]) for n, members in tasks]
        shots = [state.shots for _, members in groups for state in members]
        similarities = self.similarities(query, groups)
        logits, inner = self.head(similarities, shots, self.training)
        return Output(resized(logits, size) if size else logits, tuple(inner))

    def similarities(
        self, query: Features, groups: Sequence[tuple[int, Sequence[SupportState]]]
    ) -> list[dict[Kind, Tensor]]:
        """Return the similarities that the head reads.

        Parameters
        ----------
        query : mapping of str to Tensor
            Maps (N, C, h, w).
        groups : sequence of (int, sequence of SupportState)
            The index of a query, and the classes that are compared with it.

        Returns
        -------
        list of dict
            Of each level, from fine to coarse: each kind's (sum of all shots, layers, h, w).
        """
        # cosines that lie close together need all their digits, whatever the head computes in
        with torch.autocast(next(self.head.parameters()).device.type, enabled=False):
            kinds = {kind: self.stage(kind, query, groups) for kind in self.kinds}
        return [
            {kind: levels[index] for kind, levels in kinds.items()}
            for index in range(len(self.levels))
        ]

    def stage(
        self, kind: Kind, query: Features, groups: Sequence[tuple[int, Sequence[SupportState]]]
    ) -> list[Tensor]:
        """Return one kind of similarity, see `similarities`."""
        return [self._stack(kind, level, query, groups) for level in range(len(self.levels))]

    def _stack(
        self,
        kind: Kind,
        level: int,
        query: Features,
        groups: Sequence[tuple[int, Sequence[SupportState]]],
    ) -> Tensor:
        # features may be kept in half the bits; what is learned says how finely to compute
        dtype = next(self.head.parameters()).dtype
        layers = []
        for name in self.levels[level]:
            maps = [(query[name][n].to(dtype), states) for n, states in groups]
            compared = [
                self._by_prototype(level, name, found, states)
                if kind == "prototype"
                else _by_cosine(name, found, states)
                for found, states in maps
            ]
            layers.append(torch.cat(compared))
        return torch.stack(layers, 1)

    def _by_prototype(
        self, level: int, name: str, query: Tensor, states: Sequence[SupportState]
    ) -> Tensor:
        prototypes = torch.cat([state.prototypes[name] for state in states])
        learned = self.prototype[level]
        assert isinstance(learned, GenerativePrototype)
        return prototype_similarity(query, prototypes, learned.of(len(query)), self.interaction)

    @torch.no_grad()
    def energy(
        self, query: Features, support: SupportState
    ) -> dict[Kind, dict[int, NDArray[np.float32]]]:
        """Return the mean similarity of each level: the energy maps of section 6.1.

        Parameters
        ----------
        query : mapping of str to Tensor
            Maps (1, C, h, w) of one photo.
        support : SupportState
            One class.

        Returns
        -------
        dict
            Of each kind, stride -> (h, w) in [0, 1]: the mean over the level's layers and over
            the shots.
        """
        found = self.similarities(query, [(0, [support])])
        strides = [self.backbone.strides[level[0]] for level in self.levels]
        return {
            kind: {
                stride: level[kind].mean((0, 1)).float().cpu().numpy()
                for stride, level in zip(strides, found, strict=True)
            }
            for kind in self.kinds
        }


def _by_cosine(name: str, query: Tensor, states: Sequence[SupportState]) -> Tensor:
    """Return the mean positive cosine to each shot of the classes, (shots, h, w)."""
    pixels = query.flatten(1).mT
    found = [dense_cosine(pixels, shot) for state in states for shot in state.shot_pixels(name)]
    return torch.stack(found).reshape(-1, *query.shape[1:])


def _levels(backbone: FeatureMaps) -> list[list[str]]:
    """Return the names of the maps of strides 8, 16 and 32."""
    levels = [
        [name for name, found in backbone.strides.items() if found == stride]
        for stride in (8, 16, 32)
    ]
    if not all(levels):
        raise InputError(f"{backbone.name}: MSHNet needs maps at strides 8, 16 and 32")
    return levels


def _tasks(queries: int, states: int) -> list[tuple[int, range]]:
    """Return which states each query meets."""
    if queries == 1:
        return [(0, range(states))]
    if states in (1, queries):
        return [(n, range(n, n + 1) if states > 1 else range(1)) for n in range(queries)]
    raise ValueError(f"{queries} queries and {states} supports: give one support, or one each")
