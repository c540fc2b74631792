"""The parameters of skip-gram, and the settings that define what is learnt."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Model(NamedTuple):
    """Two vectors a word.

    Attributes
    ----------
    center : float32 (V, d)
        v_w, used where the word is the centre: the vectors that people use.
    outside : float32 (V, d)
        u_w, used where the word is in the context or is noise.
    """

    center: NDArray[np.float32]
    outside: NDArray[np.float32]


def initial_model(size: int, dim: int, random: np.random.Generator) -> Model:
    """word2vec's start: v uniform in (-1/2d, 1/2d), u zero."""
    center = (random.random((size, dim), dtype=np.float32) - np.float32(0.5)) / np.float32(dim)
    return Model(center, np.zeros((size, dim), np.float32))


@dataclass(frozen=True)
class NegativeSampling:
    """The loss of K noise words a pair, drawn from count ** exponent."""

    negatives: int = 5
    exponent: float = 0.75


@dataclass(frozen=True)
class Softmax:
    """The exact softmax over the vocabulary.

    Attributes
    ----------
    logits_mb
        Most memory for scores, in MiB.
    batch_words
        Words of running text whose gradient is summed before a step; ``None`` for a fiftieth
        of the text that is left after sub-sampling, and at least 2,000 where that makes 64 steps.
    optimizer
        ``adagrad``, row-wise, which suits large batches; or ``sgd``, plain descent along the
        summed gradient: with ``batch_words=1``, word2vec's step after each window.
    """

    logits_mb: int = 256
    batch_words: int | None = None
    optimizer: str = "adagrad"


OPTIMIZERS = ("adagrad", "sgd")
"""Of the exact softmax."""

Loss = NegativeSampling | Softmax


@dataclass(frozen=True)
class SkipGram:
    """What is learnt: the objective, and the text as the objective sees it.

    Attributes
    ----------
    dim
        d, the length of a vector.
    window
        m, the farthest distance between a centre word and its outside words.
    dynamic_window
        Weigh a pair at distance j by (m - j + 1) / m: what drawing the window's size
        uniformly from 1 ... m, as word2vec does, gives on average. Otherwise by 1.
    subsample
        Threshold of the sub-sampling of frequent words; 0 for none.
    loss
        `NegativeSampling` or `Softmax`.
    """

    dim: int = 100
    window: int = 5
    dynamic_window: bool = True
    subsample: float = 1e-3
    loss: Loss = NegativeSampling()

    def pair_weights(self) -> NDArray[np.float32]:
        """The weight of a pair by its distance less one, float32 (m,)."""
        if not self.dynamic_window:
            return np.ones(self.window, np.float32)
        return np.arange(self.window, 0, -1, dtype=np.float32) / np.float32(self.window)
