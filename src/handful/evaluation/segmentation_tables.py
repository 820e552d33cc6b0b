"""Tables of few-shot segmentation, for `handful.evaluation.tables`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from handful.evaluation.similarity_tables import Found, Rows, bold, percent

_LARGE = "torchvision:resnet50"
_SETS = {"voc": "PASCAL VOC 2012", "msrc": "MSRC", "validation": "VOC and MSRC"}
_BY_CLASS = (
    "mshnet+clusters:resnet50",
    "mshnet",
    "prototypes:resnet50",
    "clusters:resnet50",
    "oslsm",
    "dense-siamese",
)
_PARTS = ("seen", "unseen")
_UNMASKED = ("attention", "gradcam-grabcut", "centre-grabcut")


def segmentation(found: Iterable[Found]) -> Rows:
    """Overlap on classes that were not learned: mIoU by shots, and telling absent classes apart."""
    rows: dict[tuple[str, str, str, int], dict[str, Found]] = {}
    for result in found:
        if result.get("protocol") == "segmentation" and result["ways"] == 1:
            key = (_set(result), result["model"], result["backbone"], result["size"])
            rows.setdefault(key, {})[str(result["shots"])] = result
    shots = sorted({int(s) for of_model in rows.values() for s in of_model})
    head = ["classes", "model", "backbone", *(f"{s}-shot mIoU" for s in shots), "absent, AUROC"]
    table = [[*head, "episodes"]]
    for key, by_shots in sorted(rows.items(), key=_best_first):
        means = [_miou(by_shots.get(str(s))) for s in shots]
        first = by_shots[min(by_shots, key=int)]
        presence = first["metrics"].get("presence")
        apart = "" if presence is None else f"{presence['auroc']:.3f}"
        table.append([key[0], f"`{key[1]}`", key[2], *means, apart, str(first["n"])])
    return table


def segmentation_classes(found: Iterable[Found]) -> Rows:
    """Overlap of every class by the models on ResNet-50, 1-shot, with their difference."""
    columns: dict[str, dict[tuple[str, str], float]] = {}
    for result in found:
        ours = result.get("protocol") == "segmentation" and result["backbone"] == _LARGE
        ours = ours and result["model"] in _BY_CLASS
        if ours and result["ways"] == result["shots"] == 1:
            name = str(_SETS.get(result["dataset"], result["dataset"]))
            for label, iou in result["metrics"]["per_class"].items():
                columns.setdefault(result["model"], {})[name, label] = iou
    models = [model for model in _BY_CLASS if model in columns]
    rows = [["classes", "class", *(f"`{model}`" for model in models)]]
    for place in sorted({place for column in columns.values() for place in column}):
        cells = [columns[model].get(place) for model in models]
        if None not in cells:
            rows.append([*place, *(bold(cell) for cell in cells if cell is not None)])
    return rows


def segmentation_differences(found: Iterable[Found]) -> Rows:
    """Paired differences of MSHNet, alone or with others, to other models, in points of mIoU."""
    rows: dict[tuple[str, str, str], dict[int, str]] = {}
    for result in found:
        ours = result.get("protocol") == "segmentation" and result["model"].startswith("mshnet")
        for one in result["metrics"].get("differences", []) if ours else []:
            key = (_set(result), result["model"], one["against"])
            rows.setdefault(key, {})[result["shots"]] = _more(one)
    shots = sorted({count for by in rows.values() for count in by})
    table = [["classes", "model", "against", *(f"{count}-shot" for count in shots)]]
    for (name, model, rival), by in sorted(rows.items()):
        table.append([name, f"`{model}`", f"`{rival}`", *(by.get(count, "") for count in shots)])
    return table


def _more(difference: Found) -> str:
    """Lay out a difference of overlaps in points, with its interval."""
    low, high = (100 * end for end in difference["interval"])
    return f"{100 * difference['miou']:+.1f} ({low:.1f} to {high:.1f})"


def segmentation_training(found: Iterable[Found]) -> Rows:
    """Cost of the trainings on frozen features, and what they reached on validation classes."""
    head = [
        "trained without the classes of hold-out",
        "recipe",
        "similarity",
        "close-ups",
        "queries",
    ]
    rows = [[*head, "minutes, one core", "mIoU, validation"]]
    for result in found:
        if result.get("protocol") == "training" and "miou" in result["metrics"]:
            options = result["options"]
            of_mshnet = result["model"].startswith("mshnet")
            rows.append(
                [
                    options["data"],
                    f"`{result['model']}`",
                    options.get("similarity", "both") if of_mshnet else "",
                    "yes" if options.get("close_ups") else "no",
                    f"{result['images']:,}",
                    f"{result['seconds'] / 60:.0f}",
                    percent(result["metrics"]["miou"]),
                ]
            )
    return [rows[0], *sorted(rows[1:])]


def without_masks(found: Iterable[Found]) -> Rows:
    """Overlap of methods that see labels alone, by ways and shots; what one has more than each."""
    settings = ((1, 1), (2, 1), (2, 5))
    rows: dict[tuple[str, str], dict[tuple[int, int], Found]] = {}
    for result in found:
        ours = result.get("protocol") == "segmentation" and result["model"].startswith(_UNMASKED)
        if ours and (result["ways"], result["shots"]) in settings:
            key = (_set(result), result["model"])
            rows.setdefault(key, {})[result["ways"], result["shots"]] = result
    heads = [f"{ways}-way {shots}-shot" for ways, shots in settings]
    table = [["classes", "model", *heads, "the row without a figure here has more, 1-way 1-shot"]]
    more: dict[tuple[str, str], str] = {}
    for (name, _), by in rows.items():
        for one in by.get((1, 1), {"metrics": {}})["metrics"].get("differences", []):
            more[name, one["against"]] = _more(one)
    for key, by in sorted(rows.items(), key=_unmasked_first):
        cells = [_miou(by.get(one)) for one in settings]
        table.append([key[0], f"`{key[1]}`", *cells, more.get(key, "")])
    return table


def _unmasked_first(row: tuple[tuple[str, str], dict[tuple[int, int], Found]]) -> tuple[Any, ...]:
    return row[0][0], -max(one["metrics"]["miou"] for one in row[1].values())


def conditioning(found: Iterable[Found]) -> Rows:
    """Photos of two objects on which examples of either class find their own object."""
    asked = ["photos", "model", "examples", "draws of them", "both right, %", "photos"]
    beside = ["the same photos, either mask, %", "with a class that was learned from, %", "photos"]
    rows = [[*asked, *beside]]
    ours = [one for one in found if one.get("protocol") == "conditioning"]
    for result in sorted(
        ours, key=lambda r: (r["dataset"], r["shots"], -(r["metrics"]["share"] or 0))
    ):
        metrics = result["metrics"]
        swapped, seen = metrics["mask_swap"], metrics["with_seen"]
        interval = metrics["interval"]
        rows.append(
            [
                str(_SETS.get(result["dataset"], result["dataset"])),
                f"`{result['model']}`",
                str(result["shots"]),
                str(result["draws"]),
                "" if interval is None else bold(metrics["share"], interval),
                str(metrics["photos"]),
                "" if swapped["share"] is None else f"{100 * swapped['share']:.1f}",
                "" if seen["share"] is None else f"{100 * seen['share']:.1f}",
                str(seen["photos"]),
            ]
        )
    return rows


def stages(found: Iterable[Found]) -> Rows:
    """Milliseconds and multiply-adds of MSHNet's stages, dense and as they are run."""
    rows = [["stage", "dense, ms", "GMAC", "here, ms", "GMAC", "times faster"]]
    for result in (one for one in found if one.get("protocol") == "mshnet-stages"):
        for name, one in result["stages"].items():
            ways = [one[way] for way in ("dense", "ours") if way in one]
            if len(ways) == 2:
                cells = [
                    cell for way in ways for cell in (f"{way['ms']:.0f}", f"{way['gmac']:.1f}")
                ]
                rows.append([name, *cells, f"{ways[0]['ms'] / ways[1]['ms']:.1f}"])
    return rows


