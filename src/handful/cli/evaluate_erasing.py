"""``handful evaluate erasing``: what explanations are worth."""

from __future__ import annotations

from pathlib import Path

from handful import methods
from handful.cli.common import Device, Json, columns, emit
from handful.cli.evaluate_folders import AtLeastTwo, Side
from handful.cli.measuring import write_result
from handful.data.class_folders import ClassFolders, classes_of_role, read_class_folders
from handful.errors import InputError
from handful.evaluation.protocols.erasing import WAYS, measure
from handful.evaluation.results import Result, write_rows
from handful.methods.similarity_attention import Pooling


def erasing(
    *,
    root: Path,
    triplets: AtLeastTwo = 500,
    seed: int = 0,
    model: str = "handful-base",
    classes_file: Path | None = None,
    role: str | None = None,
    train_role: str = "train",
    pooling: Pooling = "mean",
    size: Side = None,
    weights: Path | None = None,
    backbone_weights: Path | None = None,
    per_episode: Path | None = None,
    out: Path | None = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Erase what explanations mark, and see how much similarity is lost.

    Parameters
    ----------
    root
        A folder with one sub-folder of images for each class.
    triplets
        How many are drawn.
    seed
        What triplets and shifted masks are drawn from.
    model
        The model to explain.
    classes_file
        Lines of a class and its role; only the classes of one role are taken.
    role
        That role; test where none is given.
    train_role
        The role of the classes on which the linear head of Grad-CAM is fitted. Without
        --classes-file there is no Grad-CAM.
    pooling
        mean: a channel weighs the same everywhere; local: each position by itself.
    size
        The side to which the model resizes a photo, in pixels.
    weights
        A weights file to use for the model.
    backbone_weights
        A weights file to use for the network that the model stands on.
    per_episode
        Write what every triplet lost into this .csv file.
    out
        Write the result, with how it came about, into this .json file or into this folder.
    """
    if classes_file is None and role is not None:
        raise InputError(f"role {role}: give --classes-file too, which says what has it")
    role = (role or "test") if classes_file is not None else None
    folder, others = _of_role(root, classes_file, role), None
    if classes_file is not None:
        others = _of_role(root, classes_file, train_role)
    loading = {"size": size, "backbone_weights": backbone_weights}
    given = {key: value for key, value in loading.items() if value is not None}
    matcher = methods.load(model, weights, device, **given)  # type: ignore[arg-type]
    result = measure(matcher, folder, others, triplets, seed, pooling)
    settings = {"role": role, "size": size}
    result.settings.update({key: value for key, value in settings.items() if value is not None})
    if per_episode is not None:
        write_rows(per_episode, [result])
    if out is not None:
        options = {
            **{"root": root, "triplets": triplets, "seed": seed, "model": model},
            **{"classes-file": classes_file, "role": role, "pooling": pooling, "size": size},
            **{"weights": weights, "backbone-weights": backbone_weights},
        }
        argv = [
            word
            for key, value in options.items()
            if value is not None
            for word in (f"--{key}", str(value))
        ]
        detail = "-".join(part for part in (role, f"{size}px" if size else "") if part)
        write_result(out, result, ["evaluate", "erasing", *argv], seed, device, detail, weights)
    emit(result.to_json(), json, _text(result))


def _of_role(root: Path, classes_file: Path | None, role: str | None) -> ClassFolders:
    if classes_file is None or role is None:
        return read_class_folders(root)
    return read_class_folders(root, classes_of_role(classes_file, role))


def _text(result: Result) -> str:
    rows = [["", "fall", "shifted mask", "ratio", "95 % interval"]]
    for way in WAYS:
        if way in result.metrics:
            found = result.metrics[way]
            low, high = found["interval"]
            values = [f"{found[key]:.4f}" for key in ("fall", "random_fall")]
            rows.append([way, *values, f"{found['ratio']:.2f}", f"{low:.2f} to {high:.2f}"])
    title = f"Similarity lost by erasing a fifth, {result.n} triplets, {result.model}"
    return f"{title}\n\n{columns(rows)}"
