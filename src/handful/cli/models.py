"""``handful models``: the zoo, and the card of one model."""

from __future__ import annotations

from handful import zoo
from handful.cli.common import Json, columns, emit


def models(name: str | None = None, /, *, json: Json = False) -> None:
    """List the models, or show the card of one.

    Parameters
    ----------
    name
        A model's name, or the directory of a saved entry.
    """
    if name is None:
        entries = zoo.cards().values()
        emit({"models": [entry.model_dump() for entry in entries]}, json, _table(list(entries)))
    else:
        entry = zoo.card(name)
        emit(entry.model_dump(), json, _card(entry))


def _table(entries: list[zoo.Card]) -> str:
    head = ["name", "task", "backbone", "size", "licence", "title"]
    rows = [[e.name, e.task, e.backbone, _size(e.bytes), e.licence, e.title] for e in entries]
    return columns([head, *rows])


def _card(entry: zoo.Card) -> str:
    facts = {
        "name": entry.name,
        "title": entry.title,
        "task": entry.task,
        "method": entry.method,
        "backbone": entry.backbone,
        "weights": f"{entry.weights}, {_size(entry.bytes)}" if entry.weights else "none",
        "sha256": entry.sha256,
        "parameters": f"{entry.parameters:,}",
        "licence": entry.licence,
        "commercial use": "allowed" if entry.commercial_use else "not allowed",
        "data": entry.data,
        "files": entry.files and f"{entry.files.count:,}, listed in {entry.files.list}",
        "command": entry.command,
        "seed": None if entry.seed is None else str(entry.seed),
        "date": entry.date,
        "input": ", ".join(f"{key} {value}" for key, value in entry.input.items()),
        "calibration": ", ".join(f"{k} {v:.4g}" for k, v in (entry.calibration or {}).items()),
        "limits": entry.limits,
    }
    figures = [
        ["", f"{figure.metric} {figure.value:g}: {figure.protocol} (results/{figure.result}.json)"]
        for figure in entry.figures
    ]
    rows = [[key, value] for key, value in facts.items() if value]
    return columns([*rows, *([["figures", ""]] if figures else []), *figures])


def _size(count: int) -> str:
    """Write a number of bytes for people.

    Examples
    --------
    >>> _size(0), _size(2_000), _size(1_940_000)
    ('-', '2 kB', '1.9 MB')
    """
    if count == 0:
        return "-"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
