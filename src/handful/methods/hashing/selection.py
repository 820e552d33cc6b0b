"""Which functions of a library make the code of a task: an L1-regularised SVM on bits of examples.

Y.-X. Wang, L. Gui, M. Hebert, "Few-shot hash learning for image retrieval", ICCV workshops 2017,
section 3.2. Bits lie function by function, a row of packed examples each, so that counts over
the examples of a class are an AND and a population count (section 4.2.2).
"""

from __future__ import annotations

import numpy as np

from handful.errors import InputError
from handful.methods.hashing.base import Codes, Floats, Indices, pack, unpack

# C grows by this factor until enough bits are active, and at most so often
_FACTOR, _STEPS = 2.0, 24


def select(
    rows: Codes,
    number: Indices,
    n_bits: int,
    prefilter: int | None = None,
    positive: int | None = None,
) -> Indices:
    """Select the bits that tell classes of examples apart.

    Parameters
    ----------
    rows : ndarray
        The bits of the examples, (functions, ceil(n / 8)) uint8, as `HashLibrary.rows` gives
        them.
    number : ndarray
        The class 0..C-1 of each example, (n,).
    n_bits : int
        k: how many to select.
    prefilter : int, optional
        Only so many functions, those with the largest :func:`pull`, go into the SVM; all by
        default.
    positive : int, optional
        Select for this class against all others; by default for all classes at once, by the
        largest weight over them.

    Returns
    -------
    ndarray
        Numbers of functions (k,), the one with the largest weight first.

    Raises
    ------
    InputError
        Fewer functions than bits.

    Notes
    -----
    C is doubled until k bits are active, and those with the k largest weights are taken. A few
    examples can be told apart by fewer than k bits at any C: these are taken then, and the rest
    is selected from what is left.
    """
    if len(rows) < n_bits:
        raise InputError(f"{n_bits} bits of a library of {len(rows)}; give fewer bits")
    classes = range(int(number.max()) + 1) if positive is None else [positive]
    targets = np.array([np.where(number == c, 1.0, -1.0) for c in classes])
    if len(targets) == 2:  # the two are one problem
        targets = targets[:1]
    strength = np.max([pull(rows, target) for target in targets], axis=0)
    left = np.argsort(-strength, kind="stable")
    left = left[: max(prefilter, n_bits)] if prefilter is not None else np.sort(left)
    chosen = np.empty(0, np.int64)
    while len(chosen) < n_bits:
        table = unpack(rows[left], len(number)).T.astype(np.float64)
        weights = active_weights(table, targets, n_bits - len(chosen))
        order = np.argsort(-weights, kind="stable")[: n_bits - len(chosen)]
        # bits that are the same for all examples weigh nothing: then the order of `left` decides
        useful = order[weights[order] > 0] if weights.any() else order
        chosen = np.concatenate([chosen, left[useful]])
        left = np.delete(left, useful)
    return chosen


def pull(rows: Codes, target: Floats) -> Floats:
    """Return how strongly an SVM without weights would pull at each bit, (functions,).

    With p examples of the class and q others, the gradient of the squared hinge at w = 0 and the
    best intercept is proportional to pq / n (mean over the class - mean over the others): two
    counts of an AND.

    Parameters
    ----------
    rows : ndarray
        (functions, ceil(n / 8)) packed.
    target : ndarray
        1 or -1 for each example, (n,).
    """
    right = target > 0
    inside = count_ones(rows & pack(right[None]))
    outside = count_ones(rows & pack(~right[None]))
    many, others = int(right.sum()), int((~right).sum())
    return np.asarray(np.abs(inside * others - outside * many) / len(target))


def count_ones(packed: Codes) -> Indices:
    """Count the ones in each row of packed bits.

    Examples
    --------
    >>> count_ones(np.array([[255, 1], [0, 0]], np.uint8)).tolist()
    [9, 0]
    """
    return np.asarray(np.bitwise_count(packed).sum(1, dtype=np.int64))


def active_weights(table: Floats, targets: Floats, wanted: int) -> Floats:
    """Fit L1-regularised SVMs, and raise C until enough bits have a weight.

    Parameters
    ----------
    table : ndarray
        Bits of the examples (n, functions) in {0, 1}.
    targets : ndarray
        (C, n): 1 or -1 for each example, an SVM for each row.
    wanted : int
        Bits that have to be active.

    Returns
    -------
    ndarray
        (functions,): the largest absolute weight over the SVMs, at the last C.
    """
    import warnings

    from scipy.sparse import csr_matrix
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC, l1_min_c

    if not (table != table[0]).any():
        return np.zeros(table.shape[1])
    bits = csr_matrix(table)
    least = min(l1_min_c(bits, target, loss="squared_hinge") for target in targets)
    found, before = np.zeros(table.shape[1]), -1
    for step in range(1, _STEPS + 1):
        machine = LinearSVC(
            penalty="l1",
            dual=False,
            C=least * _FACTOR**step,
            class_weight="balanced",
            max_iter=2000,
            tol=1e-3,
            random_state=0,
        )
        with warnings.catch_warnings():
            # at a large C the last digits come slowly; they do not change which bits are active
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = np.max([np.abs(machine.fit(bits, t).coef_[0]) for t in targets], axis=0)
        active = int((found > 0).sum())
        # from some C on, all examples are on their side, and more of it changes nothing
        if active >= wanted or (step > 12 and active <= before):
            break
        before = active
    return found
