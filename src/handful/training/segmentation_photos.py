"""What the tasks of few-shot segmentation share: photos, what is drawn of them, validation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from torch import Tensor

from handful.backbones import FeatureMaps, Kept
from handful.data import voc
from handful.data.hold_outs import hold_out
from handful.data.msrc import read_msrc
from handful.data.progress import track
from handful.data.segmentation.close_ups import add_close_ups
from handful.data.segmentation.episodes import SegmentationEpisodes, sample_episodes
from handful.data.segmentation.folder import read_folder
from handful.data.segmentation.photos import SegmentationSet, resized_mask
from handful.data.segmentation.training import training_pairs
from handful.errors import InputError
from handful.images import resize
from handful.metrics.segmentation import mean_iou, overlap
from handful.training.recipe import Recipe, held_out

VOC, VOC_LISTS, MSRC = "VOCdevkit/VOC2012", ("train_aug_subset", "val_subset"), "msrc21"

Pixels = NDArray[np.uint8]
Run = Callable[[Tensor], dict[str, Tensor]]


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Shots = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1), BeforeValidator(_listed)]
"""One number, or several."""


class SegmentationOptions(BaseModel):
    """The options that every task of few-shot segmentation has.

    Attributes
    ----------
    backbone : str
        Of whose frozen maps it learns.
    weights : str or None
        A weights file of the backbone.
    start : str or None
        A trained model, by its folder or its name in the zoo, whose weights it begins with; what
        they lack begins as ever.
    data : {"folder", "A", "B"}
        A folder of photos with masks; or VOC and MSRC below the root, without what the hold-out
        of that name tests.
    never : list of str
        Classes that no photo of the training may show.
    size : int
        Side of the square, in pixels.
    batch : int
        Queries of a step.
    shots : int or list of int
        Examples of each; of several numbers one is drawn for each query. Validation has the first.
    per_class : int
        At most so many photos of a class are trained on.
    balanced : bool
        Draw the class of a query first and then its photo, so that classes of few photos count as
        much as others.
    close_ups : bool
        Learn from parts of the photos too that their object fills.
    memory : float
        Gigabytes of features that are kept; beyond it photos are run through the backbone again.
    validation_episodes : int
        Of the validation classes.
    """

    model_config = ConfigDict(extra="forbid")

    backbone: str = "resnet50"
    weights: str | None = None
    start: str | None = None
    data: Literal["folder", "A", "B"] = "folder"
    never: list[str] = []
    size: int = Field(241, ge=64)
    batch: int = Field(8, ge=1)
    shots: Shots = [1]
    per_class: int = Field(750, ge=2)
    balanced: bool = False
    absent: float = Field(0.0, ge=0, lt=1)
    close_ups: bool = False
    memory: float = Field(4.0, ge=0)
    validation_episodes: int = Field(60, ge=1)


class Photos:
    """Photos of a set at one size, their features kept as far as memory allows.

    Parameters
    ----------
    dataset : SegmentationSet
        Where they come from.
    backbone : FeatureMaps
        Says how pixels are normalised, and on which device maps are made and given.
    run : callable
        Normalised pixels (N, 3, size, size) to the named maps that are kept.
    size : int
        Side of the square.
    memory : float
        Gigabytes to keep at most.
    """

    def __init__(
        self,
        dataset: SegmentationSet,
        backbone: FeatureMaps,
        run: Run,
        size: int,
        memory: float,
    ) -> None:
        self.dataset, self.backbone, self.run, self.size = dataset, backbone, run, size
        self._pixels: dict[int, Pixels] = {}
        self._kept = Kept(memory)
        self._masks: dict[tuple[int, int], Pixels] = {}

    @property
    def device(self) -> torch.device:
        """Where maps are made and given."""
        return next(self.backbone.parameters()).device

    def features(self, images: list[int]) -> dict[str, Tensor]:
        """Return the maps (N, C, h, w) of some photos, on the backbone's device."""
        # mixed precision is for what learns: frozen maps are those that inference will see
        with torch.autocast(self.device.type, enabled=False):
            found = [self._features(image) for image in images]
            stacked = {name: torch.cat([one[name] for one in found]) for name in found[0]}
        return {name: maps.to(self.device) for name, maps in stacked.items()}

    def mask(self, image: int, label: int) -> Pixels:
        """Return where a class is, (size, size): 1, 0, or 255 for void."""
        key = (image, label)
        if key not in self._masks:
            whole = self.dataset.checked_mask(image, label)
            self._masks[key] = resized_mask(whole, (self.size, self.size))
        return self._masks[key]

    def pixels(self, image: int) -> Pixels:
        """Return a photo as it is seen, (size, size, 3)."""
        if image not in self._pixels:
            self._pixels[image] = resize(self.dataset.image(image), (self.size, self.size))
        return self._pixels[image]

    def normalised(self, image: int) -> Tensor:
        """Return a photo as the backbone takes it, (1, 3, size, size) on its device."""
        mean, spread = (
            torch.tensor(x).view(3, 1, 1) * 255 for x in (self.backbone.mean, self.backbone.std)
        )
        pixels = torch.from_numpy(self.pixels(image)).permute(2, 0, 1).float()
        return ((pixels - mean) / spread)[None].to(self.device)

    @torch.no_grad()
    def _features(self, image: int) -> dict[str, Tensor]:
        found = self._kept.get(image, lambda: self.run(self.normalised(image)))
        if image in self._kept:
            self._pixels.pop(image, None)
        return found


