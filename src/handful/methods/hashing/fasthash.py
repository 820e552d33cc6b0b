"""FastHash: codes inferred block by block with graph cuts, hash functions of boosted trees.

G. Lin, C. Shen, Q. Shi, A. van den Hengel, D. Suter, "Fast supervised hashing with decision trees
for high-dimensional data", CVPR 2014: section 2.1 reduces a bit to a binary quadratic problem
(equation 7), section 2.2 solves it block by block (algorithm 1), section 2.3 learns the trees.
The loss is the one of KSH, as in equation 5; the blocks are the classes, within which all pairs
attract one another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from handful.methods.hashing.base import Bits, Floats, Hasher, Indices, labelled

if TYPE_CHECKING:
    from sklearn.ensemble import GradientBoostingClassifier

# capacities of the cut are whole numbers: what the largest becomes
_LARGEST = 1 << 20


class FastHash(Hasher):
    """Bits learned one after the other, each on what the earlier ones left over.

    Parameters
    ----------
    n_bits, seed : int
        See `Hasher`.
    trees, depth : int
        Of a bit's ensemble.
    examples : int
        Examples at most of which all pairs are looked at; drawn where there are more.
    sweeps : int
        Passes over the blocks.
    """

    name = "fasthash"
    supervised = True

    def __init__(
        self,
        n_bits: int = 16,
        seed: int = 0,
        trees: int = 100,
        depth: int = 4,
        examples: int = 1000,
        sweeps: int = 2,
    ) -> None:
        super().__init__(n_bits, seed)
        self.trees = trees
        self.depth = depth
        self.examples = examples
        self.sweeps = sweeps

    def fit(self, features: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn from features (N, D) and the class of each, (N,)."""
        rows, number = labelled(features, labels, self.name)
        rng = np.random.default_rng(self.seed)
        drawn = np.sort(rng.permutation(len(rows))[: self.examples])
        rows, number = rows[drawn], number[drawn]
        left = self.n_bits * np.where(number[:, None] == number, 1.0, -1.0)
        self.ensembles_: list[GradientBoostingClassifier] = []
        for bit in range(self.n_bits):
            code = infer(left, number, rng, self.sweeps)
            self.ensembles_.append(self._learn(rows, code, bit))
            hashed = np.where(self.ensembles_[-1].predict(rows) > 0, 1.0, -1.0)
            left -= np.outer(hashed, hashed)
        return self

    def bits(self, features: Floats) -> Bits:
        """Return the bits (N, n_bits) of some features (N, D)."""
        return np.column_stack([trees.predict(features) > 0 for trees in self.ensembles_])

    def _learn(self, rows: Floats, code: Floats, bit: int) -> GradientBoostingClassifier:
        """Boost trees; each split looks at a few features only, as the paper's LazyBoost does."""
        from sklearn.ensemble import GradientBoostingClassifier

        return GradientBoostingClassifier(
            n_estimators=self.trees,
            max_depth=self.depth,
            max_features="sqrt",
            random_state=np.random.RandomState([self.seed, bit]),
        ).fit(rows, code)


def infer(left: Floats, number: Indices, rng: np.random.Generator, sweeps: int = 2) -> Floats:
    """Make h^T `left` h large over codes h (n,) in {-1, 1}, with both signs in it.

    It starts from the signs of the leading eigenvector; then the code of each class is set to the
    best one while the others stay.
    """
    vector = np.linalg.eigh(left)[1][:, -1]
    code = np.where(vector > 0, 1.0, -1.0)
    if np.abs(code.sum()) == len(code):  # a constant eigenvector: put half of the classes apart
        half = rng.permutation(number.max() + 1) < (number.max() + 1) // 2
        code = np.where(half[number], 1.0, -1.0)
    for _ in range(sweeps):
        for block in rng.permutation(number.max() + 1):
            inside = np.flatnonzero(number == block)
            outside = np.flatnonzero(number != block)
            pull = 2 * left[np.ix_(inside, outside)] @ code[outside]
            found = code.copy()
            found[inside] = best_block(left[np.ix_(inside, inside)], pull)
            if np.abs(found.sum()) < len(found):
                code = found
    return code


def best_block(attraction: Floats, pull: Floats) -> Floats:
    """Return the code h (n,) in {-1, 1} with the largest h^T A h + pull^T h, by a minimum cut.

    Parameters
    ----------
    attraction : ndarray
        A (n, n), symmetric; off its diagonal at least 0, or the cut would not be one.
    pull : ndarray
        (n,).
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    count = len(pull)
    source, sink = count, count + 1
    capacity = np.zeros((count + 2, count + 2))
    # a cut pair costs 4 A_ij (both orders, from +A to -A), a sign against the pull 2 |pull|
    capacity[:count, :count] = 4 * np.maximum(attraction, 0)
    np.fill_diagonal(capacity, 0)
    capacity[source, :count] = 2 * np.maximum(pull, 0)
    capacity[:count, sink] = 2 * np.maximum(-pull, 0)
    graph = csr_matrix(np.rint(capacity * (_LARGEST / max(capacity.max(), 1))).astype(np.int32))
    flow = maximum_flow(graph, source, sink).flow
    rest = csr_matrix(graph - flow)
    rest.data = np.maximum(rest.data, 0)
    rest.eliminate_zeros()
    reached = breadth_first_order(rest, source, return_predecessors=False)
    code = np.full(count + 2, -1.0)
    code[reached] = 1.0
    return code[:count]
