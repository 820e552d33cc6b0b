"""``handful find``: the pictures of an index that show what a few examples show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from handful.answers.matches import Matches
from handful.cli.common import Device, Json, columns, emit, gather_pictures, note
from handful.data.pictures import Picture
from handful.data.progress import track
from handful.errors import InputError
from handful.explain import Explainer
from handful.find import Finder, Index
from handful.find.finder import HeadChoice
from handful.report.explanation import write_pictures
from handful.report.matches import MatchSheet
from handful.report.page import Page

Paths = Annotated[list[Path], Parameter(consume_multiple=True, negative=())]


def find(
    index: Path,
    /,
    *,
    like: Paths,
    unlike: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative=())] = None,
    k: Annotated[int, Parameter(name=["-k", "--k"])] = 20,
    bits: int | None = None,
    radius: float | None = None,
    head: HeadChoice = "auto",
    out: Path | None = None,
    explain: Path | None = None,
    device: Device = "auto",
    seed: int = 0,
    json: Json = False,
) -> None:
    """Find the pictures of an index that show what a few examples show.

    Parameters
    ----------
    index
        What `handful index` wrote, or the folder that was indexed.
    like
        Examples: images, folders of them, or manifests (where one has boxes, each object is an
        example). They may be pictures of the index; the answers leave them out.
    unlike
        What does not show it, though it looks like it.
    k
        How many pictures to answer.
    bits
        Search by codes of so many bits alone: the likeness to the examples in so many levels, for
        which stored bits of hash functions vote.
    radius
        Answer every picture at most so far away, in place of -k: 1 - cosine, or with --bits the
        levels below the highest. 0.001 with one example finds its copies.
    head
        prototype: rank by likeness to the mean of the examples, less that to --unlike; logistic: by
        logistic regression against --unlike and random others; auto: prototype.
    out
        Write the answers into this directory: a page, a contact sheet, a table.
    explain
        Write maps of what speaks for each answer into this directory.
    """
    examples, missing = gather_pictures(like)
    others, lost = gather_pictures(unlike or ())
    opened = Index.open(index, device=device)
    finder = Finder(opened, head, bits, seed=seed).fit(examples, others)
    found = finder.search(k) if radius is None else finder.range(radius)
    value = found.to_json()
    value["skipped"] = [list(pair) for pair in (*missing, *lost, *found.skipped)]
    if out is not None:
        value |= _write(found, examples, others, out)
    if explain is not None:
        value["explanations"] = _explain(finder, opened, found, explain)
    emit(value, json, _text(found, index))
    for path, why in value["skipped"]:
        note(f"skipped: {why if why.startswith(path) else f'{path}: {why}'}")


def _write(
    found: Matches, examples: list[Picture], others: list[Picture], out: Path
) -> dict[str, str]:
    sheet = MatchSheet(found, examples, others)
    page, picture, table = out / "report.html", out / "matches.png", out / "matches.csv"
    Page("Pictures found", sheet.lead).add(sheet.section("Matches")).write(page)
    sheet.draw(picture)
    found.to_csv(table)
    return {"report": str(page), "picture": str(picture), "table": str(table)}


def _explain(finder: Finder, index: Index, found: Matches, folder: Path) -> list[str]:
    """Write the maps of every match; return the sheets."""
    explainer, sheets = Explainer(index.matcher, index.device), []
    for rank, match in enumerate(track(found, "Explaining", len(found)), 1):
        stem = f"{rank:02d}-{Path(match.image).stem}"
        try:
            explained = explainer.explain_score(
                match.image, finder.explained_score, "likeness to the examples"
            )
        except InputError as error:
            note(f"not explained: {error}")
            continue
        sheets.append(str(write_pictures(explained, folder, [match.image], stem)["overlay"]))
    return sheets


def _text(found: Matches, index: Path) -> str:
    if not found:
        return f"nothing found in {found.images} pictures of {index}"
    rows = [[match.image, f"{match.score:.3f}", f"{match.distance:.6g}"] for match in found.results]
    return f"{columns(rows)}\n{found.model}, {found.search} search of {found.images} pictures"
