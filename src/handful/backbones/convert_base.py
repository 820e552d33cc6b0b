"""Make the weights of `handful-base` from those of its source network.

    python -m handful.backbones.convert_base mobilenetv2_100.safetensors handful-base.safetensors

The source is MobileNetV2 as timm names its tensors, with a classifier. Every batch norm is
folded into the convolution before it, and the classifier is replaced by a projection on its own
leading singular vectors; both in double precision, rounded once to half. No photo is used, and
the result is the same bit for bit.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from handful import zoo
from handful.backbones.handful_base import FEATURES, STAGES
from handful.errors import HandfulError, InputError
from handful.files import replacing, sha256

EPSILON = 1e-5  # of the source's batch norms

Array = NDArray[np.float64]


def convert(source: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Fold and project, in double precision.

    Parameters
    ----------
    source : mapping of str to Tensor
        The state of timm's ``mobilenetv2_100`` with any number of classes from 512 on.

    Returns
    -------
    dict of str to Tensor
        The state of `handful_base.Trunk`, float64; the bundled file is this as float16.

    Raises
    ------
    InputError
        A tensor is missing.
    """
    arrays: dict[str, Array] = {}
    try:
        for target, convolution, norm in layers():
            weight = source[f"{convolution}.weight"].double().numpy()
            statistics = [source[f"{norm}.{part}"].double().numpy() for part in _STATISTICS]
            arrays[f"{target}.weight"], arrays[f"{target}.bias"] = fold(weight, *statistics)
        classifier = source["classifier.weight"].double().numpy()
    except KeyError as error:
        raise InputError(f"the source is no MobileNetV2 of timm: {error} is missing") from None
    arrays["projection.weight"] = leading_directions(classifier, FEATURES)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


_STATISTICS = ("weight", "bias", "running_mean", "running_var")


def layers() -> Iterator[tuple[str, str, str]]:
    """Give every convolution's name here, and its and its batch norm's in the source."""
    yield "stem", "conv_stem", "bn1"
    number = 0
    for stage, (expansion, _, repeats, _) in enumerate(STAGES):
        names = ("conv_pw", "conv_dw", "conv_pwl") if expansion > 1 else ("conv_dw", "conv_pw")
        parts = ("expand", "depthwise", "project")[-len(names) :]
        for block in range(repeats):
            place = f"blocks.{stage}.{block}"
            for index, (part, name) in enumerate(zip(parts, names, strict=True), 1):
                yield f"blocks.{number}.{part}", f"{place}.{name}", f"{place}.bn{index}"
            number += 1
    yield "head", "conv_head", "bn2"


def fold(
    weight: Array, scale: Array, shift: Array, mean: Array, variance: Array
) -> tuple[Array, Array]:
    """Return the convolution with bias that equals a convolution and its batch norm.

    Parameters
    ----------
    weight : ndarray
        (outputs, inputs, height, width) of the convolution, which has no bias.
    scale, shift, mean, variance : ndarray
        (outputs,) of the batch norm: scale (y - mean) / sqrt(variance + epsilon) + shift.

    Examples
    --------
    >>> one = np.ones(1)
    >>> weight, bias = fold(np.ones((1, 1, 1, 1)), 2 * one, 3 * one, one, one - EPSILON)
    >>> weight.item(), bias.item()
    (2.0, 1.0)
    """
    factor = scale / np.sqrt(variance + EPSILON)
    return weight * factor[:, None, None, None], shift - mean * factor


def leading_directions(classifier: Array, count: int) -> Array:
    """Return the right singular vectors of a classifier's centred rows, the leading ones.

    What all classes share says nothing about any of them, so their mean is taken away; the
    directions in which classes differ most are kept.

    Parameters
    ----------
    classifier : ndarray
        (classes, features).
    count : int
        How many directions to keep.

    Returns
    -------
    ndarray
        (count, features), orthonormal rows; the largest component of each is positive.
    """
    vectors = np.linalg.svd(classifier - classifier.mean(0), full_matrices=False)[2][:count]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1)
    return np.ascontiguousarray(vectors * np.sign(largest))


def main(arguments: list[str] | None = None) -> int:
    """Read the source, write the weights, print their digest."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("source", metavar="FILE", help="MobileNetV2, .safetensors or .pth")
    parser.add_argument("out", metavar="OUT", help="the weights to write, .safetensors")
    options = parser.parse_args(arguments)
    try:
        write(options.source, options.out)
    except HandfulError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{sha256(options.out)}  {options.out}")
    return 0


def write(source: str | os.PathLike[str], out: str | os.PathLike[str]) -> None:
    """Convert the file `source` to the file `out`."""
    tensors = {name: value.half() for name, value in convert(zoo.load_weights(source)).items()}
    with replacing(out) as part:
        save_file(tensors, part)


if __name__ == "__main__":
    sys.exit(main())
