"""The naming loss against its equation."""

from __future__ import annotations

import numpy as np
import torch

from handful.training.naming import Naming


def test_loss_is_the_cross_entropy_of_scaled_cosines() -> None:
    torch.manual_seed(0)
    naming = Naming(5, 7, scale=12.0)
    features, name = torch.randn(4, 5), torch.tensor([0, 6, 3, 3])
    x, w = features.double().numpy(), naming.proxies.detach().double().numpy()
    cosines = (x @ w.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(w, axis=1)
    logits = 12 * cosines
    expected = np.mean(np.logaddexp.reduce(logits, 1) - logits[np.arange(4), name.numpy()])
    assert abs(float(naming(features, name).detach()) - expected) < 1e-5


def test_lengths_do_not_matter() -> None:
    torch.manual_seed(1)
    naming = Naming(5, 7)
    features, name = torch.randn(4, 5), torch.tensor([0, 6, 3, 3])
    before = naming(features, name)
    with torch.no_grad():
        naming.proxies *= 3
    torch.testing.assert_close(naming(7 * features, name), before)
