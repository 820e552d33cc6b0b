"""``handful evaluate hashing``: codes learned from a few images, searched by Hamming distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from handful import zoo
from handful.cli.common import Device, Json, columns, emit
from handful.cli.measuring import Count, Models, write_result
from handful.errors import InputError
from handful.evaluation.folders import dataset_name
from handful.evaluation.hashing_data import Dataset, class_numbers, read_split
from handful.evaluation.protocols import hashing as protocol
from handful.evaluation.protocols.hashing import MODELS, OURS, Setting, Task
from handful.evaluation.published_hashing import hashing_rows
from handful.evaluation.results import Result, write_rows
from handful.files import sha256
from handful.methods.hashing import HashLibrary
from handful.methods.hashing.features import feature_model, features_of, unlabelled_folder
from handful.methods.hashing.ten_crops import TenCrops
from handful.methods.matcher import Matcher

Counts = Annotated[list[Count] | None, Parameter(consume_multiple=True, negative=())]


def hashing(
    *,
    dataset: Dataset,
    root: Path,
    model: Models = None,
    backbone: str = "handful-base",
    shots: Counts = None,
    bits: Counts = None,
    repeats: Annotated[int, Parameter(validator=Number(gte=2))] = 10,
    queries_per_class: Count = 100,
    library: Path | None = None,
    unlabelled: Path | None = None,
    prefilter: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    size: Annotated[int | None, Parameter(validator=Number(gte=32))] = None,
    backbone_weights: Path | None = None,
    ten_crops: Annotated[bool, Parameter(negative=())] = False,
    cache: Path | None = None,
    seed: int = 0,
    per_repeat: Path | None = None,
    out: Path | None = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Retrieve images by codes from a few examples of each class, beside the published figures.

    Parameters
    ----------
    dataset
        cifar10: ROOT/train is the database and ROOT/test the queries, each with a sub-folder for
        each class. cifar100, sun397, folder: a sub-folder for each class, queries are drawn; of
        sun397 the classes with more than 500 images.
    root
        The folder.
    model
        One or more models, or all; ugh where none is given. With a library: ugh,
        ugh-similarity (a selection of our own), ugh-random, ugh-category (an oracle: it knows the
        query's class), all-codes, handful-votes. Others: handful-bits (ours, learned from the
        examples and from unlabelled images), lsh, pca-itq,
        cca-itq, ksh, sdh, dbc, spectral, fasthash, spherical, kmeans, binary-autoencoder.
    backbone
        The network of the features: handful-base, torchvision:NAME or timm:NAME.
    shots
        Examples of each class, one number or more; 10 where none is given.
    bits
        Lengths of a code, one or more; 16 where none is given.
    repeats
        How often examples are drawn.
    queries_per_class
        Images of each class that are queries, where they are drawn.
    library
        Hash functions: a folder that `handful train hash-library` wrote, or a weights file.
    unlabelled
        A folder of images, in sub-folders or not, that unsupervised models learn from; the
        database without its labels where none is given.
    prefilter
        Functions that go into the selection of ugh and ugh-category; all where not given.
    size
        The side to which photos are resized, in pixels.
    backbone_weights
        A weights file of the network.
    ten_crops
        Take the mean over ten crops for the features of a photo.
    cache
        A folder that keeps features, so that images are encoded once.
    seed
        What examples, queries and codes are drawn from.
    per_repeat
        Write the figures of every repeat into this .csv file.
    out
        Write the results, with how they came about, into this folder.
    """
    names = _models(model, library)
    if out is not None and out.suffix == ".json" and len(names) * len(shots or [0]) > 1:
        raise InputError(f"{out}: several results need a folder; give --out DIR")
    matcher = feature_model(backbone, device, size, backbone_weights, 10 if ten_crops else 1)
    digest = sha256(backbone_weights) if backbone_weights else ""
    source = _Source(dataset, root, queries_per_class, seed, library, unlabelled, cache, digest)
    task = source.task(matcher, size)
    results = []
    for shot in shots or [10]:
        for length in bits or [16]:
            setting = Setting(shot, length, repeats, seed, prefilter=prefilter)
            results += protocol.measure(task, names, setting)
    for result in results:
        rows = hashing_rows(dataset, result.settings["shots"], result.settings["bits"])
        result.published.extend(rows)
        if out is not None:
            argv = source.argv(result, backbone, size, prefilter, backbone_weights)
            detail = f"{backbone.replace(':', '-')}-{result.settings['shots']}shot"
            detail += f"-{result.settings['bits']}bit"
            weights = _library_file(library) if result.model in OURS else None
            write_result(out, result, argv, seed, device, detail, weights)
    if per_repeat is not None:
        write_rows(per_repeat, results)
    values = [result.to_json() for result in results]
    one = len(values) == 1 and model != ["all"]
    emit(values[0] if one else values, json, _text(results))


