"""MSHNet, trained by episodes on frozen features (section 5.1 of its paper)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from handful.data import voc
from handful.data.hold_outs import hold_out
from handful.data.msrc import read_msrc
from handful.data.progress import track
from handful.data.segmentation_episodes import SegmentationEpisodes, sample_episodes
from handful.data.segmentation_folder import read_folder
from handful.data.segmentation_set import SegmentationSet, resized_mask
from handful.data.segmentation_training import training_pairs
from handful.errors import InputError
from handful.images import resize
from handful.methods.mshnet import LIGHT, PAPER, MSHNet, Similarity, SupportState, loss
from handful.metrics.segmentation import mean_iou, overlap
from handful.training.loop import LoopConfig
from handful.training.recipe import Finish, Recipe, Trained, held_out
from handful.training.recipe import options as read_options

VOC, VOC_LISTS, MSRC = "VOCdevkit/VOC2012", ("train_aug_subset", "val_subset"), "msrc21"


class MSHNetOptions(BaseModel):
    """The options of MSHNet's training.

    Attributes
    ----------
    backbone : str
        What :func:`handful.backbones.pyramid.pyramid` takes.
    weights : str or None
        A weights file of the backbone.
    similarity : {"both", "cosine", "prototype"}
        Table 4.
    widths : {"paper", "light"}
        The head.
    data : {"folder", "A", "B"}
        A folder of photos with masks; or VOC and MSRC below the root, without what the hold-out
        of that name tests.
    never : list of str
        Classes that no photo of the training may show.
    size : int
        Side of the square, in pixels.
    batch : int
        Queries of a step.
    shots : int
        Examples of each.
    per_class : int
        At most so many photos of a class are trained on.
    rate, decay : float
        Of SGD with a momentum of .9.
    epoch : int
        Steps after which the rate is multiplied by .9; 0: it falls along a cosine instead.
    memory : float
        Gigabytes of features that are kept; beyond it photos are run through the backbone again.
    validation_episodes : int
        Of the validation classes.
    """

    model_config = ConfigDict(extra="forbid")

    backbone: str = "resnet50"
    weights: str | None = None
    similarity: Similarity = "both"
    widths: Literal["paper", "light"] = "paper"
    data: Literal["folder", "A", "B"] = "folder"
    never: list[str] = []
    size: int = Field(241, ge=64)
    batch: int = Field(8, ge=1)
    shots: int = Field(1, ge=1)
    per_class: int = Field(750, ge=2)
    rate: float = Field(1e-2, gt=0)
    decay: float = Field(5e-4, ge=0)
    epoch: int = Field(0, ge=0)
    memory: float = Field(4.0, ge=0)
    validation_episodes: int = Field(60, ge=1)


@dataclass(eq=False)
class Photos:
    """Photos of a set at one size, their features kept as far as memory allows.

    Attributes
    ----------
    dataset : SegmentationSet
        Where they come from.
    model : MSHNet
        Whose features are kept, in half precision.
    size : int
        Side of the square.
    limit : float
        Bytes to keep at most.
    """

    dataset: SegmentationSet
    model: MSHNet
    size: int
    limit: float
    _pixels: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    _kept: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    _masks: dict[tuple[int, int], NDArray[np.uint8]] = field(default_factory=dict)
    _bytes: int = 0

    def features(self, images: list[int]) -> dict[str, Tensor]:
        """Return the maps (N, C, h, w) of some photos, on the model's device."""
        found = [self._features(image) for image in images]
        device = next(self.model.backbone.parameters()).device
        return {name: torch.cat([one[name] for one in found]).to(device) for name in found[0]}

    def mask(self, image: int, label: int) -> NDArray[np.uint8]:
        """Return where a class is, (size, size): 1, 0, or 255 for void."""
        key = (image, label)
        if key not in self._masks:
            whole = self.dataset.checked_mask(image, label)
            self._masks[key] = resized_mask(whole, (self.size, self.size))
        return self._masks[key]

    def _features(self, image: int) -> dict[str, Tensor]:
        if image in self._kept:
            return self._kept[image]
        if image not in self._pixels:
            self._pixels[image] = resize(self.dataset.image(image), (self.size, self.size))
        backbone = self.model.backbone
        mean, spread = (torch.tensor(x).view(3, 1, 1) * 255 for x in (backbone.mean, backbone.std))
        pixels = torch.from_numpy(self._pixels[image]).permute(2, 0, 1).float()
        device = next(backbone.parameters()).device
        found = self.model.features(((pixels - mean) / spread)[None].to(device))
        halves = {name: value.half().cpu() for name, value in found.items()}
        size = sum(value.nbytes for value in halves.values())
        if self._bytes + size <= self.limit:
            self._kept[image] = halves
            self._bytes += size
            del self._pixels[image]
        return halves


