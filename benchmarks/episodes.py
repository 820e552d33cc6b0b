"""Trials a second from cached embeddings: handful against easyfsl.

Both draw 20-way one-shot tasks from the same unit vectors (659 classes of 20, D = 512), classify
the queries by the nearest prototype and count right answers; drawing is timed too.

- ``task``: one query of every class, the least that easyfsl can draw. Both libraries do it.
- ``trial``: one query against the support, as Omniglot's protocols count them.

    python benchmarks/episodes.py [--threads 1] [--repeats 5]

prints one JSON object; rates are the medians of the repeats. It fails below 4,000 trials a second
or twice easyfsl's rate.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from easyfsl.datasets import FeaturesDataset
from easyfsl.methods import PrototypicalNetworks
from easyfsl.samplers import TaskSampler
from easyfsl.utils import evaluate
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.data import DataLoader, Sampler

from handful.data.episodes import Episodes
from handful.data.omniglot import OmniglotSet
from handful.data.sampling import sample_fewshot, sample_within_alphabet
from handful.evaluation.scoring import Features, episode_scores
from handful.methods.matcher import Image
from handful.similarity import cosine

WAYS, DIMENSIONS, DRAWERS = 20, 512, 20
ALPHABETS = [20, 26, 26, 26, 26, 26, 45, 45, 41, 26, 47, 40, 30, 45, 46, 28, 23, 25, 42, 26]


class Cosine:
    """The comparison alone: images are encoded beforehand."""

    name, backbone, batched = "cosine", "none", True

    def encode(self, images: Sequence[Image]) -> Tensor:
        """Refuse: everything is encoded."""
        raise NotImplementedError

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        """Return cosines."""
        return cosine(query, support)

    def pool(self, support: Tensor) -> Tensor:
        """Return the mean of the shots."""
        return support.mean(-2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dataset, embeddings = cached()
    features = Features(embeddings, np.arange(len(embeddings)))
    rates, right = {}, {}

    def ours(draw: Callable[[int], Episodes], seed: int) -> tuple[int, float]:
        episodes = draw(seed)
        scores = episode_scores(Cosine(), features, episodes)
        return len(episodes), float((scores.argmax(-1) == episodes.target).mean())

    runs: dict[str, Callable[[int], tuple[int, float]]] = {
        "handful_trials": lambda seed: ours(
            lambda s: sample_within_alphabet(dataset, 20_000, WAYS, seed=s), seed
        ),
        "handful_tasks": lambda seed: ours(
            lambda s: sample_fewshot(dataset.character, WAYS, 1, 1, 5_000, s), seed
        ),
        "easyfsl_tasks": lambda seed: easyfsl(dataset, embeddings, 500, seed),
    }
    for name, run in runs.items():
        run(0)  # caches and thread pools are warm in the measured repeats
        found = [timed(run, seed) for seed in range(1, options.repeats + 1)]
        rates[name] = statistics.median(rate for rate, _ in found)
        right[name] = statistics.mean(share for _, share in found)
    ratio = rates["handful_tasks"] / rates["easyfsl_tasks"]
    answer = {
        "ways": WAYS,
        "shots": 1,
        "dimensions": DIMENSIONS,
        "threads": options.threads,
        "repeats": options.repeats,
        "per_second": {name: round(rate) for name, rate in rates.items()},
        "accuracy": {name: round(share, 4) for name, share in right.items()},
        "ratio": round(ratio, 1),
    }
    print(json.dumps(answer, indent=2))
    return 0 if ratio >= 2 and rates["handful_trials"] >= 4000 else 1


def cached() -> tuple[OmniglotSet, Tensor]:
    """Stand in for the encoded evaluation set: its 20 alphabets, a noisy vector per drawing."""
    generator = torch.Generator().manual_seed(0)
    characters = sum(ALPHABETS)
    centre = torch.randn(characters, 1, DIMENSIONS, generator=generator)
    noise = torch.randn(characters, DRAWERS, DIMENSIONS, generator=generator)
    embeddings = normalize(centre + 2.2 * noise, dim=-1).reshape(-1, DIMENSIONS)
    count = characters * DRAWERS
    dataset = OmniglotSet(
        images=np.zeros((count, 1, 1), np.uint8),
        alphabet=np.repeat(np.arange(len(ALPHABETS)), np.array(ALPHABETS) * DRAWERS),
        character=np.repeat(np.arange(characters), DRAWERS),
        drawer=np.tile(np.arange(1, DRAWERS + 1), characters),
        paths=tuple(f"{i}.png" for i in range(count)),
        alphabets=tuple(f"alphabet{i:02d}" for i in range(len(ALPHABETS))),
        root=Path("cached"),
    )
    return dataset, embeddings


def easyfsl(dataset: OmniglotSet, embeddings: Tensor, tasks: int, seed: int) -> tuple[int, float]:
    """Evaluate by easyfsl's own loader, sampler and loop."""
    random.seed(seed)
    # easyfsl 1.5 hands data_source to torch's Sampler, which no longer takes it
    Sampler.__init__ = lambda self, data_source=None: None
    labels = dataset.character.tolist()
    stored = FeaturesDataset(labels, embeddings, [str(i) for i in range(max(labels) + 1)])
    sampler = TaskSampler(stored, n_way=WAYS, n_shot=1, n_query=1, n_tasks=tasks)
    loader = DataLoader(
        stored, batch_sampler=sampler, collate_fn=sampler.episodic_collate_fn, num_workers=0
    )
    share = evaluate(PrototypicalNetworks(torch.nn.Identity()), loader, "cpu", use_tqdm=False)
    return tasks, float(share)


def timed(run: Callable[[int], tuple[int, float]], seed: int) -> tuple[float, float]:
    start = time.perf_counter()
    count, share = run(seed)
    return count / (time.perf_counter() - start), share


if __name__ == "__main__":
    sys.exit(main())
