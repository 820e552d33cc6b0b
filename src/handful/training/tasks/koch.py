"""Koch's Siamese network as a task: balanced pairs (the paper) or all pairs of a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.optim import SGD, Adam, Optimizer

from handful.backbones.koch import Init, unit_variance_
from handful.methods.koch_siamese import KochSiamese
from handful.similarity import weighted_l1
from handful.training.characters import Characters, load_background, rivals, whole_groups
from handful.training.distort import koch_affine
from handful.training.loop import LoopConfig
from handful.training.naming import Naming
from handful.training.recipe import Finish, Recipe, Trained, named
from handful.training.recipe import options as read_options
from handful.training.validation import Runs

# the order of the layers, for rates and L2: four convolutions, the dense layer, alpha
LAYERS = 6

Amount = Annotated[float, Field(ge=0)]


class KochOptions(BaseModel):
    """The ``network``, ``pairs`` and ``optimizer`` of a Koch recipe.

    Attributes
    ----------
    init, bias :
        See :class:`handful.methods.koch_siamese.KochSiamese`.
    pairs : {"balanced", "all"}
        Independent pairs, half of one character, alphabets equally often; or all pairs of a
        batch of rivals, same and different weighted equally.
    batch : int
        Pairs (balanced), or images (all), of a step.
    members : int
        Characters of one alphabet that are drawn together, each twice (all pairs); `batch` is a
        multiple of twice as many.
    distort : bool
        Whether every image is distorted as in the paper.
    optimizer : {"sgd", "adam"}
        The paper's or the slides'.
    rates : list of float
        One rate a layer: four convolutions, the dense layer, alpha. One number serves all.
    decay : list of float
        L2 of each layer, likewise.
    momentum : tuple of float
        Where the momentum of SGD begins and where, linearly, it ends.
    epoch : int
        Steps after which the rates are multiplied by `epoch_factor`.
    warmup : int
        Steps over which the rates rise from 0.
    cosine : bool
        Whether the rates fall along a cosine to 0 over the run instead.
    margin : float or None
        Border around the strokes' box, see :func:`handful.images.ink`; None, as in the paper,
        takes images whole.
    naming : float
        Weight of an auxiliary loss that names the training characters; its layer is dropped.
    """

    model_config = ConfigDict(extra="forbid")

    init: Init = "paper"
    bias: bool = True
    pairs: Literal["balanced", "all"] = "balanced"
    batch: int = Field(128, ge=2)
    members: int = Field(16, ge=2)
    distort: bool = True
    optimizer: Literal["sgd", "adam"] = "sgd"
    rates: list[Amount] = [1e-2]
    decay: list[Amount] = [0.0]
    momentum: tuple[Amount, Amount] = (0.5, 0.9)
    epoch: int = Field(0, ge=0)
    epoch_factor: float = Field(0.99, gt=0, le=1)
    warmup: int = Field(0, ge=0)
    cosine: bool = False
    margin: Amount | None = None
    naming: Amount = 0.0
    validation_trials: int = Field(320, ge=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        whole_groups(self.batch, self.members, needed=self.pairs == "all")
        for name in ("rates", "decay"):
            if len(getattr(self, name)) not in (1, LAYERS):
                raise ValueError(f"{name} needs one number, or one for each of {LAYERS} layers")
        return self


class _Trained(nn.Module):
    def __init__(self, network: KochSiamese, naming: Naming | None) -> None:
        super().__init__()
        self.network = network
        self.naming = naming


class KochTask:
    """Train :class:`KochSiamese` on Omniglot's background alphabets.

    Parameters
    ----------
    training, validation : Characters
        Drawings at 105 px, of different alphabets.
    options : KochOptions
        The recipe.
    steps : int
        Length of the run, for the schedules.
    seed : int
        Seed of the initial weights.
    """

    size = 105

    def __init__(
        self,
        training: Characters,
        validation: Characters,
        options: KochOptions,
        steps: int,
        seed: int,
    ) -> None:
        torch.manual_seed(seed)
        self.options = options
        self.training = training
        self.steps = steps
        network = KochSiamese(options.init, options.bias)
        if options.init == "unit-variance":
            character, drawer = rivals(training, 8, 8, torch.Generator().manual_seed(seed))
            unit_variance_(network.tower, training.pixels(character.flatten(), drawer.flatten()))
        features = network.tower.features
        naming = Naming(features, len(training)) if options.naming else None
        self.network = network
        self.model: nn.Module = _Trained(network, naming)
        self.batch_size = options.batch * (2 if options.pairs == "balanced" else 1)
        self.validation = validation
        self.runs = Runs.draw(validation, options.validation_trials, 20, seed=0)

    def optimizer(self) -> Optimizer:
        """Return SGD or Adam with one group a layer."""
        model = self.model
        assert isinstance(model, _Trained)
        net = model.network
        head = [net.alpha] if net.beta is None else [net.alpha, net.beta]
        groups = [
            *(list(layer.parameters()) for layer in net.tower.convolutions),
            list(net.tower.dense.parameters()),
            head,
        ]
        rates, decay = _each(self.options.rates), _each(self.options.decay)
        settings = [
            {"params": p, "lr": r, "rate": r, "weight_decay": d}
            for p, r, d in zip(groups, rates, decay, strict=True)
        ]
        if model.naming is not None:
            rate = 10 * max(rates)
            settings.append({"params": list(model.naming.parameters()), "lr": rate, "rate": rate})
        if self.options.optimizer == "adam":
            return Adam(settings, lr=1e-3)
        return SGD(settings, lr=1e-3, momentum=self.options.momentum[0])

    def schedule(self, optimizer: Optimizer, step: int) -> None:
        """Decay the rates by epochs or a cosine; raise the momentum linearly."""
        o, part = self.options, step / max(1, self.steps - 1)
        factor = o.epoch_factor ** (step // o.epoch) if o.epoch else 1.0
        if o.cosine:
            factor *= 0.5 * (1 + float(torch.cos(torch.tensor(part * torch.pi))))
        factor *= min(1.0, (step + 1) / o.warmup) if o.warmup else 1.0
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * factor
            if o.optimizer == "sgd":
                group["momentum"] = o.momentum[0] + (o.momentum[1] - o.momentum[0]) * part

    def loss(self, generator: torch.Generator) -> Tensor:
        """Return the regularised cross-entropy of a batch (the L2 is the optimiser's)."""
        if self.options.pairs == "balanced":
            return self._balanced(generator)
        return self._all_pairs(generator)

    def _balanced(self, generator: torch.Generator) -> Tensor:
        model = self.model
        assert isinstance(model, _Trained)
        character, drawer, same = balanced_pairs(self.training, self.options.batch, generator)
        pixels = self._pixels(character.T.flatten(), drawer.T.flatten(), generator)
        first, second = pixels.chunk(2)
        return cross_entropy(model.network(first, second), same.float())

    def _all_pairs(self, generator: torch.Generator) -> Tensor:
        model, o = self.model, self.options
        assert isinstance(model, _Trained)
        groups = o.batch // (2 * o.members)
        character, drawer = rivals(self.training, groups, o.members, generator)
        name = character.flatten()
        pixels = self._pixels(name, drawer.flatten(), generator)
        features = model.network.tower(pixels).float()
        i, j = torch.triu_indices(len(name), len(name), 1)
        logits = model.network.all_pairs(features, features)[i, j]
        same = (name[i] == name[j]).float()
        # same and different pairs weigh alike, however rare the same ones are
        weight = torch.where(same > 0, 0.5 / same.sum(), 0.5 / (1 - same).sum())
        loss = (cross_entropy(logits, same, reduction="none") * weight).sum()
        if model.naming is not None:
            loss = loss + o.naming * model.naming(features - 0.5, name)
        return loss

    def _pixels(self, character: Tensor, drawer: Tensor, generator: torch.Generator) -> Tensor:
        ink = self.training.pixels(character, drawer)
        ink = koch_affine(ink, generator) if self.options.distort else ink
        return ink.to(next(self.model.parameters()).device)

    @torch.no_grad()
    def encode_runs(self, network: KochSiamese, runs: Runs) -> Tensor:
        """Return the features (runs, 2, ways, 4096) of the drawings of `runs`, on the processor."""
        device = network.alpha.device
        return runs.encode(self.validation, lambda ink: network.tower(ink.to(device)).float().cpu())

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return the accuracy of 20-way one-shot trials on the validation alphabets."""
        assert isinstance(model, _Trained)
        network = model.network.eval()
        features = self.encode_runs(network, self.runs)
        alpha = network.alpha.detach().cpu()
        # the bias beta moves all scores alike: the best stays the best
        return {"one_shot": self.runs.accuracy(features, lambda q, s: weighted_l1(q, s, alpha))}


def _each(values: list[float]) -> list[float]:
    return values * LAYERS if len(values) == 1 else values


def balanced_pairs(
    characters: Characters, pairs: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw pairs, half of one character by two drawers, alphabets equally often.

    Returns
    -------
    tuple of Tensor
        Character and drawer, each (pairs, 2), and whether the pair is the same, (pairs,).
    """
    alphabets = torch.from_numpy(characters.alphabet)
    names, counts = torch.unique(alphabets, return_counts=True)
    weight = (1.0 / counts[torch.searchsorted(names, alphabets)]).float()
    first = torch.multinomial(weight, pairs, replacement=True, generator=generator)
    other = torch.multinomial(weight, pairs, replacement=True, generator=generator)
    same = torch.arange(pairs) % 2 == 0
    # a different character: step on where chance gave the same one
    other = torch.where(other == first, (other + 1) % len(characters), other)
    second = torch.where(same, first, other)
    drawers = torch.rand(pairs, characters.drawers, generator=generator).argsort(1)[:, :2]
    return torch.stack([first, second], 1), drawers, same


def build(recipe: Recipe, loop: LoopConfig, root: Path) -> tuple[KochTask, Finish]:
    """Build the task of a recipe, and what turns its weights into an entry of the zoo."""
    options = read_options(KochOptions, recipe)
    data = load_background(root, KochTask.size, named(recipe), options.margin)
    task = KochTask(data.training, data.validation, options, loop.steps, loop.seed)

    def finish() -> Trained:
        network = task.network.eval().cpu()
        runs = Runs.draw(data.validation, 2000, 20, seed=1)
        with torch.no_grad():
            calibration = runs.calibration(task.encode_runs(network, runs), network.all_pairs)
        return Trained(
            method="koch_siamese",
            backbone="koch",
            calibration=calibration,
            files=data.files,
            network=network,
            input={"margin": options.margin},
        )

    return task, finish
