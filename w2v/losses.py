"""A class of settings for each loss, and `LOSSES`, the table of these classes by name.

The formulas of the losses for one center word are in `w2v.reference`; this module also exports
them, for example as ``w2v.losses.naive_softmax``. The training steps are in ``w2v/engines``.

To add a loss, write its settings here as a subclass of `Loss`, and add the class to `LOSSES`. Add
the formula to `w2v.reference`, the training step to ``w2v/engines``, and the file
``conf/loss/<name>.yaml``. No other file has to be changed.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from w2v.huffman import HuffmanTree
from w2v.limits import at_least, finite, one_of
from w2v.reference import (
    cbow,
    hierarchical_softmax,
    naive_softmax,
    negative_sampling,
    sigmoid,
    skipgram,
    subword_skipgram,
)
from w2v.settings import Settings, setting

__all__ = [
    "LOSSES",
    "HierarchicalSoftmax",
    "Loss",
    "NegativeSampling",
    "Softmax",
    "cbow",
    "hierarchical_softmax",
    "naive_softmax",
    "negative_sampling",
    "sigmoid",
    "skipgram",
    "subword_skipgram",
]

Counts: TypeAlias = NDArray[np.floating[Any]]
"""How often each word occurs, or is expected to occur: (V,)."""


@dataclass(frozen=True)
class Loss(Settings, ABC):
    """Base class of the settings of a loss; a subclass has the settings of its loss as fields.

    Attributes
    ----------
    name
        The name of the loss in ``conf/loss`` and in lists of runs.
    step
        The class of the training step, a `w2v.engines.step.Step`, as the text ``module:class``. It
        is imported only when it is needed.
    changes_objective
        The names of the settings that change what the loss measures. Only runs with equal values of
        these settings have comparable losses.
    output_vectors
        What the output vectors represent: ``words``, or the ``inner nodes`` of a tree.
    has_state
        Whether the loss can be trained by an optimizer with a state, such as Adagrad.
    """

    name: ClassVar[str]
    step: ClassVar[str]
    changes_objective: ClassVar[tuple[str, ...]] = ()
    output_vectors: ClassVar[str] = "words"
    has_state: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """The main setting of the loss as a short text, for use in names of runs; may be empty.

        An example is ``k5``, for 5 noise words a pair.
        """
        return ""

    @property
    def step_depends_on_length(self) -> bool:
        """Whether, with this loss, training steps depend on the planned number of epochs.

        If so, the learning rate or the batch size can depend on this number, and adding epochs to a
        finished training differs from planning them from the start. The fall of the learning rate
        from ``train.lr`` to ``train.min_lr``, which is possible with any loss, is not considered.
        """
        return False

    def output_rows(self, words: int) -> int:
        """Return the number of output vectors for a vocabulary of `words` words."""
        return words

    @abstractmethod
    def scores(self, pairs: float, centers: int, counts: Counts) -> float:
        """Return the number of dot products of input and output vectors that one epoch computes.

        It is a measure of the cost of training.

        Parameters
        ----------
        pairs
            The number of predictions: with skip-gram, of (center, outside) pairs, each counted with
            its weight (`Architecture.pair_weights`); with CBOW, of center words.
        centers
            The number of distinct input vectors in each batch, summed over the batches. The exact
            softmax computes the scores of all V words once for each of them.
        counts : (V,)
            How often each word is expected to occur in the text after sub-sampling.
        """

    def scratch_bytes(self, words: int, dim: int) -> int:  # noqa: ARG002
        """Return the memory that a training step needs besides the model, in bytes; 0 if small.

        Parameters
        ----------
        words, dim
            The size of the vocabulary, and the length of a vector.
        """
        return 0


@dataclass(frozen=True)
class NegativeSampling(Loss):
    """The settings of negative sampling: a model learns to tell each word from K noise words.

    References
    ----------
    Mikolov et al. (2013), Distributed Representations of Words and Phrases, equation 4.
    """

    negatives: int = setting("K, noise words a pair", at_least(1), 5)
    exponent: float = setting("noise words are drawn by count ** exponent", finite(), 0.75)

    name = "negsample"
    step = "w2v.engines.negative_sampling:NegativeSamplingStep"
    changes_objective = ("negatives", "exponent")

    @property
    def label(self) -> str:
        return f"k{self.negatives}"

    def scores(self, pairs: float, centers: int, counts: Counts) -> float:  # noqa: ARG002
        return pairs * (self.negatives + 1)


@dataclass(frozen=True)
class Softmax(Loss):
    """The settings of the exact ("naive") softmax over the vocabulary."""

    batch_words: int | None = setting(
        "words whose gradient is summed before a step; null: a fiftieth of the text after "
        "sub-sampling, at least 2,000 where that makes 64 steps",
        at_least(1),
        None,
    )
    logits_mb: int = setting("the most memory for scores, in MiB", at_least(1), 256)
    optimizer: str = setting(
        "adagrad by rows, or sgd: with batch_words=1, a step for every window",
        one_of(("adagrad", "sgd")),
        "adagrad",
    )

    name = "softmax"
    step = "w2v.engines.softmax:SoftmaxStep"
    has_state = True

    @property
    def step_depends_on_length(self) -> bool:
        # The learning rate of Adagrad and the default batch size depend on the number of steps.
        return self.optimizer == "adagrad" or self.batch_words is None

    def scores(self, pairs: float, centers: int, counts: Counts) -> float:  # noqa: ARG002
        # One row of V scores serves all pairs of a center word.
        return float(centers * len(counts))

    def scratch_bytes(self, words: int, dim: int) -> int:
        # The gradients of both matrices, the parts they are summed from, and the logits.
        return 4 * words * dim * np.dtype(np.float32).itemsize + self.logits_mb * 2**20


@dataclass(frozen=True)
class HierarchicalSoftmax(Loss):
    """The settings class of the hierarchical softmax; this loss has no settings.

    A word is predicted by the binary decisions on the path to it in a Huffman tree.

    References
    ----------
    Mikolov et al. (2013), Distributed Representations of Words and Phrases, equation 3.
    """

    name = "hsoftmax"
    step = "w2v.engines.hierarchical:HierarchicalStep"
    output_vectors = "inner nodes"

    def output_rows(self, words: int) -> int:
        return words - 1

    def scores(self, pairs: float, centers: int, counts: Counts) -> float:  # noqa: ARG002
        return pairs * float(counts @ HuffmanTree(counts).lengths / counts.sum())


LOSSES: dict[str, type[Loss]] = {
    loss.name: loss for loss in (NegativeSampling, Softmax, HierarchicalSoftmax)
}
"""The class of the settings of each loss, by the name of the loss."""
