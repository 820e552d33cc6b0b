"""Put a trained entry into the package: ``python -m handful.training.bundle RUN RESULT.json ...``.

The card gets the figures of the results named, so that nothing is quoted that was not measured.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from handful import zoo
from handful.errors import HandfulError, InputError
from handful.files import write_text
from handful.training.run import FILES


def bundle(run: Path, results: Sequence[Path], root: Path = zoo.BUNDLED) -> zoo.Card:
    """Copy the entry in `run` into the package.

    Parameters
    ----------
    run : Path
        What ``handful train`` wrote.
    results : sequence of Path
        Files that ``handful evaluate --out`` wrote for this model and these weights; its card
        quotes their accuracy.
    root : Path
        The zoo's folder.

    Returns
    -------
    Card
        As it was written.
    """
    entry = _onto_bundled(zoo.card(run), root)
    changes: dict[str, object] = {"figures": tuple(_figure(path, entry) for path in results)}
    if entry.files is not None:
        listed = f"files/{entry.name}.txt"
        write_text(root / listed, (run / FILES).read_text(encoding="utf-8"))
        changes["files"] = entry.files.model_copy(update={"list": listed})
    written = entry.model_copy(update=changes)
    if zoo.card(run).weights is None and entry.weights is not None:
        write_text(root / "cards" / f"{entry.name}.json", written.model_dump_json(indent=2) + "\n")
        return written
    tensors = zoo.load_weights(run) if entry.weights else {}
    return zoo.bundle(written, tensors, root)


def _onto_bundled(entry: zoo.Card, root: Path) -> zoo.Card:
    """Return the bundled card with a new calibration where the run only calibrated its weights."""
    path = root / "cards" / f"{entry.name}.json"
    if entry.weights is not None or not path.is_file():
        return entry
    bundled = zoo.Card.model_validate_json(path.read_text(encoding="utf-8"))
    if bundled.weights is None:
        return entry
    kept = ("calibration", "files", "recipe", "seed", "data")
    return bundled.model_copy(update={name: getattr(entry, name) for name in kept})


def _figure(path: Path, entry: zoo.Card) -> zoo.Figure:
    found = json.loads(path.read_text(encoding="utf-8"))
    measured = {"model": found["model"], "sha256": found.get("sha256")}
    if measured != {"model": entry.name, "sha256": entry.sha256}:
        raise InputError(
            f"{path}: was measured on {measured['model']} with weights {measured['sha256']}, not on"
            f" {entry.name} with {entry.sha256}: measure again"
        )
    metric = next(name for name in ("accuracy", "recall@1", "miou") if name in found["metrics"])
    kind = f", {found['ways']}-way {found['shots']}-shot" if "ways" in found else ""
    size = f", {found['size']} pixels" if "size" in found else ""
    return zoo.Figure(
        result=path.stem,
        metric=metric,
        value=found["metrics"][metric],
        protocol=f"{found['protocol']}, {found['dataset']}{kind}{size}, n = {found['n']}",
    )


def main(arguments: Sequence[str]) -> int:
    """Run the program; return its exit status."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        card = bundle(Path(arguments[0]), [Path(a) for a in arguments[1:]])
    except (HandfulError, OSError, KeyError) as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 2
    print(f"{card.name}: {card.bytes} bytes, {len(card.figures)} figures")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