class Drawn(NamedTuple):
    """One task of a batch: a query, its class, and the photos that show the class by example."""

    query: int
    label: int
    support: list[int]


class Draws:
    """The photos and classes that a training goes through.

    Parameters
    ----------
    dataset : SegmentationSet
        The photos.
    classes : tuple of str
        Training classes.
    validation : tuple of str
        Validation classes; a photo that shows one is not trained on.
    options : SegmentationOptions
        Photos of a class, shots, and whether classes are drawn alike.
    seed : int
        What the photos of each class are drawn from.

    Attributes
    ----------
    dataset : SegmentationSet
        The photos, with close-ups after them where these are asked for.
    table : ndarray
        (pairs, 2): photo and class.

    Raises
    ------
    InputError
        A class with too few photos for a query and its examples.
    """

    def __init__(
        self,
        dataset: SegmentationSet,
        classes: tuple[str, ...],
        validation: tuple[str, ...],
        options: SegmentationOptions,
        seed: int,
    ) -> None:
        self.shots = options.shots
        self.balanced, self.absent = options.balanced, options.absent
        pairs = training_pairs(
            dataset, classes, options.per_class, seed, novel=validation, keep_novel=False
        )
        self.dataset, self._sources = dataset, np.arange(len(dataset))
        if options.close_ups:
            self.dataset, pairs = together = add_close_ups(dataset, pairs, seed)
            self._sources = together[0].sources
        self.table = np.array(pairs, np.int64)
        self.pools = {
            label: self.table[self.table[:, 1] == label, 0]
            for label in np.unique(self.table[:, 1]).tolist()
        }
        self._absent: dict[tuple[int, str], NDArray[np.int64]] = {}
        few = [
            dataset.labels[label]
            for label, pool in self.pools.items()
            if len(np.unique(self._sources[pool])) <= max(options.shots)
        ]
        if few:
            raise InputError(f"{dataset.root}: too few photos show {few[0]!r}; leave it out")

    @property
    def files(self) -> list[str]:
        """The photos that are trained on."""
        rows = np.unique(self._sources[self.table[:, 0]]).tolist()
        return [self.dataset.paths[row] for row in rows]

    def draw(self, count: int, generator: torch.Generator) -> list[Drawn]:
        """Draw queries, each with other photos of its class as its support."""
        drawn = []
        for photo, label in self._pairs(count, generator):
            pool = self.pools[label]
            pool = pool[self._sources[pool] != self._sources[photo]]
            shots = self.shots[0]
            if len(self.shots) > 1:
                shots = self.shots[int(torch.randint(len(self.shots), (), generator=generator))]
            places = torch.randperm(len(pool), generator=generator)[:shots]
            support = [int(pool[place]) for place in places]
            if self.absent and float(torch.rand((), generator=generator)) < self.absent:
                other = self._without(label, support[0], generator)
                photo = photo if other is None else other
            drawn.append(Drawn(photo, label, support))
        return drawn

    def _without(self, label: int, like: int, generator: torch.Generator) -> int | None:
        """Draw a photo that does not show a class, of the set of another photo; None: all do.

        Sets that were joined know other classes: where nobody marked a class, it may yet be.
        """
        key = (label, self.dataset.paths[like].split("/")[0])
        if key not in self._absent:
            photos = np.unique(self.table[:, 0])
            known = [self.dataset.paths[photo].split("/")[0] == key[1] for photo in photos]
            self._absent[key] = photos[np.array(known) & ~self.dataset.present[photos, label]]
        pool = self._absent[key]
        if not len(pool):
            return None
        return int(pool[int(torch.randint(len(pool), (1,), generator=generator))])

    def _pairs(self, count: int, generator: torch.Generator) -> list[list[int]]:
        """Return photos and classes; with the class drawn first where that is asked for."""
        if not self.balanced:
            rows = torch.randint(len(self.table), (count,), generator=generator)
            found: list[list[int]] = self.table[rows.numpy()].tolist()
            return found
        labels = list(self.pools)
        drawn = [labels[i] for i in torch.randint(len(labels), (count,), generator=generator)]
        lengths = [len(self.pools[label]) for label in drawn]
        places = [int(torch.randint(n, (1,), generator=generator)) for n in lengths]
        return [[int(self.pools[x][place]), x] for x, place in zip(drawn, places, strict=True)]


