"""``handful explain``: why pictures are alike or different, as maps, a sheet and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from handful import methods
from handful.answers import Explanation
from handful.cli.common import Device, Json, Model, columns, emit, gather
from handful.explain import SIZE, Explainer, Weights
from handful.methods.matcher import Matcher
from handful.report.explanation import write_pictures

Side = Annotated[int, Parameter(validator=Number(gte=32))]
Paths = Annotated[list[Path] | None, Parameter(consume_multiple=True, negative=())]


def explain(
    anchor: Path,
    /,
    *,
    like: Paths = None,
    unlike: Paths = None,
    out: Path,
    weights: Weights = "score",
    layer: str | None = None,
    size: Side = SIZE,
    model: Model = "auto",
    backbone_weights: Path | None = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Show where a picture is like others, and where it is unlike them.

    Parameters
    ----------
    anchor
        The picture in question.
    like
        Pictures, or folders of them: what makes the anchor like these.
    unlike
        Pictures, or folders of them: what makes the anchor unlike these.
    out
        The folder for the maps, the overlays and the sheet that shows them together.
    weights
        score: the places that the similarity is made of. difference: the weights of similarity
        attention as it was published.
    layer
        The map of the network to explain by; the last one where none is given.
    size
        The side to which photos are resized, in pixels.
    backbone_weights
        A weights file to use for the network that the model stands on.
    """
    positive, negative = gather(like or ()), gather(unlike or ())
    chosen: str | Matcher = model
    if backbone_weights is not None:
        chosen = methods.load(model, device=device, size=size, backbone_weights=backbone_weights)
    explainer = Explainer(chosen, device, weights, layer=layer, size=size)
    found = explainer.explain(anchor, positive, negative)
    written = write_pictures(found, out, [anchor, *positive, *negative], anchor.stem)
    emit(found.to_json() | written, json, _text(found, written))


def _text(found: Explanation, written: dict[str, Any]) -> str:
    values = [*found.similarity["positive"], *found.similarity["negative"]]
    rows = [
        [one.image or "", "like" if one.role == "positive" else "unlike", f"{value:.3f}"]
        for one, value in zip(found.maps[1:], values, strict=True)
    ]
    evidence = found.evidence
    return "\n".join(
        [
            columns(rows),
            f"erasing the marked {100 * evidence.share:.0f} % of the anchor lowers the"
            f" {evidence.of} by {evidence.fall:.3f}, erasing as much elsewhere by"
            f" {evidence.random_fall:.3f}",
            f"{found.model} ({found.chosen}); see {written['overlay']}",
        ]
    )
