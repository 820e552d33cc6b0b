"""Beginning OSLSM where it already answers: both branches project onto the same axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from handful.errors import InputError
from handful.methods.oslsm.network import OSLSM


@torch.no_grad()
def begin_aligned(
    model: OSLSM, embeddings: Tensor, maps: Mapping[str, Tensor], seed: int = 0
) -> None:
    r"""Set the layers above the backbone so that a pixel's logit is its likeness to the support.

    The embedding of a residual network is the mean over the cells of its last map, so supports and
    pixels lie in one space. With a random projection :math:`A` of it (m, C) and the hashing
    :math:`H` (d, m), the conditioning branch begins as :math:`w = H A (e - \bar e)`, the features
    of a pixel as :math:`f = \mathrm{ReLU}(H A (x - \bar x))`. As the columns of :math:`H` are
    orthogonal, :math:`w^T H A x` is the inner product of the two projections; and as copies have
    either sign, what the ReLU takes from one it leaves in another. Other maps begin with little
    weight, the second layer as the identity.

    Parameters
    ----------
    model : OSLSM
        With its backbone's weights loaded.
    embeddings : Tensor
        (N, C) of masked supports, N from 2 up: their mean is taken off.
    maps : mapping of str to Tensor
        (N, C, h, w) of photos, likewise; and the logits of each by its own support begin with a
        deviation of about 1.
    seed : int
        Of the projection.

    Raises
    ------
    InputError
        No map whose mean could be the embedding.

    Examples
    --------
    >>> model = OSLSM("resnet18", ["stride32"], outputs=16, width=64).eval()
    >>> photos = torch.rand(3, 3, 64, 64)
    >>> maps = model.features(photos)
    >>> begin_aligned(model, model.embed(photos), maps)
    >>> with torch.no_grad():
    ...     state = model.conditioning(model.embed(photos))
    ...     logits = torch.einsum("nd,ndhw->nhw", state.weight, model.dense(maps))
    >>> 0.8 < float(logits.std()) < 1.2
    True
    """
    last = model.layers[-1]
    classify, dense = model.conditioning.classify, model.dense
    outputs, features = classify.weight.shape
    layers = {name: cast("nn.Conv2d", layer) for name, layer in dense.first.items()}
    if model.backbone.channels[last] != features or layers[last].kernel_size != (1, 1):
        raise InputError(
            f"{model.backbone.name}: its embedding is no mean of {last}, or the kernel is not 1;"
            " begin at random"
        )
    generator = torch.Generator().manual_seed(seed)
    axes = torch.randn(outputs, features, generator=generator).to(classify.weight) * features**-0.5
    copied = model.conditioning.hashing.dense_weight()[:-1] @ axes
    middle, ground = embeddings.mean(0), maps[last].mean((0, 2, 3))
    for layer in layers.values():
        layer.weight *= 0.1
    dense.second.weight.copy_(torch.eye(len(copied))[:, :, None, None])
    nn.init.zeros_(cast("Tensor", dense.second.bias))

    def put(gain: float) -> None:
        classify.weight.copy_(gain * axes)
        classify.bias.copy_(-gain * (axes @ middle))
        layers[last].weight.copy_(gain * copied[:, :, None, None])
        nn.init.zeros_(cast("Tensor", layers[model.layers[0]].bias)).sub_(gain * (copied @ ground))

    put(1.0)
    state = model.conditioning(embeddings)
    logits = torch.einsum("nd,ndhw->nhw", state.weight, dense(maps)) + state.bias[:, None, None]
    put(float(logits.std()) ** -0.5)
