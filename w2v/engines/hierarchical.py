"""The training step of the hierarchical softmax in NumPy.

A tile is a number of consecutive center words. For each tile, the step selects the inner nodes of
the Huffman tree on the paths of the words to predict.
"""

import numpy as np

from w2v.engines import Task
from w2v.engines.tiles import Columns, LogisticStep
from w2v.huffman import HuffmanTree
from w2v.sampling import Key
from w2v.sums import F32, I32


class HierarchicalStep(LogisticStep):
    """NumPy training step of the hierarchical softmax: one update of the model by one batch."""

    def __init__(self, task: Task, words: int | None = None) -> None:
        super().__init__(task, words)
        self.tree = HuffmanTree(task.counts)

    def columns(self, words: I32, weights: F32, key: Key, first: int) -> Columns:  # noqa: ARG002
        """Return the tree nodes with which each tile is scored, and the weight of each score.

        A tile is `CENTERS` consecutive center words. A column of the result stands for an inner
        node on the Huffman tree path of a word to predict, and for a branch of this node, 0 or 1.
        Each center word has a score in each column. The weight of a score is the summed weight of
        the center word's pairs with words whose paths take this branch. Columns of branch 0 are the
        positive examples, and come first. Unused columns have weight 0.

        Parameters
        ----------
        words : int32 (B, W)
            For each of the B tiles, the W words that may be predicted.
        weights : float32 (B, CENTERS, W)
            The weight of the pair of each center word and each of these words; 0 for no pair.
        key, first
            Not used, because nothing is drawn at random.
        """
        tree, (tiles, slots) = self.tree, words.shape
        lengths = tree.lengths[words.ravel()]
        slot = np.repeat(np.arange(tiles * slots), lengths)
        before = np.cumsum(lengths) - lengths
        step = np.arange(len(slot)) + np.repeat(tree.starts[words.ravel()] - before, lengths)
        # One number for each (tile, code, node); sorted, those of a tile and code are consecutive.
        inner = len(tree.lengths) - 1
        group = slot // slots * 2 + tree.codes[step]
        columns, place = np.unique(group * inner + tree.nodes[step], return_inverse=True)
        group = columns // inner
        sizes = np.bincount(group, minlength=2 * tiles)
        rank = np.arange(len(columns)) - (np.cumsum(sizes) - sizes)[group]
        positives = int(sizes[::2].max())
        column = rank + positives * (group % 2)
        size = positives + int(sizes[1::2].max())
        rows = np.zeros((tiles, size), np.int32)
        rows[group // 2, column] = columns % inner
        # Whether each (node, code) is on the path of each word: 0 or 1.
        paths = self.buffers.get("paths", tiles, slots, size)
        paths[:] = 0
        paths.reshape(tiles * slots, size)[slot, column[place]] = 1
        every = self.buffers.get("weights", tiles, weights.shape[1], size)
        np.matmul(weights, paths, out=every)
        return Columns(rows, every, positives)