class MSHNetTask:
    """Train the prototypes' weights and the head; the backbone stays as it is.

    Parameters
    ----------
    model : MSHNet
        With its backbone's weights loaded.
    dataset : SegmentationSet
        Photos to train and validate on.
    classes : sequence of str
        Training classes.
    validation : sequence of str
        Validation classes, never trained on.
    options : MSHNetOptions
        The recipe.
    steps, seed : int
        Length of the run, and what the photos of each class are drawn from.
    """

    def __init__(
        self,
        model: MSHNet,
        dataset: SegmentationSet,
        classes: tuple[str, ...],
        validation: tuple[str, ...],
        options: MSHNetOptions,
        steps: int,
        seed: int,
    ) -> None:
        self.net, self.options, self.steps = model, options, steps
        # what is saved and averaged is what learns: the backbone is not in it
        self.model: nn.Module = nn.ModuleDict({"prototype": model.prototype, "head": model.head})
        self.photos = Photos(dataset, model, options.size, options.memory * 2**30)
        pairs = training_pairs(
            dataset, classes, options.per_class, seed, novel=validation, keep_novel=False
        )
        self.pairs = np.array(pairs, np.int64)
        self.pools = {
            label: self.pairs[self.pairs[:, 1] == label, 0] for label in np.unique(self.pairs[:, 1])
        }
        few = [dataset.labels[label] for label, p in self.pools.items() if len(p) <= options.shots]
        if few:
            raise InputError(f"{dataset.root}: too few photos show {few[0]!r}; leave it out")
        self.validation: SegmentationEpisodes = sample_episodes(
            dataset, validation, options.validation_episodes, 1, options.shots, seed=0
        )
        self.batch_size = options.batch

    @property
    def files(self) -> list[str]:
        """The photos that are trained on."""
        rows = np.unique(self.pairs[:, 0]).tolist()
        return [self.photos.dataset.paths[row] for row in rows]

    def optimizer(self) -> Optimizer:
        """Return SGD with momentum."""
        o = self.options
        return SGD(self.model.parameters(), lr=o.rate, momentum=0.9, weight_decay=o.decay)

    def schedule(self, optimizer: Optimizer, step: int) -> None:
        """Multiply the rate by .9 every epoch, or let it fall along a cosine."""
        o = self.options
        if o.epoch:
            factor = 0.9 ** (step // o.epoch)
        else:
            factor = 0.5 * (1 + float(np.cos(np.pi * step / self.steps)))
        for group in optimizer.param_groups:
            group["lr"] = o.rate * factor

    def loss(self, generator: torch.Generator) -> Tensor:
        """Draw queries with their supports; return equation 1."""
        drawn = torch.randint(len(self.pairs), (self.options.batch,), generator=generator)
        queries = self.pairs[drawn.numpy()]
        device = next(self.model.parameters()).device
        self.net.backbone.to(device)
        states = []
        for photo, label in queries.tolist():
            pool = self.pools[label][self.pools[label] != photo]
            places = torch.randperm(len(pool), generator=generator)[: self.options.shots]
            support = [int(pool[place]) for place in places]
            states.append(self._state(support, label))
        maps = self.photos.features(queries[:, 0].tolist())
        masks = [self.photos.mask(photo, label) for photo, label in queries.tolist()]
        target = torch.from_numpy(np.stack(masks)).long().to(device)
        size = (self.options.size, self.options.size)
        return loss(self.net(maps, states, size), target)

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return the mIoU of the validation classes."""
        assert isinstance(model, nn.ModuleDict)
        mine = self.net.prototype, self.net.head
        self.net.prototype, self.net.head = model["prototype"], model["head"]  # type: ignore[assignment]
        self.net.eval()
        try:
            return {"miou": self._miou()}
        finally:
            self.net.prototype, self.net.head = mine
            self.net.train()

    def _miou(self) -> float:
        episodes, size = self.validation, (self.options.size, self.options.size)
        both, either = [], []
        rows = track(range(len(episodes)), "validating", len(episodes))
        for row in rows:
            label, query = int(episodes.classes[row, 0]), int(episodes.query[row])
            state = self._state(episodes.support[row, 0].tolist(), label)
            masks = self.net(self.photos.features([query]), state, size).masks
            found = overlap(masks[0].cpu().numpy() >= 0.5, self.photos.mask(query, label))
            both.append(int(found.intersection))
            either.append(int(found.union))
        return mean_iou(both, either, episodes.classes[:, 0])

    def _state(self, support: list[int], label: int) -> SupportState:
        masks = np.stack([self.photos.mask(image, label) == 1 for image in support])
        return self.net.support_state(self.photos.features(support), torch.from_numpy(masks))


def build(recipe: Recipe, loop: LoopConfig, root: Path) -> tuple[MSHNetTask, Finish]:
    """Build the task of a recipe, and what turns its weights into an entry of the zoo."""
    options = read_options(MSHNetOptions, recipe)
    dataset, classes, held = _data(recipe, options, root, loop.seed)
    torch.manual_seed(loop.seed)
    widths = LIGHT if options.widths == "light" else PAPER
    model = MSHNet(options.backbone, options.similarity, widths)
    model.backbone.load(options.weights)
    task = MSHNetTask(model, dataset, classes, held, options, loop.steps, loop.seed)

    def finish() -> Trained:
        return Trained(
            method="mshnet",
            backbone=options.backbone,
            calibration=None,
            files=task.files,
            network=task.model.cpu(),
            input={
                "kind": "photos",
                "size": options.size,
                "similarity": options.similarity,
                "widths": options.widths,
                "backbone_sha256": model.backbone.digest,
            },
        )

    return task, finish


def _data(
    recipe: Recipe, options: MSHNetOptions, root: Path, seed: int
) -> tuple[SegmentationSet, tuple[str, ...], tuple[str, ...]]:
    """Return the photos, the training classes and the validation classes."""
    if options.data == "folder":
        dataset = read_folder(root)
        barred = [label for label in options.never if label in dataset.labels]
        dataset = dataset.without(barred)
        shown = [label for label, count in dataset.counts().items() if count]
        held = held_out(recipe, shown, seed)
        return dataset, tuple(x for x in shown if x not in held), tuple(held)
    photos = voc.read_voc(root / VOC, VOC_LISTS)
    found = hold_out(options.data, photos, read_msrc(root / MSRC, every=True), tuple(options.never))
    return found.photos, found.train_classes, found.validation_classes
