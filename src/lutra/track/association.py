"""Probabilities of hypotheses that exclude each other where they share a lesion or a region, and which of them to believe.

Loopy belief propagation on the factor graph with one factor "at most one of these" per lesion and per region. For one-to-one
hypotheses this is the data association of [williams2014], which always converges; splits and merges only lengthen the rows.

References
----------
[williams2014] Williams, Lau, IEEE Trans Aerosp Electron Syst 50:2942.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.track.spots import Array

Nodes = npt.NDArray[np.intp]
ROUNDS, TOLERANCE, DAMPING = 100, 1e-3, 0.2
LOG_LIMITS = -25.0, 30.0
"""Beyond these a hypothesis is as good as false or true; the upper one also keeps differences of sums exact. [log 1]"""


@frozen(eq=False)
class Beliefs:
    """Probabilities.

    Parameters
    ----------
    hypothesis
        Of every hypothesis. [1] (h,)
    alone
        Of every node that none of its hypotheses holds. [1] (nodes,)
    messages
        Where the next call may start from. (k, h)
    """

    hypothesis: Array
    alone: Array
    messages: Array


def beliefs(nodes: Nodes, log_weight: Array, n_nodes: int, start: Array | None = None) -> Beliefs:
    """Probability of every hypothesis, given that no node has more than one.

    Parameters
    ----------
    nodes
        Nodes of every hypothesis; `n_nodes` stands for none. (k, h)
    log_weight
        Log likelihood ratio of a hypothesis against all its nodes being alone. (h,)
    start
        Messages of an earlier call with the same nodes.
    """
    weight = np.exp(np.clip(log_weight, *LOG_LIMITS))
    none = nodes == n_nodes
    received = np.ones(nodes.shape) if start is None else np.array(start)
    belief = np.zeros(len(weight))
    for _ in range(ROUNDS):
        total, sent = _sent(weight, received, nodes, none, n_nodes)
        fresh = 1 / (1 + np.maximum(total[nodes] - sent, 0))
        fresh[none] = 1
        received = received**DAMPING * fresh ** (1 - DAMPING)  # loops through splits and merges may swing
        before, ratio = belief, weight * received.prod(axis=0)
        belief = ratio / (1 + ratio)
        if np.abs(belief - before).max(initial=0) < TOLERANCE:
            break
    total, _ = _sent(weight, received, nodes, none, n_nodes)
    return Beliefs(belief, 1 / (1 + total[:n_nodes]), received)


def _sent(
    weight: Array, received: Array, nodes: Nodes, none: npt.NDArray[np.bool_], n_nodes: int
) -> tuple[Array, Array]:
    """Sum over each node what its hypotheses tell it; the sums, and the messages."""
    sent = weight * received.prod(axis=0) / received
    sent[none] = 0
    total: Array = np.bincount(nodes.ravel(), sent.ravel(), n_nodes + 1).astype(np.float64)
    return total, sent


def believed(found: Beliefs, nodes: Nodes) -> list[int]:
    """Hypotheses to act on, the most probable first.

    None shares a node with another. Each is likelier than that one of its nodes is alone: a region that is surely one of two
    lesions goes to one of them, though either may as well be without it.
    """
    alone = np.append(found.alone, 1.0)[nodes].min(axis=0)
    likely = np.flatnonzero(found.hypothesis > alone)
    taken: set[int] = set()
    chosen = []
    for h in likely[np.argsort(-found.hypothesis[likely], kind="stable")]:
        own = set(nodes[:, h].tolist()) - {len(found.alone)}
        if not taken & own:
            taken |= own
            chosen.append(int(h))
    return chosen
