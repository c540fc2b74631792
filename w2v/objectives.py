"""What is learnt: the architecture, and the two vectors of every word.

The losses and their settings are in `w2v.losses`.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.losses import Loss, NegativeSampling
from w2v.settings import Settings, at_least, between, setting


class Model(NamedTuple):
    """The parameters that are learnt: two vectors for every word.

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
class Architecture(Settings):
    """The length of the vectors, and which pairs of words they are learnt from."""

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
        """Return the weight of a pair of words by their distance, 1 ... m: float32 (m,)."""
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