class Validation:
    """Episodes of the validation classes, and the mIoU of what answers them.

    Parameters
    ----------
    photos : Photos
        The photos.
    classes : tuple of str
        Validation classes.
    options : SegmentationOptions
        Episodes, and shots.
    """

    def __init__(
        self, photos: Photos, classes: tuple[str, ...], options: SegmentationOptions
    ) -> None:
        self.photos = photos
        self.episodes: SegmentationEpisodes = sample_episodes(
            photos.dataset, classes, options.validation_episodes, 1, options.shots[0], seed=0
        )

    def miou(self, answer: Callable[[Drawn], NDArray[np.bool_]]) -> float:
        """Return the mIoU of masks (size, size) that are answered to every episode."""
        return mean_iou(*self.overlaps(answer), self.episodes.classes[:, 0])

    def overlaps(
        self, answer: Callable[[Drawn], NDArray[np.bool_]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the pixels of intersection and of union of every episode, (T,) each."""
        episodes = self.episodes
        counts = np.zeros((2, len(episodes)), np.int64)
        for row in track(range(len(episodes)), "validating", len(episodes)):
            label, query = int(episodes.classes[row, 0]), int(episodes.query[row])
            asked = Drawn(query, label, episodes.support[row, 0].tolist())
            found = overlap(answer(asked), self.photos.mask(query, label))
            counts[:, row] = int(found.intersection), int(found.union)
        return counts[0], counts[1]


def mirror(maps: Tensor, chosen: Tensor) -> Tensor:
    """Turn some of maps (N, ..., width) left to right: those where `chosen` (N,) is true.

    The maps of a mirrored photo are nearly its mirrored maps, so they need not be made again.

    Examples
    --------
    >>> mirror(torch.tensor([[1, 2], [3, 4]]), torch.tensor([True, False])).tolist()
    [[2, 1], [3, 4]]
    """
    where = chosen.to(maps.device).view(-1, *[1] * (maps.ndim - 1))
    return torch.where(where, maps.flip(-1), maps)


def segmentation_data(
    recipe: Recipe, options: SegmentationOptions, root: Path, seed: int
) -> tuple[SegmentationSet, tuple[str, ...], tuple[str, ...]]:
    """Return the photos, the training classes and the validation classes of a recipe.

    A training class of a hold-out with too few photos for a query and its examples is left out.
    """
    if options.data == "folder":
        dataset = read_folder(root)
        barred = [label for label in options.never if label in dataset.labels]
        dataset = dataset.without(barred)
        shown = [label for label, count in dataset.counts().items() if count]
        held = held_out(recipe, shown, seed)
        return dataset, tuple(x for x in shown if x not in held), tuple(held)
    photos = voc.read_voc(root / VOC, VOC_LISTS)
    found = hold_out(options.data, photos, read_msrc(root / MSRC, every=True), tuple(options.never))
    columns = found.photos.find(found.train_classes)
    held_back = found.photos.present[:, found.photos.find(found.validation_classes)].any(1)
    counts = found.photos.eligible[~held_back][:, columns].sum(0).tolist()
    enough = [
        c
        for c, count in zip(found.train_classes, counts, strict=True)
        if count > max(options.shots)
    ]
    return found.photos, tuple(enough), found.validation_classes
