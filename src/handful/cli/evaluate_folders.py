"""``handful evaluate fewshot`` and ``retrieval``: measure models on any folder of classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from handful import methods
from handful.backbones.photos import Fit
from handful.cli.common import Device, Json, columns, emit
from handful.cli.measuring import Count, Models, chosen_models, write_result
from handful.data.class_folders import ClassFolders, classes_of_role, read_class_folders
from handful.data.retrieval_sets import PUBLISHED, RetrievalLayout, read_retrieval_set
from handful.errors import InputError
from handful.evaluation.protocols import fewshot as fewshot_protocol
from handful.evaluation.protocols import retrieval as retrieval_protocol
from handful.evaluation.protocols.fewshot import HeadChoice
from handful.evaluation.published_retrieval import retrieval_rows
from handful.evaluation.results import Result, write_rows
from handful.methods.matcher import Matcher

Side = Annotated[int | None, Parameter(validator=Number(gte=1))]
AtLeastTwo = Annotated[int, Parameter(validator=Number(gte=2))]


def fewshot(
    *,
    root: Path,
    ways: AtLeastTwo = 5,
    shots: Count = 1,
    queries: Count = 15,
    episodes: AtLeastTwo = 10_000,
    seed: int = 0,
    model: Models = None,
    head: HeadChoice = "auto",
    strangers: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    classes_file: Path | None = None,
    role: str | None = None,
    size: Side = None,
    fit: Fit | None = None,
    weights: Path | None = None,
    backbone_weights: Path | None = None,
    per_episode: Path | None = None,
    out: Path | None = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Recognize the photos of any folder of classes from a few examples of each.

    Parameters
    ----------
    root
        A folder with one sub-folder of images for each class, or a manifest with labels. Its
        groups are kept together: none answers for itself.
    ways
        Classes in a support.
    shots
        Examples of each.
    queries
        Queries of each class at most; as many as it has.
    episodes
        How many supports are drawn; the accuracy is the mean over them.
    seed
        What the episodes are drawn from.
    model
        One or more models, or all (of those for photos); handful-base where none is given.
    head
        What classifies the features. own: as the model itself compares; auto: prototype up to two
        shots and logistic from three, for models whose features have a mean.
    strangers
        Further classes of an episode that have no examples: how well they are answered "none of
        these" is measured too.
    classes_file
        Lines of a class and its role; only the classes of one role are taken.
    role
        That role; test where none is given.
    size
        The side to which the model resizes a photo, in pixels.
    fit
        squash: both sides are resized, the default. crop: the middle square is cut, as papers do.
    weights
        A weights file to use for the model.
    backbone_weights
        A weights file to use for the network that the model stands on.
    per_episode
        Write the accuracy of every episode into this .csv file.
    out
        Write the result, with how it came about, into this .json file or into this folder.
    """
    command = _Command(
        "fewshot", root, seed, classes_file, role, size, weights, backbone_weights, fit
    )
    options = {"ways": ways, "shots": shots, "queries": queries, "episodes": episodes, "head": head}
    options["seed"] = seed
    if strangers:
        options["strangers"] = strangers
    folder = command.folder(ways + strangers)

    def measure(matcher: Matcher) -> Result:
        return fewshot_protocol.measure(
            matcher, folder, ways, shots, queries, episodes, seed, head, strangers
        )

    parts = [f"{ways}way-{shots}shot", "" if head == "auto" else head]
    results = command.run(measure, model, options, parts, device, out, per_episode)
    rows = [[r.model, r.settings["head"], *_share(r, "accuracy"), *_apart(r)] for r in results]
    head_row = ["", "head", "accuracy", "95 % interval"]
    head_row += ["strangers: AUROC", "right"] if strangers else []
    title = f"{ways}-way {shots}-shot, {episodes:,} episodes, {_size_of(results)}"
    _answer(results, model, json, title, [head_row, *rows])


