"""``handful report``: the figures of a protocol, drawn from measurements made here."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import App, Parameter
from cyclopts.validators import Number

from handful import methods
from handful.cli.common import Device, Json, emit
from handful.cli.report_bits import bits
from handful.cli.report_hashing import hashing
from handful.cli.report_segmentation import segmentation
from handful.data.omniglot import OmniglotSet, read_omniglot
from handful.data.sampling import sample_within_alphabet
from handful.errors import InputError
from handful.evaluation.protocols.omniglot import ways_curve
from handful.evaluation.scoring import encode, episode_scores
from handful.files import write_json
from handful.methods import Matcher
from handful.provenance import describe_device, provenance
from handful.report.omniglot import draw_training, draw_trial, draw_ways
from handful.report.style import COLOURS

report = App(name="report", help="Draw the figures of a protocol.")
report.command(segmentation)
report.command(hashing)
report.command(bits)

_WAYS = 20


@report.command
def omniglot(
    *,
    root: Path,
    out: Path,
    model: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    weights: Path | None = None,
    run: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative=())] = None,
    trial: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    trials: Annotated[int, Parameter(validator=Number(gte=1))] = 2000,
    seed: int = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Draw a 20-way trial, accuracy over 2 to 20 ways, and the curves of training runs.

    Parameters
    ----------
    root
        The folder of Omniglot as torchvision unpacks it.
    out
        The folder for trial.png, ways.png with its figures in ways.json, and training.png.
    model
        One or more models to set against the nearest neighbour; omniglot-small where none is
        given.
    weights
        A weights file to use for the first model.
    run
        Folders of training runs whose curves to draw.
    trial
        Which of the drawn trials to show.
    trials
        How many within-alphabet trials each point of the curve counts.
    seed
        What the trials are drawn from.
    """
    names = list(dict.fromkeys([*(model or ["omniglot-small"]), "nearest-neighbour"]))
    if len(names) > len(COLOURS):
        raise InputError(f"{len(names)} models are too many for a figure: give {len(COLOURS) - 1}")
    if trial >= trials:
        raise InputError(f"--trial {trial}: there are trials 0 to {trials - 1}")
    matchers = [
        methods.load(name, weights if i == 0 else None, device) for i, name in enumerate(names)
    ]
    dataset = read_omniglot(root, "evaluation")
    _draw_trial(out / "trial.png", dataset, matchers, trial, trials, seed)
    curves = [ways_curve(m, dataset, range(2, _WAYS + 1), trials, seed) for m in matchers]
    title = f"One-shot recognition within alphabets, {trials:,} trials"
    draw_ways(out / "ways.png", curves, title)
    figures = [{key: _plain(value) for key, value in asdict(c).items()} for c in curves]
    argv = ["report", "omniglot", "--root", str(root), "--out", str(out), "--model", *names[:-1]]
    origin = provenance(argv, seed, describe_device(device))
    value = {"protocol": "ways", "trials": trials, "curves": figures}
    write_json(out / "ways.json", value | origin)
    drawn = [out / "trial.png", out / "ways.png"]
    if run:
        files = {folder.resolve().name: folder / "metrics.csv" for folder in run}
        draw_training(out / "training.png", files)
        drawn.append(out / "training.png")
    answer = {"figures": [str(path) for path in drawn], "models": [m.name for m in matchers]}
    emit(answer, json, "\n".join(answer["figures"]))


def _draw_trial(
    path: Path, dataset: OmniglotSet, matchers: list[Matcher], trial: int, trials: int, seed: int
) -> None:
    episodes = sample_within_alphabet(dataset, trials, _WAYS, seed=seed).take([trial])
    chosen = {}
    for matcher in matchers:
        features = encode(matcher, list(dataset.images), episodes.used)
        chosen[matcher.name] = int(episode_scores(matcher, features, episodes)[0, 0].argmax())
    images = dataset.images
    support = list(images[episodes.support[0, :, 0]])
    draw_trial(path, images[episodes.query[0, 0]], support, int(episodes.target[0, 0]), chosen)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
