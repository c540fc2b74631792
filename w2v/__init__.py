"""word2vec on arrays: text, losses, engines, training, vectors and their evaluation.

The library has no configuration files and no tracking; ``pipeline`` adds those.
"""

from w2v import losses
from w2v.errors import InputError
from w2v.losses import NegativeSampling, Softmax
from w2v.objectives import SkipGram
from w2v.training.schedule import Schedule
from w2v.vectors import WordVectors

__all__ = [
    "InputError",
    "NegativeSampling",
    "Schedule",
    "SkipGram",
    "Softmax",
    "WordVectors",
    "losses",
]