def retrieval(
    *,
    root: Path,
    layout: RetrievalLayout = "folders",
    model: Models = None,
    classes_file: Path | None = None,
    role: str | None = None,
    size: Side = None,
    fit: Fit | None = None,
    weights: Path | None = None,
    backbone_weights: Path | None = None,
    per_episode: Path | None = None,
    out: Path | None = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Let every image of a folder of classes, or of a published set, query all others.

    Parameters
    ----------
    root
        A folder with one sub-folder of images for each class, or a manifest with labels. Its
        groups are kept together: none answers for itself.
    layout
        folders, or a set as it is published: cub, cars or sop, whose test classes are taken and
        whose papers' figures stand beside. Their photos are cropped: --size 224 --fit crop.
    model
        One or more models, or all (of those for photos); handful-base where none is given.
    classes_file
        Lines of a class and its role; only the classes of one role are taken.
    role
        That role; test where none is given.
    size
        The side to which the model resizes a photo, in pixels.
    fit
        squash: both sides are resized, the default. crop: the middle square is cut, as papers do.
    weights
        A weights file to use for the model.
    backbone_weights
        A weights file to use for the network that the model stands on.
    per_episode
        Write what every query found into this .csv file.
    out
        Write the result, with how it came about, into this .json file or into this folder.
    """
    command = _Command(
        "retrieval", root, 0, classes_file, role, size, weights, backbone_weights, fit
    )
    if layout == "folders":
        folder, ks, published = command.folder(2), retrieval_protocol.KS, []
    else:
        folder, ks = read_retrieval_set(root, layout), PUBLISHED[layout].ks
        whole = len(folder) == PUBLISHED[layout].images
        published = retrieval_rows(layout) if whole else []

    def measure(matcher: Matcher) -> Result:
        return retrieval_protocol.measure(matcher, folder, ks, published)

    options = {} if layout == "folders" else {"layout": layout}
    results = command.run(measure, model, options, [], device, out, per_episode)
    names = [name for name in results[0].metrics if name not in ("interval", "recall@1")]
    rows = [
        [r.model, *_share(r, "recall@1"), *(f"{100 * r.metrics[name]:.1f} %" for name in names)]
        for r in results
    ]
    head_row = ["", "recall@1", "95 % interval", *names]
    _answer(results, model, json, f"Retrieval, {_size_of(results)}", [head_row, *rows])


@dataclass(frozen=True)
class _Command:
    """The options that both commands share, and what is done with them."""

    protocol: str
    root: Path
    seed: int
    classes_file: Path | None
    role: str | None
    size: int | None
    weights: Path | None
    backbone_weights: Path | None
    fit: Fit | None = None

    def __post_init__(self) -> None:
        if self.classes_file is None and self.role is not None:
            raise InputError(f"role {self.role}: give --classes-file too, which says what has it")
        if self.classes_file is not None and self.role is None:
            object.__setattr__(self, "role", "test")

    def folder(self, min_classes: int) -> ClassFolders:
        """Return the images to measure on."""
        classes = None
        if self.classes_file is not None and self.role is not None:
            classes = classes_of_role(self.classes_file, self.role)
        return read_class_folders(self.root, classes, min_classes)

    def run(
        self,
        measure: Callable[[Matcher], Result],
        model: Sequence[str] | None,
        options: dict[str, Any],
        parts: Sequence[str],
        device: str,
        out: Path | None,
        per_episode: Path | None,
    ) -> list[Result]:
        """Measure every model, and write what was asked for."""
        names = chosen_models(model or ["handful-base"], "photos", self.weights, out)
        loading = _given(size=self.size, backbone_weights=self.backbone_weights, fit=self.fit)
        results = []
        for name in names:
            result = measure(methods.load(name, self.weights, device, **loading))
            result.settings.update(_given(role=self.role, size=self.size, fit=self.fit))
            results.append(result)
        for name, result in zip(names, results, strict=True) if out is not None else ():
            detail = [*parts, self.role or "", f"{self.size}px" if self.size else ""]
            argv = self._argv(name, options)
            kept = "-".join(part for part in detail if part)
            write_result(Path(str(out)), result, argv, self.seed, device, kept, self.weights, name)
        if per_episode is not None:
            write_rows(per_episode, results)
        return results

    def _argv(self, name: str, options: dict[str, Any]) -> list[str]:
        """Return the arguments that measure one model again."""
        given = _given(
            root=self.root,
            classes_file=self.classes_file,
            role=self.role,
            model=name,
            weights=self.weights,
            backbone_weights=self.backbone_weights,
            size=self.size,
            fit=self.fit,
            **options,
        )
        words = [(f"--{key.replace('_', '-')}", str(value)) for key, value in given.items()]
        return ["evaluate", self.protocol, *(word for pair in words for word in pair)]


def _given(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _answer(
    results: list[Result],
    model: Sequence[str] | None,
    as_json: bool,
    title: str,
    table: list[list[str]],
) -> None:
    values: list[dict[str, Any]] = [result.to_json() for result in results]
    lines = [title, "", columns(table)]
    lines += [f"skipped {path}: {why}" for path, why in results[0].settings["skipped"]]
    one = len(values) == 1 and model != ["all"]
    emit(values[0] if one else values, as_json, "\n".join(lines))


def _share(result: Result, metric: str) -> list[str]:
    low, high = result.metrics["interval"]
    return [f"{100 * result.metrics[metric]:.1f} %", f"{100 * low:.1f} to {100 * high:.1f}"]


def _apart(result: Result) -> list[str]:
    found = result.metrics.get("rejection")
    if found is None:
        return []
    share = "" if found["accuracy"] is None else f"{100 * found['accuracy']:.1f} %"
    return [f"{found['auroc']:.3f}", share]


def _size_of(results: list[Result]) -> str:
    first = results[0].settings
    return f"{first['images']:,} images of {first['classes']} classes"
