"""The Huffman tree of a vocabulary, which the hierarchical softmax uses."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class HuffmanTree:
    """The Huffman tree of a vocabulary: each word is a leaf, and frequent words have short paths.

    The V - 1 inner nodes are numbered from 0 in the order of their creation; the last one is the
    root. Ties between equal counts are broken as in word2vec's code.

    Parameters
    ----------
    counts : (V,)
        How often each word occurs.

    Attributes
    ----------
    starts : int64 (V + 1,)
        The path of word w is ``nodes[starts[w] : starts[w + 1]]``.
    nodes : int32 (total length of all paths,)
        The inner nodes on each path, beginning at the root.
    codes : int8, same shape as `nodes`
        The branch taken at each of these nodes: 0 to the child with the smaller count, 1 to the
        other.
    lengths : int64 (V,)
        The number of inner nodes on each path.

    Raises
    ------
    ValueError
        There are fewer than two words.

    References
    ----------
    Huffman (1952), A method for the construction of minimum-redundancy codes. Two sorted lists take
    the place of a heap (van Leeuwen 1976).
    """

    def __init__(self, counts: NDArray[Any]) -> None:
        if len(counts) < 2:
            raise ValueError(f"{len(counts)} words: a tree needs at least two")
        parents, codes = _build(counts)
        self.starts, self.nodes, self.codes = _paths(parents, codes)
        self.lengths = np.diff(self.starts)

    def leaf_positions(self) -> NDArray[np.int32]:
        """Return the position of each word's leaf among all leaves, int32 (V,).

        The leaves are in the order of their codes: all leaves below the branch of code 0 of a node
        come before those below its branch of code 1. So the leaves below a node are consecutive.
        """
        taken = self.codes == 1
        skipped = np.bincount(self.nodes[~taken], minlength=len(self.lengths) - 1)
        word = np.repeat(np.arange(len(self.lengths)), self.lengths)[taken]
        before = np.bincount(word, skipped[self.nodes[taken]], minlength=len(self.lengths))
        return before.astype(np.int32)


def _build(counts: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Build the Huffman tree of V words from the counts of the words.

    Both results begin with the V leaves, in the order of the words, followed by the V - 1 inner
    nodes.

    Returns
    -------
    parents : int32 (2 V - 1,)
        The parent of each node, as the number of an inner node, from 0; -1 for the root.
    codes : int8 (2 V - 1,)
        The branch that leads to each node from its parent, 0 or 1; 0 for the root.
    """
    size = len(counts)
    # Descending, equal counts in the order of their words. Unsigned counts have no negatives.
    order = size - 1 - np.argsort(counts[::-1], kind="stable")[::-1]
    ids = order.tolist()
    leaves = counts[order].tolist()
    inner: list[Any] = []
    parents, codes = np.full(2 * size - 1, -1, np.int32), np.zeros(2 * size - 1, np.int8)
    leaf, node = size - 1, 0  # the rarest leaf, and the oldest inner node, not yet used
    for made in range(size - 1):
        # Of equal counts, an inner node is merged before a leaf, an older inner node before a newer
        # one, and a later word before an earlier one.
        children = []
        for code in (0, 1):
            if leaf >= 0 and (node >= len(inner) or leaves[leaf] < inner[node]):
                child, count, leaf = ids[leaf], leaves[leaf], leaf - 1
            else:
                child, count, node = size + node, inner[node], node + 1
            parents[child], codes[child] = made, code
            children.append(count)
        inner.append(sum(children))
    return parents, codes


def _paths(
    parents: NDArray[np.int32], codes: NDArray[np.int8]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int8]]:
    """Return the path from the root of a Huffman tree to each of its V words.

    Parameters
    ----------
    parents, codes : (2 V - 1,)
        The parent of each node, and the branch from the parent, 0 or 1. The V leaves come first,
        then the inner nodes. A parent is the number of an inner node, from 0; -1 for the root.

    Returns
    -------
    starts : int64 (V + 1,)
        The path of word w is ``nodes[starts[w] : starts[w + 1]]``.
    nodes : int32 (total length of all paths,)
        The numbers of the inner nodes on each path, beginning at the root.
    codes : int8, same shape as `nodes`
        The branch taken at each of these nodes.
    """
    size = (len(parents) + 1) // 2
    depths = np.zeros(len(parents), np.int64)
    for node in range(len(parents) - 2, size - 1, -1):  # parents are made after their children
        depths[node] = depths[size + parents[node]] + 1
    depths[:size] = depths[size + parents[:size]] + 1
    starts = np.concatenate([[0], np.cumsum(depths[:size])])
    nodes, path_codes = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int8)
    at, child = starts[1:] - 1, np.arange(size)
    while len(child):  # all paths at once, from the leaves up
        nodes[at], path_codes[at] = parents[child], codes[child]
        child = size + parents[child].astype(np.intp)
        below_root = parents[child] >= 0
        at, child = at[below_root] - 1, child[below_root]
    return starts, nodes, path_codes
