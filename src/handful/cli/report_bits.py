"""``handful report bits``: what single bits of a library of hash functions stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from cyclopts import Parameter
from cyclopts.validators import Number
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from handful import zoo
from handful.answers.explanation import Evidence
from handful.cli.common import BackboneWeights, Device, Json, emit, note
from handful.data.class_folders import ClassFolders
from handful.data.progress import track
from handful.errors import InputError
from handful.explain import Explainer
from handful.files import write_json
from handful.images import read
from handful.methods.hashing.features import feature_model, features_of, unlabelled_folder
from handful.methods.hashing.library import HashLibrary
from handful.methods.hashing.ugh import UGH
from handful.methods.matcher import Matcher
from handful.provenance import describe_device, provenance
from handful.report.bit_ends import Ends, ends_of, telling_bits
from handful.report.bits import Picture, draw_bits, thumbnail
from handful.report.bits import thumbnails as small
from handful.report.explanation import overlay

MOST = 40
"""Bits of one figure."""

OTHERS = 200
"""Photos at most from which the selected bits tell the examples."""


def bits(
    *,
    photos: Path,
    out: Path,
    library: str = "handful-library",
    bit: Annotated[list[int] | None, Parameter(consume_multiple=True, negative=())] = None,
    examples: Path | None = None,
    bits: Annotated[int | None, Parameter(validator=Number(gte=1, lte=MOST))] = None,
    photos_per_end: Annotated[int, Parameter(validator=Number(gte=1, lte=12))] = 6,
    explain: Annotated[bool, Parameter(negative=())] = False,
    backbone: str = "handful-base",
    backbone_weights: BackboneWeights = None,
    cache: Path | None = None,
    seed: int = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Draw what bits stand for: the photos that are surest to have 0, and those to have 1.

    Parameters
    ----------
    photos
        A folder of photos, whatever its sub-folders mean.
    out
        The folder for bits.png, and bits.json with the photos and their margins.
    library
        Hash functions: a name of `handful models`, a folder that `handful train hash-library`
        wrote, or a weights file.
    bit
        Numbers of bits to show. Where none is given: bits that are 1 for 30 to 70 % of the
        photos, that photos lie farthest from on average, and that are not correlated.
    examples
        A folder with a few photos of one category: show the bits that are selected for it
        against photos of --photos, and at which end the examples are.
    bits
        How many bits to choose; 6 where not given.
    photos_per_end
        Photos at each end of a bit.
    explain
        Show on each photo what speaks for the end at which it stands.
    backbone
        The network of the features, that from which the library learned.
    backbone_weights
        A weights file of that network.
    cache
        A folder for features, to encode a photo once.
    seed
        What the photos are drawn from against which bits are selected for examples.
    """
    numbers = _numbers(bit, bits)
    functions = _library(library, backbone)
    matcher = feature_model(backbone, device, weights=backbone_weights)
    seen = _Seen.of(matcher, photos, examples, cache)
    chosen = numbers or seen.choose(functions, bits or 6, photos_per_end, seed)
    rows = ends_of(functions, chosen, seen.features, photos_per_end, seen.example_features)
    maps = _Maps(Explainer(matcher, device), functions, seen.photos) if explain else None
    listed, pictures = _rows(rows, seen.photos, maps)
    how = "given by number" if numbers else "selected for the examples" if examples else _HOW
    foot = [
        f"{len(rows)} of the {len(functions):,} hash functions of {Path(library).name}, {how};"
        f" {len(seen.photos):,} photos, those surest to have 0 at the left and those surest to have"
        " 1 at the right. Below each photo its margin.",
        *(maps.lines() if maps else ()),
    ]
    path = out / "bits.png"
    draw_bits(path, rows, pictures, foot, *seen.example_pictures(2 * photos_per_end))
    value = {
        "figure": "bits",
        "library": Path(library).name,
        "functions": len(functions),
        "backbone": matcher.backbone,
        "photos": len(seen.photos),
        "chosen": how,
        "bits": listed,
        "examples": [] if seen.examples is None else list(seen.examples.names),
        "skipped": [list(pair) for pair in seen.skipped],
    }
    argv = ["report", "bits", "--photos", str(photos), "--out", str(out), "--library", library]
    argv += ["--bit", *map(str, numbers)] if numbers else ["--bits", str(bits or 6)]
    argv += ["--examples", str(examples)] if examples else []
    argv += ["--photos-per-end", str(photos_per_end), *(["--explain"] if explain else [])]
    argv += ["--backbone", backbone, "--seed", str(seed)]
    argv += ["--backbone-weights", str(backbone_weights)] if backbone_weights else []
    write_json(out / "bits.json", value | provenance(argv, seed, describe_device(device)))
    emit({"figures": [str(path)], "bits": chosen}, json, str(path))
    for name, why in seen.skipped:
        note(f"skipped: {name}: {why}")


_HOW = "those that photos lie farthest from on average, none like another"


