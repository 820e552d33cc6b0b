"""What the commands that measure or draw segmentation share: photos, models, sizes, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from handful.backbones import share_maps
from handful.cli.common import Device, note
from handful.cli.measuring import Models, write_result
from handful.errors import InputError
from handful.evaluation.results import Result
from handful.evaluation.segmentation_data import Dataset, Request, Task, prepare
from handful.evaluation.segmenting import SIZE, View
from handful.methods import segmenters
from handful.methods.choice import THINGS
from handful.methods.segmenter import SegmentationMethod

Words = Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())]

DEFAULT = THINGS
"""The model where none is given."""

ALL = "all"
"""Every method on handful-base; ``all:BACKBONE``, on another network."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Photos, and the classes to test.

    Parameters
    ----------
    dataset
        The layout of the root. validation: VOC and MSRC together, without the photos of the
        hold-outs A and B; the classes to choose settings by.
    root
        The folder: VOC2012 for voc and pascal5i; for validation what VOCdevkit/VOC2012 and msrc21
        lie in.
    split
        The lists that name the photos: of ImageSets/Segmentation for voc.
    fold
        The fold whose classes are tested.
    classes
        The classes to test, in the place of a fold's; in a folder without classes.txt, the names
        of the values 1, 2, ... of its masks.
    exclude
        Photos that show one of these classes take no part.
    small_objects
        Whether photos that show a class by a few pixels are used for it; as the set's paper does
        where not given.
    """

    dataset: Dataset
    root: Path
    split: Words = None
    fold: Annotated[int | None, Parameter(validator=Number(gte=0))] = None
    classes: Words = None
    exclude: Words = None
    small_objects: bool | None = None

    def task(self, needed: int) -> Task:
        """Read the photos and choose the classes, each shown by `needed` photos at least."""
        rule = None if self.small_objects is None else not self.small_objects
        request = Request(
            self.dataset,
            self.root,
            self.split or (),
            self.fold,
            self.classes,
            self.exclude or (),
            rule,
        )
        task = prepare(request, needed)
        if task.left_out:
            note(f"left out, too few photos: {', '.join(task.left_out)}")
        return task

    def settings(self, task: Task) -> dict[str, Any]:
        """Return what a result says of its photos beside what the protocol does."""
        chosen = given(split=self.split, fold=task.fold, exclude=self.exclude)
        return {"dataset": self.dataset, **chosen}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Models, and where they run.

    Parameters
    ----------
    model
        One or more models: METHOD, METHOD:BACKBONE, the folder of a training; several with a plus
        between answer as one. all, or all:BACKBONE, stands for every method on that network
        (handful-base where none is named) but those that need a training, whose folders stand
        beside it.
    weights
        A weights file to use for the model.
    backbone_weights
        A weights file to use for the network that the model stands on.
    """

    model: Models = None
    weights: Path | None = None
    backbone_weights: Path | None = None
    device: Device = "auto"

    def names(self, out: Path | None = None) -> list[str]:
        """Resolve ``all``, and check the choice.

        Raises
        ------
        InputError
            One weights file, or one results file, for several models.
        """
        asked = self.model or [DEFAULT]
        names = [name for word in asked for name in _every(word) or [word]]
        if len(names) > 1 and self.weights is not None:
            raise InputError(
                f"{self.weights}: weights belong to one model; give one --model with --weights"
            )
        if len(names) > 1 and out is not None and out.suffix == ".json":
            raise InputError(f"{out}: several models need a folder; give --out DIR")
        return list(dict.fromkeys(names))

    def load(self, names: Sequence[str]) -> list[SegmentationMethod]:
        """Build the models."""
        return [self._load(name) for name in names]

    def ready(self, out: Path | None = None) -> dict[str, SegmentationMethod]:
        """Build the models by their names; of ``all`` those that can be, saying which cannot.

        Those on one network share its maps: each photo goes through it once.

        Raises
        ------
        InputError
            A model that was named itself cannot be built, or the choice makes no sense.
        """
        found = {}
        for name in self.names(out):
            try:
                found[name] = self._load(name)
            except InputError as error:
                if name in (self.model or [DEFAULT]):
                    raise
                note(f"left out: {error}")
        share_maps(found.values())
        return found

    def _load(self, name: str) -> SegmentationMethod:
        # weights of a network are for those that have one, the others stand beside them
        own = self.backbone_weights if segmenters.takes_backbone(name) else None
        return segmenters.load(name, self.weights, self.device, own)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SizeOptions:
    """At which size pictures are seen and answers are counted.

    Parameters
    ----------
    size
        The side of the square on which overlaps are counted, in pixels (241, 400, 473, ...), or
        original: each photo's own size.
    seen
        The side of the square that the model sees; the size, or 241 for original.
    """

    size: str = str(SIZE)
    seen: Annotated[int | None, Parameter(validator=Number(gte=32))] = None

    def view(self) -> View:
        """Return the sizes.

        Raises
        ------
        InputError
            A size that is none.
        """
        if self.size == "original":
            return View(None, self.seen or SIZE)
        if not self.size.isdecimal() or int(self.size) < 32:
            raise InputError(f"size {self.size!r}: is a number of pixels from 32, or original")
        return View(int(self.size), self.seen or int(self.size))


