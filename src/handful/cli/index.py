"""``handful index``: keep the features of a folder of pictures, so that it can be searched."""

from __future__ import annotations

from pathlib import Path

from handful.answers.matches import Synced
from handful.cli.common import Device, Json, Model, emit, note
from handful.find import Index


def index(
    folder: Path,
    /,
    *,
    out: Path,
    model: Model = "auto",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Index the pictures of a folder, or bring its index up to date.

    Parameters
    ----------
    folder
        The pictures, in sub-folders too.
    out
        The folder of the index. Where it is one already, new, changed, moved and removed pictures
        are noticed; a run that was interrupted is gone on with.
    """
    found = Index.build(folder, out, model, device).synced_
    emit(found.to_json(), json, _text(found))
    for path, why in found.skipped:
        note(f"skipped: {path}: {why}")


def _text(found: Synced) -> str:
    counts = ("added", "changed", "moved", "removed")
    parts = [f"{getattr(found, what)} {what}" for what in counts if getattr(found, what)]
    return (
        f"{found.index}: {found.images} pictures ({', '.join(parts) or 'nothing new'})"
        f"\n{found.model} ({found.chosen}); {found.seconds:.1f} s"
    )
