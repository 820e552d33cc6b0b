"""Grad-CAM in closed form against its definition by autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from handful.backbones.cut import MeanHead
from handful.methods.baselines.gradcam import LinearClassifier, gradcam

GENERATOR = torch.Generator().manual_seed(0)


def test_it_is_the_gradient_of_the_predicted_logit() -> None:
    maps = torch.randn(4, 6, 3, 5, generator=GENERATOR, dtype=torch.float64).requires_grad_()
    head = MeanHead(torch.randn(7, 6, generator=GENERATOR, dtype=torch.float64))
    classifier = LinearClassifier(
        torch.randn(3, 7, generator=GENERATOR, dtype=torch.float64),
        torch.randn(3, generator=GENERATOR, dtype=torch.float64),
    )
    vectors = head(maps)
    logits = vectors @ classifier.weight.T + classifier.bias
    (gradient,) = torch.autograd.grad(logits.max(1).values.sum(), maps)
    alpha = gradient.mean((2, 3))
    expected = torch.relu(torch.einsum("nk,nkhw->nhw", alpha, maps))
    torch.testing.assert_close(gradcam(maps, vectors, classifier, head), expected)
    assert len(set(classifier.predict(vectors).tolist())) > 1


@pytest.mark.parametrize("classes", [2, 3])
def test_the_head_is_scikit_learns(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels = [f"c{i % classes}" for i in range(60)]
    vectors = (
        30 * rng.normal(size=(60, 4)) + 40 * rng.normal(size=(classes, 4))[np.arange(60) % classes]
    )
    found = LinearClassifier.fit(torch.from_numpy(vectors), labels)
    scaled = vectors / np.linalg.norm(vectors, axis=1).mean()
    own = LogisticRegression(C=10.0, max_iter=1000).fit(scaled, labels)
    predicted = [own.classes_[i] for i in found.predict(torch.from_numpy(vectors))]
    assert predicted == own.predict(scaled).tolist()
    logits = found.logits(torch.from_numpy(vectors)).numpy()
    gaps = own.decision_function(scaled)
    if classes == 2:
        np.testing.assert_allclose(logits[:, 1] - logits[:, 0], 2 * gaps, rtol=1e-6)
    else:
        np.testing.assert_allclose(logits, gaps, rtol=1e-6)
