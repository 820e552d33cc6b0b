"""Photos a second through handful-base, run in several ways, against timm's run of its source.

    python benchmarks/backbone_speed.py [--threads 2] [--sizes 96 160 224] [--rounds 7]

Every way computes the same pooled 1,280 features, which is checked, from the same batch. The ways
take turns, so that whatever else the machine does meets them alike; a rate is the median of the
rounds, a ratio the median of the rounds' ratios to timm's. One JSON object is printed. It fails
where handful-base as it runs by default (``channels_last``) is below 1.3 times timm at 160 or 224
pixels.

- ``timm``: timm's mobilenetv2_100 as it comes, batch norms and all.
- ``folded``: handful-base with its weights in the layout in which timm has them.
- ``channels_last``: handful-base as it runs by default.
- ``bfloat16``, ``compiled``, ``onnxruntime``: the default one in half the bits, through
  torch.compile, and through ONNX Runtime; each is skipped, with the reason, where it cannot run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from handful.backbones.convert_base import EPSILON, layers
from handful.backbones.handful_base import HandfulBase

SIZES = (96, 128, 160, 192, 224, 256, 320)
WAYS = ("timm", "folded", "channels_last", "bfloat16", "compiled", "onnxruntime")
BAR = {160: 1.3, 224: 1.3}

Run = Callable[[Tensor], Tensor]


class Pooled(nn.Module):
    """The features before the projection, as a module."""

    def __init__(self, backbone: HandfulBase) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, 1280)."""
        return self.backbone.pooled(x)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    base = Pooled(HandfulBase().load()).eval()
    answer: dict[str, object] = {
        "threads": options.threads,
        "batch": options.batch,
        "rounds": options.rounds,
        "versions": {"torch": torch.__version__, "timm": timm.__version__},
    }
    sizes, passed = {}, True
    with torch.inference_mode():
        for size in options.sizes:
            sizes[str(size)] = measured = measure(base, size, options)
            ratio = measured["ratio"].get("channels_last")
            passed &= ratio is None or ratio >= BAR.get(size, 0)
    print(json.dumps(answer | {"sizes": sizes, "passed": passed}, indent=2))
    return 0 if passed else 1


def measure(base: Pooled, size: int, options: argparse.Namespace) -> dict[str, dict]:
    """Time every way at one size, in turns."""
    x = torch.randn(options.batch, 3, size, size, generator=torch.Generator().manual_seed(0))
    truth = base(x)
    runs, skipped, seconds = {}, {}, {}
    for way in dict.fromkeys(("timm", *options.ways)):
        try:
            run = MAKERS[way](base, x, options.threads)
            worst = float(cosine_similarity(run(x).float(), truth).min())
        except Exception as error:  # what is not installed or cannot compile is told, not fatal
            skipped[way] = " ".join(str(error).split())[:200] or type(error).__name__
            continue
        if worst < 0.995:
            raise SystemExit(f"{way} at {size} computes something else: cosine {worst:.4f}")
        runs[way], seconds[way] = run, []
    for _ in range(options.rounds):
        for way, run in runs.items():
            start = time.perf_counter()
            run(x)
            seconds[way].append(time.perf_counter() - start)
    return {
        "photos_per_second": {
            way: round(options.batch / statistics.median(taken), 1)
            for way, taken in seconds.items()
        },
        "ratio": {
            way: round(
                statistics.median(a / b for a, b in zip(seconds["timm"], taken, strict=True)), 2
            )
            for way, taken in seconds.items()
        },
        "skipped": skipped,
    }


def by_timm(base: Pooled, x: Tensor, threads: int) -> Run:
    """Give timm's network the same function: each bias becomes the shift of a batch norm."""
    network = timm.create_model("mobilenetv2_100", pad_type="same", num_classes=0).eval()
    state = network.state_dict()
    ours = base.backbone.network.state_dict()
    for target, convolution, norm in layers():
        state[f"{convolution}.weight"] = ours[f"{target}.weight"]
        state[f"{norm}.bias"] = ours[f"{target}.bias"]
        state[f"{norm}.running_var"] = torch.full_like(ours[f"{target}.bias"], 1 - EPSILON)
    network.load_state_dict(state)
    return network


def folded(base: Pooled, x: Tensor, threads: int) -> Run:
    return deepcopy(base).to(memory_format=torch.contiguous_format)


def bfloat16(base: Pooled, x: Tensor, threads: int) -> Run:
    half = deepcopy(base).to(torch.bfloat16)
    return lambda x: half(x.to(torch.bfloat16))


def onnxruntime(base: Pooled, x: Tensor, threads: int) -> Run:
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "network.onnx")
        torch.onnx.export(deepcopy(base), (x,), file, dynamo=False, input_names=["x"])
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


MAKERS: dict[str, Callable[[Pooled, Tensor, int], Run]] = {
    "timm": by_timm,
    "folded": folded,
    "channels_last": lambda base, x, threads: base,
    "bfloat16": bfloat16,
    "compiled": lambda base, x, threads: torch.compile(deepcopy(base)),
    "onnxruntime": onnxruntime,
}


if __name__ == "__main__":
    sys.exit(main())
