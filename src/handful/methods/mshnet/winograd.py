"""A 3x3 convolution with a quarter of the multiplications.

A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks", 2015: F(4x4, 3x3), the
minimal filtering algorithm on tiles of 6x6 pixels that give 4x4 results each.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

# elements of the transformed tiles that are held at once
_BAND = 1 << 21
# fewer tiles do not pay for reading the larger weights
_FEW = 32

# the paper's B^T, G and A^T for the points 0, 1, -1, 2, -2
_DATA = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_FILTER = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_RESULT = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)


class WinogradConvolution(nn.Module):
    """A 3x3 convolution with stride 1 and padding 1, for inference on a CPU.

    The transformed weights take four times the memory. The plain convolution runs on small maps,
    and on other devices, whose libraries choose their own algorithm.

    Parameters
    ----------
    weight : Tensor
        (outputs, inputs, 3, 3).
    bias : Tensor, optional
        (outputs,).

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> x, weight = torch.randn(1, 4, 30, 26), torch.randn(5, 4, 3, 3)
    >>> found = WinogradConvolution(weight)(x)
    >>> torch.testing.assert_close(found, conv2d(x, weight, padding=1), rtol=0, atol=1e-4)
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        weight = weight.detach()
        outputs, inputs = weight.shape[:2]
        # both axes of a tile at once: the Kronecker product of a transform with itself
        to_filter = _square(_FILTER, torch.float64).to(weight.device)
        points = to_filter @ weight.double().reshape(outputs * inputs, 9).mT
        self.points = nn.Buffer(points.to(weight.dtype).reshape(36, outputs, inputs).contiguous())
        self.to_points = nn.Buffer(_square(_DATA, weight.dtype).to(weight.device))
        self.to_result = nn.Buffer(_square(_RESULT, weight.dtype).to(weight.device))
        self.weight = nn.Buffer(weight.clone())
        self.bias = nn.Buffer(weight.new_zeros(outputs) if bias is None else bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W)."""
        count, inputs, height, width = x.shape
        down, across = -(-height // 4), -(-width // 4)
        if x.device.type != "cpu" or count * down * across < _FEW:
            return conv2d(x, self.weight, self.bias, padding=1)
        x = pad(x, (1, 4 * across - width + 1, 1, 4 * down - height + 1))
        outputs = len(self.bias)
        out = x.new_empty(count, outputs, down, 4, across, 4)
        step = max(1, _BAND // (36 * inputs * count * across))
        for start in range(0, down, step):
            rows = min(step, down - start)
            band = x[:, :, 4 * start : 4 * (start + rows) + 2]
            # (N, inputs, rows, across, 6, 6) is a view; one copy brings the tiles' pixels forward
            tiles = band.unfold(2, 6, 4).unfold(3, 6, 4).permute(4, 5, 1, 0, 2, 3)
            # each step's input is let go before the next one's result is there
            products = self.points @ (self.to_points @ tiles.reshape(36, -1)).view(36, inputs, -1)
            found = (self.to_result @ products.view(36, -1)).view(
                4, 4, outputs, count, rows, across
            )
            del products
            out[:, :, start : start + rows] = found.permute(3, 2, 4, 0, 5, 1)
        out += self.bias[:, None, None, None, None]
        return out.view(count, outputs, 4 * down, 4 * across)[:, :, :height, :width].contiguous()


def _square(matrix: tuple[tuple[float, ...], ...], dtype: torch.dtype) -> Tensor:
    """Return the Kronecker product of a matrix with itself."""
    found = torch.tensor(matrix, dtype=torch.float64)
    return torch.kron(found, found).to(dtype)