@dataclass(frozen=True)
class _Source:
    """Where the images and the functions come from."""

    dataset: Dataset
    root: Path
    queries_per_class: int
    seed: int
    library: Path | None
    unlabelled: Path | None
    cache: Path | None
    digest: str

    def task(self, matcher: Matcher, size: int | None) -> Task:
        """Encode the images, or find their features in the cache."""
        split = read_split(self.dataset, self.root, self.queries_per_class, self.seed)
        # the same network with another size or other weights gives other features
        parts = ["features", str(size or ""), self.digest[:12]]
        cache = self.cache and self.cache / "-".join(part for part in parts if part)
        library = None if self.library is None else HashLibrary.load(self.library)
        database, features = features_of(matcher, split.database, cache)
        queries, asked = features_of(matcher, split.queries, cache)
        classes = split.database.classes
        strange = sorted(set(queries.labels) - set(classes))
        if strange:
            raise InputError(f"{self.root}: no image of the class {strange[0]!r} to retrieve")
        corpus = None
        if self.unlabelled is not None:
            corpus = features_of(matcher, unlabelled_folder(self.unlabelled), cache)[1]
        about: dict[str, Any] = {"dataset": self._name(), "backbone": matcher.backbone}
        if size is not None:
            about["size"] = size
        if isinstance(matcher, TenCrops):
            about["crops"] = 10
        about["skipped"] = [list(pair) for pair in (*database.skipped, *queries.skipped)]
        return Task(
            features,
            class_numbers(database.labels, classes),
            asked,
            class_numbers(queries.labels, classes),
            corpus,
            library,
            about,
        )

    def argv(
        self,
        result: Result,
        backbone: str,
        size: int | None,
        prefilter: int | None,
        backbone_weights: Path | None,
    ) -> list[str]:
        """Return the arguments that measure one model again."""
        given = {
            "dataset": self.dataset,
            "root": self.root,
            "model": result.model,
            "backbone": backbone,
            "shots": result.settings["shots"],
            "bits": None if result.model == "all-codes" else result.settings["bits"],
            "repeats": result.settings["repeats"],
            "queries-per-class": None if self.dataset == "cifar10" else self.queries_per_class,
            "library": self.library if result.model in OURS else None,
            "unlabelled": self.unlabelled,
            "prefilter": prefilter,
            "size": size,
            "backbone-weights": backbone_weights,
            "seed": self.seed,
        }
        pairs = [(f"--{key}", str(value)) for key, value in given.items() if value is not None]
        words = ["evaluate", "hashing", *(word for pair in pairs for word in pair)]
        return [*words, "--ten-crops"] if "crops" in result.settings else words

    def _name(self) -> str:
        return dataset_name(self.root) if self.dataset == "folder" else self.dataset


def _models(asked: Sequence[str] | None, library: Path | None) -> list[str]:
    every = [name for name in MODELS if library is not None or name not in OURS]
    return [name for word in asked or ["ugh"] for name in (every if word == "all" else [word])]


def _library_file(library: Path | None) -> Path | None:
    return library if library is None or library.suffix == ".safetensors" else zoo.weights(library)


def _text(results: Sequence[Result]) -> str:
    head = ["", "shots", "bits", "mAP", "95 % interval", "precision@2", "less the first"]
    first = results[0]
    lines = []
    for result in results:
        low, high = result.metrics["interval"]
        against = result.metrics["against"].get(first.model)
        lines.append(
            [
                result.model,
                str(result.settings["shots"]),
                str(result.settings["bits"]),
                f"{100 * result.metrics['map']:.2f}",
                f"{100 * low:.2f} to {100 * high:.2f}",
                f"{100 * result.metrics['precision@2']:.2f}",
                _difference(against),
            ]
        )
    about = first.settings
    title = (
        f"{about['dataset']}, {first.backbone}: {first.n:,} queries, {about['database']:,} images"
    )
    text = [f"{title}, {about['repeats']} repeats, in %", "", columns([head, *lines])]
    published = {(row["model"], row["map"]): row for row in first.published}
    text += [
        f"{row['model']}: {100 * row['map']:.2f} mAP, {row['source']}" for row in published.values()
    ]
    text += [f"skipped {path}: {why}" for path, why in about["skipped"]]
    return "\n".join(text)


def _difference(against: dict[str, Any] | None) -> str:
    if against is None:
        return ""
    low, high = against["interval"]
    return f"{100 * against['difference']:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"
