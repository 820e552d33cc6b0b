"""``handful report segmentation``: the papers' figures, drawn from real episodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from handful.cli.common import Json, emit
from handful.cli.drawn_episodes import Drawing
from handful.cli.measuring import Count
from handful.cli.segmentation_options import DataOptions, ModelOptions, as_words, given, written
from handful.data.segmentation.episodes import SegmentationEpisodes
from handful.errors import InputError
from handful.evaluation.segmenting import SIZE, Run, View
from handful.evaluation.two_objects import Kind
from handful.files import write_json
from handful.methods.segmenter import Attentive, Energetic, decide
from handful.provenance import describe_device, provenance
from handful.report import segmentation_figures as figures
from handful.report.segmentation import write_picture
from handful.report.segmentation_panels import Episode, Picture, heated

Figure = Literal["tiles", "conditioning", "mask-swap", "shots", "sides", "energy", "attention"]


def segmentation(
    *,
    data: DataOptions,
    models: ModelOptions | None = None,
    figure: Figure = "tiles",
    out: Path,
    episodes: Count = 6,
    skip: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    shots: Count | None = None,
    ways: Annotated[int, Parameter(validator=Number(gte=1, lte=2))] = 1,
    seen: Annotated[int, Parameter(validator=Number(gte=32))] = SIZE,
    seed: int = 0,
    json: Json = False,
) -> None:
    """Draw a figure of few-shot segmentation from episodes as they are drawn.

    Parameters
    ----------
    figure
        tiles: support above, prediction below. conditioning: a photo of two objects answered by
        examples of either. mask-swap: the same with one example photo, of which the mask changes.
        shots: one example against five. sides: five shots at the left, one at the right. energy:
        the mean of MSHNet's similarities. attention: what similarity attention looks at.
    out
        The folder for FIGURE.png, and FIGURE.json with what it shows.
    episodes
        How many are shown.
    skip
        How many are passed over before.
    shots
        Examples of a class; 5 for shots and sides where not given, otherwise 1.
    ways
        For attention: 2 looks for either class of a photo of two objects against the other.
    seen
        The side of the square that the model sees, in pixels.
    seed
        What the episodes are drawn from.
    """
    models = models or ModelOptions()
    names = models.names()
    if len(names) > 1:
        raise InputError("a figure shows one model: give one --model")
    many = shots or (5 if figure in ("shots", "sides") else 1)
    (method,) = models.load(names)
    _check(figure, method, many, ways)
    task = data.task(many + 1)
    run = Run(method, task.photos, View(None, seen), "method")
    drawing = Drawing(run, task, episodes, skip, many, seed)
    foot = [
        f"Data set: {data.dataset} ({', '.join(task.classes)}). Model: {method.name}, photos at"
        f" {seen} pixels. Episodes (#) as drawn from seed {seed}. Pixels that nobody labelled count"
        " in no IoU."
    ]
    picture, shown = _FIGURES[figure](drawing, foot, ways)
    path = out / f"{figure}.png"
    write_picture(path, picture)
    options = given(
        **written(data), figure=figure, episodes=episodes, skip=skip or None, shots=shots
    )
    options |= given(ways=None if ways == 1 else ways, seen=seen, seed=seed, model=names[0])
    options |= given(weights=models.weights, backbone_weights=models.backbone_weights)
    argv = ["report", "segmentation", *as_words(options)]
    origin = provenance(argv, seed, describe_device(models.device))
    value = {"figure": figure, "model": method.name, "dataset": data.dataset, "shown": shown}
    write_json(out / f"{figure}.json", value | origin)
    answer = {"figures": [str(path)], "model": method.name, "shown": len(shown)}
    emit(answer, json, str(path))


Drawn = tuple[Picture, list[dict[str, Any]]]


def _tiles(drawing: Drawing, foot: list[str], ways: int) -> Drawn:
    shown = _episodes(drawing, drawing.shots)
    return figures.tiles(shown, foot), [episode.to_dict() for episode in shown]


def _conditioning(drawing: Drawing, foot: list[str], ways: int) -> Drawn:
    return _swapped(drawing, foot, "photo")


def _mask_swap(drawing: Drawing, foot: list[str], ways: int) -> Drawn:
    return _swapped(drawing, foot, "mask")


def _swapped(drawing: Drawing, foot: list[str], swap: Kind) -> Drawn:
    pairs = [
        (
            drawing.episode(number, case.query, case.pair[0], case.support[0]),
            drawing.episode(number, case.query, case.pair[1], case.support[1]),
        )
        for number, case in drawing.cases(swap)
    ]
    return figures.conditioning(pairs, foot), _both(pairs)


def _shots(drawing: Drawing, foot: list[str], ways: int) -> Drawn:
    drawn = drawing.drawn(drawing.shots)
    pairs = []
    for t in drawing.numbers():
        query, column, support = _parts(drawn, t)
        few = drawing.episode(t, query, column, support[:1])
        pairs.append((few, drawing.episode(t, query, column, support)))
    return figures.shots(pairs, foot), _both(pairs)


def _sides(drawing: Drawing, foot: list[str], ways: int) -> Drawn:
    pairs = list(zip(_episodes(drawing, drawing.shots), _episodes(drawing, 1), strict=True))
    return figures.sides(pairs, foot), _both(pairs)


def _energy(drawing: Drawing, foot: list[str], ways: int) -> Drawn:
    run, drawn = drawing.run, drawing.drawn(drawing.shots)
    method = run.method
    assert isinstance(method, Energetic)
    rows = []
    for t in drawing.numbers():
        query, column, support = _parts(drawn, t)
        state = run.state(column, support)
        maps = method.energy(run.features([query])[query], state)
        rows.append((drawing.episode(t, query, column, support), maps))
    return figures.energy(rows, foot), [episode.to_dict() for episode, _ in rows]


def _attention(drawing: Drawing, foot: list[str], ways: int) -> Drawn:
    asked: list[tuple[int, int, list[int], list[list[int]]]] = []
    if ways == 2:
        for number, case in drawing.cases("photo"):
            asked.append((number, case.query, [*case.pair], [list(s) for s in case.support]))
        foot = ["Each class is looked for against the examples of the other.", *foot]
    else:
        drawn = drawing.drawn(drawing.shots)
        for t in drawing.numbers():
            query, column, support = _parts(drawn, t)
            asked.append((t, query, [column], [support]))
    rows, shown = [], []
    for number, query, columns, supports in asked:
        found = decide(drawing.run.segment(query, columns, supports)[0])
        episodes = [
            drawing.shown(number, query, column, support, mask)
            for column, support, mask in zip(columns, supports, found, strict=True)
        ]
        rows.append((episodes, _looks(drawing.run, query, columns, supports, episodes)))
        shown += [episode.to_dict() for episode in episodes]
    return figures.attention(rows, foot), shown


def _looks(
    run: Run,
    query: int,
    columns: Sequence[int],
    supports: Sequence[Sequence[int]],
    episodes: Sequence[Episode],
) -> list[tuple[Picture, Picture]]:
    """Return where the query and each class's first example are attended, over the photos."""
    method = run.method
    assert isinstance(method, Attentive)
    states = [run.state(c, photos) for c, photos in zip(columns, supports, strict=True)]
    features = run.features([query, *(photos[0] for photos in supports)])
    heat = method.attention(features[query], states).numpy()
    asking = method.condition([features[query]], [episodes[0].truth])
    looks = []
    for place, episode in enumerate(episodes):
        # seen from the example the query is the positive; the other class stays the negative
        others = [state for n, state in enumerate(states) if n != place]
        back = method.attention(features[supports[place][0]], [asking, *others])[0].numpy()
        looks.append(
            (
                heated(episode.image, heat[place]),
                heated(episode.support[0].image, back),
            )
        )
    return looks