def _every(word: str) -> list[str]:
    """Return what ``all`` or ``all:BACKBONE`` stands for; nothing for another word."""
    first, colon, backbone = word.partition(":")
    if first != ALL:
        return []
    return segmenters.every(backbone) if colon else segmenters.every()


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were given."""
    return {key: value for key, value in options.items() if value is not None}


def written(*groups: DataOptions | SizeOptions) -> dict[str, Any]:
    """Return the options of groups that were given."""
    return given(**{f.name: getattr(group, f.name) for group in groups for f in fields(group)})


def as_words(options: Mapping[str, Any]) -> list[str]:
    """Write options as the words of a command line.

    Examples
    --------
    >>> as_words({"seed": 0, "classes": ["cat", "dog"], "small_objects": False})
    ['--seed', '0', '--classes', 'cat', 'dog', '--no-small-objects']
    """
    words: list[str] = []
    for key, value in options.items():
        option = key.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", *map(str, value if isinstance(value, list) else [value])]
    return words


def write_results(
    out: Path,
    protocol: str,
    options: Mapping[str, Any],
    names: Sequence[str],
    models: ModelOptions,
    results: Sequence[Result],
) -> None:
    """Write the results of models, each with the command that measures it again.

    Parameters
    ----------
    out : Path
        A .json file for one model, or a folder.
    protocol : str
        The command after ``handful evaluate``.
    options : mapping of str to Any
        Its options but those of `models`, with ``seed``.
    names : sequence of str
        What each model was asked for by.
    models : ModelOptions
        The weights and the device.
    results : sequence of Result
        One for each name.
    """
    weights = given(weights=models.weights, backbone_weights=models.backbone_weights)
    for name, result in zip(names, results, strict=True):
        words = ["evaluate", protocol, *as_words({**options, **weights, "model": name})]
        seed = int(options["seed"])
        detail = _detail(result)
        write_result(out, result, words, seed, models.device, detail, models.weights, name)


def _detail(result: Result) -> str:
    """Return what tells results of one protocol, data set and model apart in their names."""
    settings = result.settings
    fold, ways, draws = settings.get("fold"), settings.get("ways", 1), settings.get("draws", 1)
    parts = [
        *(settings.get("split") or ()),
        "" if fold is None else f"fold{fold}",
        "" if ways == 1 else f"{ways}way",
        f"{settings['shots']}shot",
        "" if draws == 1 else f"{draws}draws",
        "" if settings["shots_by"] == "method" else settings["shots_by"],
        "original" if settings["size"] == "original" else f"{settings['size']}px",
    ]
    return "-".join(part for part in parts if part)


def percent(share: float | None) -> str:
    """Write a share for people; nothing where there is none."""
    return "" if share is None else f"{100 * share:.1f} %"