@dataclass(frozen=True, eq=False)
class _Seen:
    """The photos and the examples, with their features (N, D) and (E, D)."""

    photos: ClassFolders
    features: NDArray[np.float16]
    examples: ClassFolders | None = None
    example_features: NDArray[np.float16] | None = None

    @classmethod
    def of(cls, matcher: Matcher, photos: Path, examples: Path | None, cache: Path | None) -> _Seen:
        if examples is None:
            return cls(*features_of(matcher, unlabelled_folder(photos), cache))
        given, given_features = features_of(matcher, unlabelled_folder(examples), cache)
        found, features = features_of(matcher, unlabelled_folder(photos), cache)
        # an example among the photos would be told from itself
        known = {path.resolve() for path in given.paths}
        rest = [i for i, path in enumerate(found.paths) if path.resolve() not in known]
        return cls(found.take(rest), features[rest], given, given_features)

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        return (*self.photos.skipped, *(self.examples.skipped if self.examples else ()))

    def choose(self, library: HashLibrary, count: int, per_end: int, seed: int) -> list[int]:
        """Choose bits: for the examples, or for what they tell about the photos."""
        ends_of(library, [], self.features, per_end)  # says what is wrong with the photos
        if self.example_features is None:
            found: list[int] = telling_bits(library, self.features, count).tolist()
            if len(found) < count:
                note(f"{len(found)} bits in place of {count}: every other is like one of them")
            return found
        rng = np.random.default_rng(seed)
        drawn = rng.choice(len(self.photos), min(OTHERS, len(self.photos)), replace=False)
        rows = np.concatenate([self.example_features, self.features[np.sort(drawn)]])
        wanted = np.arange(len(rows)) < len(self.example_features)
        code = UGH(library, count, seed, selection="category").fit(rows, wanted)
        chosen: list[int] = code.chosen_.tolist()
        return chosen

    def example_pictures(self, most: int) -> tuple[list[Picture], int]:
        """Return the examples that are shown, and how many there are."""
        paths = self.examples.paths if self.examples else ()
        return [*small(dict(enumerate(paths[:most]))).values()], len(paths)


class _Maps:
    """Maps of what speaks for the end at which a photo stands."""

    def __init__(self, explainer: Explainer, library: HashLibrary, photos: ClassFolders) -> None:
        self.explainer, self.library, self.photos = explainer, library, photos
        self.evidence: list[Evidence] = []

    def draw(self, bit: int, photo: int, sign: int) -> Picture:
        """Lay over a photo what speaks for 1, or with a sign of -1 for 0."""
        weights = torch.from_numpy(self.library.weights[bit])
        bias = float(self.library.bias[bit])

        def score(vectors: Tensor) -> Tensor:
            return sign * (normalize(vectors, dim=-1) @ weights.to(vectors) + bias)

        path = self.photos.paths[photo]
        found = self.explainer.explain_score(path, score, f"margin of bit {bit}")
        self.evidence.append(found.evidence)
        return thumbnail(overlay(read(path), found.anchor))

    def lines(self) -> list[str]:
        """Say what was marked, and what it costs to erase it."""
        fall = np.mean([one.fall for one in self.evidence])
        random = np.mean([one.random_fall for one in self.evidence])
        share = 100 * self.evidence[0].share
        return [
            "Marked is what speaks for the end at which a photo stands, by similarity attention."
            f" Without the {share:.0f} % marked most, photos come {fall:.3f} nearer to the other"
            f" end on average; without as much elsewhere {random:.3f}."
        ]


Pictures = list[tuple[Mapping[int, Picture], Mapping[int, Picture]]]


def _rows(
    rows: Sequence[Ends], photos: ClassFolders, maps: _Maps | None
) -> tuple[list[dict[str, Any]], Pictures]:
    """Return what is written of each bit, and the pictures at its ends."""
    listed = [ends.to_json(photos.names) for ends in rows]
    if maps is None:
        shown = {photo for ends in rows for photo, _ in (*ends.low, *ends.high)}
        thumbnails = small({photo: photos.paths[photo] for photo in sorted(shown)})
        return listed, [(thumbnails, thumbnails)] * len(rows)
    pictures: Pictures = []
    for ends, value in track(list(zip(rows, listed, strict=True)), "Explaining", len(rows)):
        drawn = []
        for sign, found in ((-1, ends.low), (1, ends.high)):
            drawn.append({photo: maps.draw(ends.number, photo, sign) for photo, _ in found})
            entries = value["ends"]["1" if sign > 0 else "0"]
            for entry, one in zip(entries, maps.evidence[-len(found) :], strict=True):
                entry["erased"] = {"marked": one.fall, "elsewhere": one.random_fall}
        pictures.append((drawn[0], drawn[1]))
    return listed, pictures


def _numbers(bit: Sequence[int] | None, bits: int | None) -> list[int]:
    """Return the bits asked for by number, each once."""
    numbers = list(dict.fromkeys(bit or ()))
    if numbers and bits is not None:
        raise InputError("--bits counts bits to choose: give it, or their numbers with --bit")
    if len(numbers) > MOST:
        raise InputError(f"--bit: {len(numbers)} bits in one figure; give {MOST} or fewer")
    return numbers


def _library(name: str, backbone: str) -> HashLibrary:
    """Read the functions; those that learned from another network say nothing here."""
    found = HashLibrary.load(name)
    known = zoo.is_entry(name) or name in zoo.cards()
    if known and (learned := zoo.card(name).backbone) != backbone:
        raise InputError(f"{name}: learned from features of {learned}; give --backbone {learned}")
    return found
