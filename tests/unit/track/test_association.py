"""Probabilities of hypotheses that exclude each other, against counting every consistent set of them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from lutra.track.association import beliefs, believed


def counted(
    nodes: npt.NDArray[np.intp], log_weight: npt.NDArray[np.float64], n_nodes: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Exact probabilities: the weight of every set in which no node has two hypotheses."""
    total, holds, alone = 0.0, np.zeros(len(log_weight)), np.zeros(n_nodes)
    own = [set(column[column < n_nodes].tolist()) for column in nodes.T]
    for size in range(len(own) + 1):
        for chosen in combinations(range(len(own)), size):
            taken = [v for h in chosen for v in own[h]]
            if len(taken) == len(set(taken)):
                weight = np.exp(sum(log_weight[h] for h in chosen))
                total += weight
                holds[list(chosen)] += weight
                alone[[v for v in range(n_nodes) if v not in taken]] += weight
    return holds / total, alone / total


def test_exact_where_there_are_no_loops() -> None:
    """A chain: lesion 0 with region 3; 3 with 1; 1 with 4; 4 with 2."""
    nodes = np.array([[0, 1, 1, 2], [3, 3, 4, 4], [5, 5, 5, 5]])
    weight = np.array([1.0, 0.5, 2.0, -1.0])
    found, exact = beliefs(nodes, weight, 5), counted(nodes, weight, 5)
    np.testing.assert_allclose(found.hypothesis, exact[0], atol=2e-3)
    np.testing.assert_allclose(found.alone, exact[1], atol=2e-3)


def test_close_where_there_are() -> None:
    """Twenty crowds of four lesions and four regions, some split or merged. Loops cost 0.02 on average.

    What is surely so is believed in all of them.
    """
    off = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        pairs = [(i, 4 + j, 8) for i in range(4) for j in range(4) if rng.random() < 0.5]
        threes = [(0, 4, 5), (2, 6, 7), (0, 1, 4), (2, 3, 7)]
        nodes = np.array(pairs + threes).T
        weight = rng.normal(1, 3, nodes.shape[1])
        found, exact = beliefs(nodes, weight, 8), counted(nodes, weight, 8)
        off.append(np.abs(found.hypothesis - exact[0]).mean())
        assert set(np.flatnonzero(exact[0] > 0.8)) <= set(believed(found, nodes))
    assert np.mean(off) < 0.03


def test_no_node_is_used_twice() -> None:
    rng = np.random.default_rng(1)
    nodes = np.array([(i, 10 + j, 20) for i in range(10) for j in range(10)]).T
    chosen = believed(found := beliefs(nodes, rng.normal(0, 2, 100), 20), nodes)
    used = nodes[:2, chosen].ravel()
    assert len(set(used.tolist())) == len(used)
    assert np.all(found.hypothesis[chosen] > 0)


def test_a_region_that_is_one_of_two_lesions_is_not_left_alone() -> None:
    nodes = np.array([[0, 1], [2, 2], [3, 3]])
    found = beliefs(nodes, np.array([3.0, 3.0]), 3)
    np.testing.assert_allclose(found.hypothesis, np.exp(3) / (1 + 2 * np.exp(3)), atol=1e-3)
    assert believed(found, nodes) == [0]


def test_starting_from_earlier_messages_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    nodes = np.array([(i, 6 + j, 12) for i in range(6) for j in range(6)]).T
    weight = rng.normal(0, 2, 36)
    first = beliefs(nodes, weight, 12)
    again = beliefs(nodes, weight, 12, first.messages)
    np.testing.assert_allclose(again.hypothesis, first.hypothesis, atol=5e-3)
