"""word2vec on arrays: losses, engines, training, evaluation and vectors.

A library without configuration, tracking or files of its own making; ``pipeline`` adds those.
"""

from w2v import losses
from w2v.errors import InputError
from w2v.vectors import WordVectors

__all__ = ["InputError", "WordVectors", "losses"]
