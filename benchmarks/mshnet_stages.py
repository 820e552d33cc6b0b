"""One query of MSHNet, stage by stage: milliseconds, multiply-adds and memory.

    python benchmarks/mshnet_stages.py [--size 473] [--threads 2] [--rounds 5] [--classes 5]
                                       [--out FILE.json]

`ours` is `handful.methods.mshnet` after `support_state`: foreground pixels alone, in tiles, and the
head rewritten by `fused`. `dense` is the same network written without those ideas and kept here:
it encodes the support again for every query, holds the (hw x hw) cosines of all layers, builds
the 2C map of equation 4, and runs the head as it was trained. Both answer the same, which is
checked. The ways take turns, so that whatever else the machine does meets them alike: times are
medians, ratios medians of the rounds' ratios.

One JSON object is printed. At 473 pixels it fails below any of the bars: the cosine stage 4 times
faster, the whole query 1.7 times, a quarter of the peak memory above weights and features, and K
classes at most 1.1 times backbone + K x (similarities + head).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.functional import conv2d, normalize
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from handful.files import write_json
from handful.methods.mshnet import MSHNet, SupportState, fused
from handful.methods.mshnet.blocks import Kind, resized
from handful.methods.mshnet.inference import FusedHead
from handful.methods.mshnet.network import GenerativePrototype
from handful.provenance import describe_device, provenance
from handful.similarity import foreground, masked_mean

BARS = {"cosine": 4.0, "query": 1.7, "memory": 0.25, "classes": 1.1}
Maps = dict[str, Tensor]
Run = Callable[[], Any]


class Dense:
    """MSHNet without tiles, without a support state, without rewrites."""

    def __init__(self, model: MSHNet) -> None:
        self.model = model

    def cosine(self, query: Maps, support: Maps, mask: Tensor) -> list[Tensor]:
        """Return equation 5 of every level, with all (hw x hw) maps held until the end."""
        held: Maps = {}
        kept = {}
        for name, found in support.items():
            kept[name] = foreground(mask, (found.shape[2], found.shape[3]))[0]
            masked = normalize(found * kept[name][:, None], dim=1).flatten(2)[0]
            held[name] = (normalize(query[name], dim=1).flatten(2)[0].T @ masked).relu()
        return [
            torch.stack(
                [
                    (held[name].sum(1) / kept[name].sum()).reshape(query[name].shape[2:])
                    for name in level
                ]
            )[None]
            for level in self.model.levels
        ]

    def prototype(self, query: Maps, support: Maps, mask: Tensor) -> list[Tensor]:
        """Return equation 4 of every level, on the joined maps."""
        levels = []
        for level, learned in zip(self.model.levels, self.model.prototype, strict=True):
            layers = []
            for name in level:
                x = query[name]
                kept = foreground(mask, (x.shape[2], x.shape[3]))[0]
                prototype = masked_mean(support[name], kept)[..., None, None].expand_as(x)
                weight = cast("GenerativePrototype", learned).of(x.shape[1])[None, :, None, None]
                layers.append(conv2d(torch.cat([prototype, x], 1), weight).sigmoid()[0, 0])
            levels.append(torch.stack(layers)[None])
        return levels

    def query(self, photo: Tensor, example: Tensor, mask: Tensor) -> Tensor:
        """Answer one query from pixels."""
        support, query = self.model.features(example), self.model.features(photo)
        cosine = self.cosine(query, support, mask)
        prototype = self.prototype(query, support, mask)
        found: list[Mapping[Kind, Tensor]] = [
            {"prototype": p, "cosine": c} for p, c in zip(prototype, cosine, strict=True)
        ]
        logits = self.model.head(found, [1], False)[0]
        return resized(logits, (photo.shape[2], photo.shape[3]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--weights", help="of the backbone; random ones cost the same")
    parser.add_argument("--size", type=int, default=473)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--classes", type=int, default=5)
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = MSHNet(options.backbone).eval()
    if options.weights:
        model.backbone.load(options.weights)
    with torch.inference_mode():
        measured = measure(model, options)
    held = measured["bars"]
    passed = (
        held["cosine"] >= BARS["cosine"]
        and held["query"] >= BARS["query"]
        and held["memory"] <= BARS["memory"]
        and held["classes"] <= BARS["classes"]
    )
    asked = {key: value for key, value in vars(options).items() if key != "out"}
    about = {"protocol": "mshnet-stages", "model": "mshnet", "options": asked, "passed": passed}
    answer = about | {"n": options.rounds, "metrics": held} | measured
    print(json.dumps(answer, indent=2))
    if options.out is not None:
        origin = provenance([], 0, describe_device("cpu"))
        argv = f"--size {options.size} --threads {options.threads} --rounds {options.rounds}"
        origin["command"] = f"python benchmarks/mshnet_stages.py {argv}"
        write_json(options.out, answer | origin)
    return 0 if passed or options.size != 473 else 1


def measure(model: MSHNet, options: argparse.Namespace) -> dict[str, Any]:
    """Time every stage both ways, in turns."""
    side = options.size
    photo, example = torch.randn(2, 1, 3, side, side).unbind()
    mask = torch.zeros(1, side, side)
    mask[:, side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = 1
    quick, dense = fused(model), Dense(model)
    state = quick.support_state(example, mask)
    truth = dense.query(photo, example, mask)
    worst = float((quick(photo, state).logits - truth).abs().max() / truth.abs().max())
    if worst > 1e-2:  # the support is kept in half precision
        raise SystemExit(f"the two ways differ by {worst:.4f} of the largest logit")
    runs = stages(quick, dense, (photo, example, mask), state)
    runs["classes"] = {"ours": lambda: quick(photo, [state] * options.classes)}
    taken = in_turns(runs, options.rounds)
    table = {
        stage: {
            way: {"ms": round(statistics.median(taken[stage, way]) * 1e3, 1), "gmac": gmac(run)}
            for way, run in ways.items()
        }
        for stage, ways in runs.items()
    }
    # of the dense way both photos' maps are features, of ours the query's alone
    maps = sum(found.nbytes for found in model.features(photo).values())
    features = {"dense": 2 * maps, "ours": maps}
    peak = {way: peak_bytes(run) - features[way] for way, run in runs["query"].items()}
    shared = [taken[stage, "ours"] for stage in ("backbone", "prototype", "cosine", "head")]
    single = [b + options.classes * (p + c + h) for b, p, c, h in zip(*shared, strict=True)]
    return {
        "difference": worst,
        "stages": table,
        "peak_megabytes": {way: round(found / 1e6, 1) for way, found in peak.items()},
        "bars": {
            "cosine": ratio(taken["cosine", "dense"], taken["cosine", "ours"]),
            "query": ratio(taken["query", "dense"], taken["query", "ours"]),
            "memory": round(peak["ours"] / peak["dense"], 3),
            "classes": ratio(taken["classes", "ours"], single),
        },
    }


def stages(
    quick: MSHNet, dense: Dense, episode: tuple[Tensor, Tensor, Tensor], state: SupportState
) -> dict[str, dict[str, Run]]:
    """Return what to run: stage -> way -> call, on inputs computed beforehand."""
    photo, example, mask = episode
    model = dense.model
    query, support = model.features(photo), model.features(example)
    groups = [(0, [state])]
    found = quick.similarities(query, groups)
    runs: dict[str, dict[str, Run]] = {
        "query": {
            "dense": lambda: dense.query(photo, example, mask),
            "ours": lambda: quick(photo, state),
        },
        "backbone": {
            "dense": lambda: model.backbone(photo),
            "ours": lambda: quick.backbone(photo),
        },
        "cosine": {
            "dense": lambda: dense.cosine(query, support, mask),
            "ours": lambda: quick.stage("cosine", query, groups),
        },
        "prototype": {
            "dense": lambda: dense.prototype(query, support, mask),
            "ours": lambda: quick.stage("prototype", query, groups),
        },
        "head": {
            "dense": lambda: model.head(found, [1], False),
            "ours": lambda: quick.head(found, [1], False),
        },
    }
    return runs | head_stages(quick, model, found)


def head_stages(
    quick: MSHNet, model: MSHNet, found: list[dict[Kind, Tensor]]
) -> dict[str, dict[str, Run]]:
    """Return the parts of the head."""
    head, ours = cast("Any", model.head), cast("FusedHead", quick.head)
    fine, middle, coarse = (merge(x, [1]) for merge, x in zip(head.merges, found, strict=True))
    deep = head.fusions[1](coarse, middle)
    shallow = head.fusions[0](deep, fine)
    x = head.decoder(shallow)
    double = (2 * x.shape[2], 2 * x.shape[3])

    def merged(merges: Any) -> list[Tensor]:
        return [merge(x, [1]) for merge, x in zip(merges, found, strict=True)]

    return {
        "head: merging": {
            "dense": lambda: merged(head.merges),
            "ours": lambda: merged(ours.merges),
        },
        "head: fusion 4-3": {
            "dense": lambda: head.fusions[1](coarse, middle),
            "ours": lambda: ours.deep(coarse, middle),
        },
        "head: fusion 3-2": {
            "dense": lambda: head.fusions[0](deep, fine),
            "ours": lambda: ours.shallow(deep, fine),
        },
        "head: decoder": {
            "dense": lambda: head.decoder(shallow),
            "ours": lambda: ours.decoder(shallow),
        },
        "head: classifier": {
            "dense": lambda: head.classify(resized(x, double)),
            "ours": lambda: ours.classify(x),
        },
    }


def in_turns(
    runs: Mapping[str, Mapping[str, Run]], rounds: int
) -> dict[tuple[str, str], list[float]]:
    """Return the seconds of every stage and way, round by round, after one to warm up."""
    taken: dict[tuple[str, str], list[float]] = {}
    for turn in range(rounds + 1):
        for stage, ways in runs.items():
            for way, run in ways.items():
                start = time.perf_counter()
                run()
                if turn:
                    taken.setdefault((stage, way), []).append(time.perf_counter() - start)
    return taken


def ratio(above: list[float], below: list[float]) -> float:
    """Return the median of the rounds' ratios."""
    return round(statistics.median(a / b for a, b in zip(above, below, strict=True)), 2)


def gmac(run: Run) -> float:
    """Return the multiply-adds of a call, in thousands of millions."""
    with FlopCounterMode(display=False) as counter:
        run()
    return round(counter.get_total_flops() / 2e9, 2)


def peak_bytes(run: Run) -> int:
    """Return the most bytes that a call holds at once of those it allocates."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    # allocations and releases in the order of time
    events = cast("Any", profiler.profiler).kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak


if __name__ == "__main__":
    sys.exit(main())
