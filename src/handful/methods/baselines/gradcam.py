"""Grad-CAM of the class that a linear head predicts: what an image shows, whatever it is like.

R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based
localization", 2017, equations 1 and 2. It explains a classifier, so a network of embeddings first
gets one; each image is then explained by itself, without the one that it is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from handful.backbones.cut import LinearHead
from handful.methods.similarity_attention import Pooling, weighted


@dataclass(frozen=True, eq=False)
class LinearClassifier:
    """Logits V z + c of the vectors that a network gives.

    Attributes
    ----------
    weight : Tensor
        V, (classes, D).
    bias : Tensor
        c, (classes,).
    """

    weight: Tensor
    bias: Tensor

    @classmethod
    def fit(cls, vectors: Tensor, labels: Sequence[str]) -> LinearClassifier:
        """Fit a logistic regression with L2.

        Parameters
        ----------
        vectors : Tensor
            z, (N, D), of any length; what they are divided by is their mean length.
        labels : sequence of str
            The class of each, two classes or more.

        Examples
        --------
        >>> head = LinearClassifier.fit(torch.tensor([[3.0, 0.0], [0.0, 3.0], [2.0, 1.0]]), "aba")
        >>> head.predict(torch.tensor([[5.0, 0.0], [0.0, 4.0]])).tolist()
        [0, 1]
        """
        from sklearn.linear_model import LogisticRegression

        scale = float(torch.linalg.vector_norm(vectors, dim=1).mean())
        found = LogisticRegression(C=10.0, max_iter=1000).fit(
            (vectors / scale).double().numpy(), np.asarray(list(labels))
        )
        weight, bias = torch.from_numpy(found.coef_), torch.from_numpy(found.intercept_)
        if len(weight) == 1:  # two classes: the one logit speaks for the second
            weight, bias = torch.cat([-weight, weight]), torch.cat([-bias, bias])
        return cls((weight / scale).to(vectors.dtype), bias.to(vectors.dtype))

    def logits(self, vectors: Tensor) -> Tensor:
        """Map vectors (N, D) to logits (N, classes)."""
        return torch.addmm(self.bias, vectors, self.weight.mT)

    def predict(self, vectors: Tensor) -> Tensor:
        """Return the number of the best class of each, (N,)."""
        return self.logits(vectors).argmax(1)


def gradcam(
    maps: Tensor,
    vectors: Tensor,
    classifier: LinearClassifier,
    head: LinearHead,
    pooling: Pooling = "mean",
) -> Tensor:
    """Return the map of each image's predicted class, in closed form.

    Parameters
    ----------
    maps, vectors : Tensor
        (N, C, H, W), and (N, D): what `head` makes of them.
    classifier : LinearClassifier
        The classifier on top.
    head : LinearHead
        The part of the network between map and vector.
    pooling : {"mean", "local"}
        ``mean`` is Grad-CAM.

    Returns
    -------
    Tensor
        (N, H, W), not negative: ReLU(sum_k GAP(d y_c / d A_k) A_k).
    """
    gradient = classifier.weight[classifier.predict(vectors)]
    size = (maps.shape[2], maps.shape[3])
    return weighted(maps, head.adjoint(gradient, size), pooling)
