"""The settings of the architectures (skip-gram, CBOW), and `Model`, the matrices of vectors.

An architecture and a loss together are an objective, which training optimizes. The settings of the
losses are in `w2v.losses`.

To add an architecture, write two classes here, as `CbowArchitecture` and `Cbow` are: the settings
of the architecture, a subclass of `Architecture`; and the settings of the objective, a subclass of
the first class with the additional field ``loss``. Add a line to `ARCHITECTURES`, the formula to
`w2v.reference`, the input vectors to ``w2v/engines/inputs.py``, and the file
``conf/model/<name>.yaml``. No other file has to be changed.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from w2v.limits import at_least, between, one_of
from w2v.losses import Loss, NegativeSampling
from w2v.settings import Settings, setting


class Model(NamedTuple):
    """The parameters of a model: the matrices of input and of output vectors.

    Attributes
    ----------
    center : float32 (V, d)
        v_w, the input vector of each word, used as its word vector by default. With subwords, rows
        of n-grams follow: (V + buckets, d). The vector of a word is then the mean of its own row
        and the rows of its n-grams.
    outside : float32 (V, d)
        u_w, the output vector of each word, with which it is scored as a prediction. With the
        hierarchical softmax, these are the vectors of the tree's inner nodes, (V - 1, d).
    """

    center: NDArray[np.float32]
    outside: NDArray[np.float32]


@dataclass(frozen=True)
class Architecture(Settings):
    """Base class of the settings of an architecture: vector length, context windows and subwords.

    Attributes
    ----------
    name
        The name of the architecture in ``conf/model`` and in lists of runs.
    inputs
        The class that makes the input vectors of this architecture, as ``module:class``. It
        implements `w2v.engines.inputs.Inputs`.
    loss_per
        What a reported loss is averaged over, in the singular, such as "pair of words".
    changes_objective
        The settings that change what the loss measures, such as which pairs of words it is averaged
        over. Values of the loss can be compared only between runs with equal values of these
        settings.
    """

    dim: int = setting("d, the length of a vector", at_least(1), 100)
    # A larger window would take very long, and words so far apart say nothing of each other.
    window: int = setting(
        "m, the farthest distance between a center word and an outside word", between(1, 10_000), 5
    )
    dynamic_window: bool = setting(
        "with skip-gram, weigh a pair at distance j by (window - j + 1) / window, the average of "
        "drawing the window's size at random, otherwise by 1; with CBOW, draw it, one for 64 words",
        default=True,
    )
    subsample: float = setting(
        "threshold of the sub-sampling of frequent words; 0 for none", at_least(0), 1e-3
    )

    subwords: bool = setting(
        "the vector of a word is the mean of its own row and the rows of its n-grams", default=False
    )
    min_n: int = setting("the shortest n-gram, in characters", between(1, 1000), 3)
    max_n: int = setting("the longest n-gram, in characters", between(1, 1000), 6)
    buckets: int = setting(
        "rows that n-grams share by their hash", between(1, 1_000_000_000), 2_000_000
    )
    subword_gradient: str = setting(
        "exact: each row of a word gets its share of the gradient; fasttext: each gets the whole",
        one_of(("exact", "fasttext")),
        "fasttext",
    )

    name: ClassVar[str]
    inputs: ClassVar[str]
    loss_per: ClassVar[str]
    changes_objective: ClassVar[tuple[str, ...]] = ("window", "dynamic_window", "subsample")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_n < self.min_n:
            self.refuse("max_n", f"at least min_n={self.min_n}")

    @property
    def label(self) -> str:
        """The main settings as a short text, for use in names of runs; may be empty.

        With subwords it is, for example, ``n3-6``: n-grams of 3 to 6 characters.
        """
        return f"n{self.min_n}-{self.max_n}" if self.subwords else ""

    def input_rows(self, words: int) -> int:
        """Return the number of rows of the input matrix for a vocabulary of `words` words.

        With subwords, the buckets of n-grams are included.
        """
        return words + self.buckets * self.subwords

    def pair_weights(self) -> NDArray[np.float32]:
        """Return the weight of a pair of words at each distance j from 1 to m: float32 (m,).

        m is the setting `window`. With `dynamic_window`, the weight is (m - j + 1) / m, the
        probability that a window whose size is drawn from 1 to m reaches that far; otherwise it is
        1.
        """
        if not self.dynamic_window:
            return np.ones(self.window, np.float32)
        return np.arange(self.window, 0, -1, dtype=np.float32) / np.float32(self.window)


@dataclass(frozen=True)
class SkipGramArchitecture(Architecture):
    """The settings of skip-gram, without those of a loss.

    Each center word predicts the words around it.
    """

    name = "skipgram"
    inputs = "w2v.engines.inputs:SkipGramInputs"
    loss_per = "pair of words"


@dataclass(frozen=True)
class SkipGram(SkipGramArchitecture):
    """The settings of skip-gram and of its loss. Each center word predicts the words around it.

    References
    ----------
    Mikolov et al. (2013), Efficient Estimation of Word Representations in Vector Space.
    """

    loss: Loss = NegativeSampling()


@dataclass(frozen=True)
class CbowArchitecture(Architecture):
    """The settings of CBOW (continuous bag of words), without those of a loss.

    The words around a position predict the word at this position.
    """

    combine: str = setting(
        "predict from the mean of the context's vectors, from their sum, or from the mean of all "
        "rows of the context's words and of their n-grams, as fastText does",
        one_of(("mean", "sum", "rows")),
        "mean",
    )
    context_gradient: str = setting(
        "exact: each context word gets its share of the gradient; word2vec: each gets the whole, "
        "even with the mean, as in word2vec.c and gensim",
        one_of(("exact", "word2vec")),
        "exact",
    )

    name = "cbow"
    inputs = "w2v.engines.inputs:CbowInputs"
    loss_per = "predicted word"
    changes_objective = (*Architecture.changes_objective, "combine")

    @property
    def label(self) -> str:
        whole = self.combine != "sum" and self.context_gradient == "word2vec"
        name = "cbow" + f"-{self.combine}" * (self.combine != "mean") + "-word2vec" * whole
        return f"{name} {super().label}".strip()


@dataclass(frozen=True)
class Cbow(CbowArchitecture):
    """The settings of CBOW (continuous bag of words) and of its loss.

    The words around a position predict the word at this position.

    References
    ----------
    Mikolov et al. (2013), Efficient Estimation of Word Representations in Vector Space. On the
    gradient: İrsoy, Benton & Stratos (2021), Corrected CBOW Performs as well as Skip-gram.
    """

    loss: Loss = NegativeSampling()


Objective: TypeAlias = SkipGram | Cbow
"""The settings of an architecture together with those of a loss: what training optimizes."""

ARCHITECTURES: dict[str, tuple[type[Architecture], type[Objective]]] = {
    "skipgram": (SkipGramArchitecture, SkipGram),
    "cbow": (CbowArchitecture, Cbow),
}
"""Two classes for each name of an architecture: the class of the architecture's settings, and the
subclass that adds the settings of a loss (an `Objective`)."""


def with_loss(architecture: Architecture, loss: Loss) -> Objective:
    """Combine the settings of an architecture and of a loss into one object, an `Objective`."""
    return ARCHITECTURES[architecture.name][1](**vars(architecture), loss=loss)


def initial_model(objective: Objective, words: int, random: np.random.Generator) -> Model:
    """Return a model as word2vec initializes it: random input vectors, and output vectors of zeros.

    The entries of input vectors are uniform between -1 / (2 d) and 1 / (2 d), where d is the length
    of a vector.

    Parameters
    ----------
    objective
        The settings of the architecture and of the loss, which determine the sizes of the matrices.
    words
        The size of the vocabulary.
    random
        The source of the random numbers.
    """
    dim, rows = objective.dim, objective.input_rows(words)
    center = random.random((rows, dim), dtype=np.float32)
    center -= np.float32(0.5)
    center /= np.float32(dim)
    return Model(center, np.zeros((objective.loss.output_rows(words), dim), np.float32))
