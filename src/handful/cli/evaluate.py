"""``handful evaluate``: measure models by a protocol of the papers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number

from handful import methods
from handful.cli.common import Device, Json, emit, note
from handful.cli.evaluate_conditioning import conditioning
from handful.cli.evaluate_erasing import erasing
from handful.cli.evaluate_folders import fewshot, retrieval
from handful.cli.evaluate_hashing import hashing
from handful.cli.evaluate_reid import reid
from handful.cli.evaluate_segmentation import segmentation
from handful.cli.measuring import Count, Models, chosen_models, write_result
from handful.data.episodes import Episodes
from handful.evaluation.protocols.omniglot import Protocol, Task, measure, prepare
from handful.evaluation.results import Result, write_rows

evaluate = App(name="evaluate", help="Measure models by a protocol of the papers.")
evaluate.command(conditioning)
evaluate.command(erasing)
evaluate.command(fewshot)
evaluate.command(retrieval)
evaluate.command(hashing)
evaluate.command(reid)
evaluate.command(segmentation)


@evaluate.command
def omniglot(
    *,
    root: Path,
    protocol: Protocol = "within-alphabet",
    model: Models = None,
    weights: Path | None = None,
    ways: Annotated[int, Parameter(validator=Number(gte=2))] = 20,
    shots: Count = 1,
    trials: Count = 2000,
    seed: int = 0,
    episodes_file: Path | None = None,
    per_episode: Path | None = None,
    out: Path | None = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Recognize Omniglot's characters from one example each, beside the published figures.

    Parameters
    ----------
    root
        The folder of Omniglot as torchvision unpacks it; for lake the folder of run01, run02, ...
    protocol
        lake: the official runs. within-alphabet: trials within one alphabet, support and query
        by two drawers. random-character: trials over all alphabets, which is easier.
    model
        One or more models, or all (of those for drawings); omniglot-small where none is given.
    weights
        A weights file to use for the model.
    ways, shots, trials
        Of the drawn trials; the runs of lake are taken as they are.
    seed
        What the trials and pairs are drawn from.
    episodes_file
        Trials to replay; where there is no such file yet, the drawn ones are written there.
    per_episode
        Write one CSV row per query into this file.
    out
        Write the result, with how it came about, into this .json file or into this folder.
    """
    names = chosen_models(model or ["omniglot-small"], "drawings", weights, out)
    matchers = [methods.load(name, weights, device) for name in names]
    task = _task(root, protocol, ways, shots, trials, seed, episodes_file)
    results = [measure(matcher, task) for matcher in matchers]
    if per_episode is not None:
        write_rows(per_episode, results)
    for name, result in zip(names, results, strict=True) if out is not None else ():
        argv = _command(root, name, weights, seed, episodes_file, result)
        detail = "" if _standard(result) else f"{task.episodes.ways}way-{task.episodes.shots}shot"
        write_result(Path(str(out)), result, argv, seed, device, detail, weights, name)
    if json:
        values = [result.to_json() for result in results]
        emit(values[0] if len(values) == 1 and model != ["all"] else values, True, "")
    else:
        _print_table(results)


def _task(
    root: Path,
    protocol: Protocol,
    ways: int,
    shots: int,
    trials: int,
    seed: int,
    episodes_file: Path | None,
) -> Task:
    """Replay the episodes of a file, or draw them and write them there."""
    replayed = episodes_file is not None and episodes_file.exists()
    episodes = Episodes.load(episodes_file) if replayed and episodes_file else None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        task = prepare(root, protocol, ways, shots, trials, seed, episodes)
    for warning in caught:
        note(str(warning.message))
    if episodes_file is not None and not replayed:
        task.episodes.save(episodes_file)
        note(f"wrote {episodes_file}")
    return task


def _standard(result: Result) -> bool:
    """Say whether trials are as in the published tables, so that a file's name need not tell."""
    return result.protocol == "lake" or (
        result.settings["ways"] == 20 and result.settings["shots"] == 1
    )


def _command(
    root: Path,
    name: str,
    weights: Path | None,
    seed: int,
    episodes_file: Path | None,
    result: Result,
) -> list[str]:
    """Return the arguments that measure one model again."""
    argv = ["evaluate", "omniglot", "--root", str(root), "--protocol", result.protocol]
    argv += ["--model", name]
    if weights is not None:
        argv += ["--weights", str(weights)]
    if episodes_file is not None:
        argv += ["--episodes-file", str(episodes_file)]
    elif result.protocol != "lake":
        argv += ["--ways", str(result.settings["ways"]), "--shots", str(result.settings["shots"])]
        argv += ["--trials", str(result.n)]
    return [*argv, "--seed", str(seed)]


def _print_table(results: list[Result]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    first = results[0]
    kind = f"{first.settings['ways']}-way {first.settings['shots']}-shot"
    table = Table(title=f"Omniglot, {first.protocol}, {kind}, n = {first.n:,}", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for name in ("accuracy", "95 % interval", "reject", "verify"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in sorted(results, key=lambda r: -r.metrics["accuracy"]):
        table.add_row(result.model, *_cells(result))
    if first.published:
        table.add_section()
    notes = [*dict.fromkeys(row["note"] for row in first.published if row["note"])]
    for row in first.published:
        mark = f" ({notes.index(row['note']) + 1})" if row["note"] else ""
        table.add_row(row["model"] + mark, f"{100 * row['accuracy']:.1f} %", "published")
    console = Console(highlight=False)
    console.print(table)
    for number, text in enumerate(notes, 1):
        console.print(f"({number}) {text}")
    console.print("reject, verify: areas under the ROC curve (none of these; are two the same)")
    for result in results if first.protocol == "lake" else ():
        share = 100 * result.metrics["assignment_accuracy"]
        console.print(f"{result.model}: {share:.1f} % where the answers of a run have to differ")


def _cells(result: Result) -> list[str]:
    metrics: dict[str, Any] = result.metrics
    low, high = metrics["interval"]
    rejection = metrics["rejection"]
    return [
        f"{100 * metrics['accuracy']:.1f} %",
        f"{100 * low:.1f} to {100 * high:.1f}",
        f"{rejection['auroc']:.3f}" if rejection else "",
        f"{metrics['verification']['auc']:.3f}",
    ]
