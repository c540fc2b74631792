"""What is learnt: the losses, the architecture, and the two vectors of every word.

To add a loss, write its formula in `w2v.losses`, its settings here as a subclass of `Loss` with a
line in `LOSSES`, its step in a file of `w2v.engines`, and ``conf/loss/<name>.yaml``. Nothing else
knows its name.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.settings import Settings, at_least, between, finite, one_of, setting


class Model(NamedTuple):
    """The parameters: two vectors for every word.

    Attributes
    ----------
    center : float32 (V, d)
        v_w, used where the word is the center: the vectors that people use.
    outside : float32 (V, d)
        u_w, used where the word is in the context or is noise.
    """

    center: NDArray[np.float32]
    outside: NDArray[np.float32]


def initial_model(size: int, dim: int, random: np.random.Generator) -> Model:
    """Return word2vec's initial model: v uniform in (-1/2d, 1/2d), u zero."""
    center = (random.random((size, dim), dtype=np.float32) - np.float32(0.5)) / np.float32(dim)
    return Model(center, np.zeros((size, dim), np.float32))


@dataclass(frozen=True)
class Loss(Settings, ABC):
    """The base of all losses: their settings are its fields, and this is what others ask of them.

    Attributes
    ----------
    name
        The name in ``conf/loss`` and in lists of runs.
    step
        Where its `w2v.engines.step.Step` is, as ``module:class``. It is imported when it is used.
    changes_objective
        The settings that change the question which the loss answers. Losses of runs that differ
        in one of them do not compare.
    step_depends_on_length
        Whether the size of a step depends on how much text will be read in all. If so, more
        epochs cannot continue from fewer.
    """

    name: ClassVar[str]
    step: ClassVar[str]
    changes_objective: ClassVar[tuple[str, ...]] = ()
    step_depends_on_length: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """Its most important setting, short, for the names of runs; may be empty."""
        return ""

    @abstractmethod
    def scores(self, pairs: float, centers: int, words: int) -> float:
        """Return how many products of a center and an outside vector a text needs.

        Parameters
        ----------
        pairs
            The (center, outside) pairs of the text, by weight.
        centers
            The distinct center words of each batch, summed over the batches.
        words
            V, the size of the vocabulary.
        """

    def scratch_bytes(self, words: int, dim: int) -> int:  # noqa: ARG002
        """Return the memory that a step needs beside the model, in bytes; small amounts are 0."""
        return 0


@dataclass(frozen=True)
class NegativeSampling(Loss):
    """Each pair against K noise words, drawn in proportion to count ** exponent.

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

    def scores(self, pairs: float, centers: int, words: int) -> float:  # noqa: ARG002
        return pairs * (self.negatives + 1)


@dataclass(frozen=True)
class Softmax(Loss):
    """The exact ("naive") softmax over the vocabulary."""

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
    step_depends_on_length = True

    def scores(self, pairs: float, centers: int, words: int) -> float:  # noqa: ARG002
        # One row of V scores serves all pairs of a center word.
        return float(centers * words)

    def scratch_bytes(self, words: int, dim: int) -> int:
        # The gradients of both matrices, the parts they are summed from, and the logits.
        return 4 * words * dim * np.dtype(np.float32).itemsize + self.logits_mb * 2**20


LOSSES: dict[str, type[Loss]] = {loss.name: loss for loss in (NegativeSampling, Softmax)}
"""The losses by name."""


@dataclass(frozen=True)
class Architecture(Settings):
    """The length of the vectors, and which pairs of words of the text they learn from."""

    dim: int = setting("d, the length of a vector", at_least(1), 100)
    # A larger window would take very long, and words so far apart say nothing of each other.
    window: int = setting(
        "m, the farthest distance between a center word and an outside word", between(1, 10_000), 5
    )
    dynamic_window: bool = setting(
        "weigh a pair at distance j by (window - j + 1) / window, the average of drawing the "
        "window's size at random; otherwise by 1",
        default=True,
    )
    subsample: float = setting(
        "threshold of the sub-sampling of frequent words; 0 for none", at_least(0), 1e-3
    )

    changes_objective: ClassVar[tuple[str, ...]] = ("window", "dynamic_window", "subsample")
    """The settings that change which pairs the loss is a mean of."""

    def pair_weights(self) -> NDArray[np.float32]:
        """Return the weight of a pair at distance 1 ... m, float32 (m,)."""
        if not self.dynamic_window:
            return np.ones(self.window, np.float32)
        return np.arange(self.window, 0, -1, dtype=np.float32) / np.float32(self.window)


@dataclass(frozen=True)
class SkipGram(Architecture):
    """A center word predicts each word around it.

    References
    ----------
    Mikolov et al. (2013), Efficient Estimation of Word Representations in Vector Space.
    """

    loss: Loss = NegativeSampling()