def few_masks(found: Iterable[Found]) -> Rows:
    """Overlap on people's own kinds of pictures by the number of examples, and counts of nuclei."""
    results = [one for one in found if one.get("protocol") == "few-masks"]
    shots = sorted({row["shots"] for one in results for row in one["rows"]})
    rows: dict[tuple[str, str], dict[int, Found]] = {}
    for row in (row for one in results for row in one["rows"]):
        rows.setdefault((row["kind"], row["model"]), {})[row["shots"]] = row
    heads = [f"IoU, {n} example{'s' if n > 1 else ''}" for n in shots]
    table = [["pictures", "model", *heads, "error of the count"]]
    for (kind, model), by_shots in rows.items():
        cells = [bold(by_shots[n]["iou"]) if n in by_shots else "" for n in shots]
        errors = [by_shots[n].get("count_error") for n in shots if n in by_shots]
        counted = [f"{100 * error:.0f} %" for error in errors if error is not None]
        table.append([kind, f"`{model}`", *cells, ", ".join(counted)])
    return table


def weight_hashing(found: Iterable[Found]) -> Rows:
    """Compare the fixed layer of OSLSM with a learned one: overlap, and variance of its output.

    Variances are shares of the mean square, over the supports of classes never learned from.
    """
    heads = ["layer 1,000 to 4,097", "learned numbers", "mIoU, classes learned from"]
    heads += ["mIoU, other classes", "lost", "variance, untrained", "variance, trained"]
    rows = [[*heads, "of it within classes"]]
    for result in (one for one in found if one.get("protocol") == "weight-hashing"):
        for arm, numbers in result["parameters"].items():
            one = result[arm]
            overlaps = [bold(one[part]["miou"], one[part]["interval"]) for part in _PARTS]
            before, after = (one[f"variance_{time}"]["unseen"] for time in ("before", "after"))
            shares = [before["of_mean_square"], after["of_mean_square"], after["within_classes"]]
            lost = percent(one["lost"])
            rows.append([arm, f"{numbers:,}", *overlaps, lost, *(f"{x:.3f}" for x in shares)])
    return rows


def _set(result: Found) -> str:
    classes = ", ".join(result["classes"])
    name = _SETS.get(result["dataset"], result["dataset"])
    return f"{name}, {result['photos']} photos: {classes}"


def _best_first(row: tuple[tuple[str, str, str, int], dict[str, Found]]) -> tuple[Any, ...]:
    key, by_shots = row
    return key[0], -by_shots[min(by_shots, key=int)]["metrics"]["miou"], key[1]


def _miou(result: Found | None) -> str:
    if result is None:
        return ""
    return bold(result["metrics"]["miou"], result["metrics"]["interval"])