def _episodes(drawing: Drawing, shots: int) -> list[Episode]:
    drawn = drawing.drawn(shots)
    return [drawing.episode(t, *_parts(drawn, t)) for t in drawing.numbers()]


def _parts(drawn: SegmentationEpisodes, t: int) -> tuple[int, int, list[int]]:
    return int(drawn.query[t]), int(drawn.classes[t, 0]), drawn.support[t, 0].tolist()


def _both(pairs: Sequence[tuple[Episode, Episode]]) -> list[dict[str, Any]]:
    return [episode.to_dict() for pair in pairs for episode in pair]


def _check(figure: Figure, method: object, shots: int, ways: int) -> None:
    """Refuse what cannot be drawn."""
    if figure == "energy" and not isinstance(method, Energetic):
        raise InputError("energy maps are of MSHNet's similarities: give --model mshnet:...")
    if figure == "attention" and not isinstance(method, Attentive):
        raise InputError("attention maps are of similarity attention: give --model attention")
    if figure in ("shots", "sides") and shots < 2:
        raise InputError(
            f"--figure {figure} sets several shots against one: give --shots 2 or more"
        )
    if ways == 2 and figure != "attention":
        raise InputError("two ways are drawn by --figure attention alone")


_FIGURES: dict[Figure, Callable[[Drawing, list[str], int], Drawn]] = {
    "tiles": _tiles,
    "conditioning": _conditioning,
    "mask-swap": _mask_swap,
    "shots": _shots,
    "sides": _sides,
    "energy": _energy,
    "attention": _attention,
}
