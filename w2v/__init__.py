"""Train word2vec vectors on text; load, compare and evaluate word vectors.

`train` makes vectors from text files, strings or lists of tokens, and `WordVectors` answers
queries about them, such as nearest neighbors. This library reads no configuration files and
records no runs; the package ``pipeline`` adds both.
"""

from w2v import losses, reference
from w2v.cluster.settings import ClusterSettings
from w2v.errors import InputError
from w2v.evaluate.ensemble import Ensemble
from w2v.losses import HierarchicalSoftmax, NegativeSampling, Softmax
from w2v.objectives import Cbow, SkipGram
from w2v.text.phrases import Phrases
from w2v.text.tokenizer import Whitespace, Words
from w2v.training.documents import train
from w2v.training.model import TrainedModel
from w2v.training.schedule import Schedule
from w2v.vectors import WordVectors

__all__ = [
    "Cbow",
    "ClusterSettings",
    "Ensemble",
    "HierarchicalSoftmax",
    "InputError",
    "NegativeSampling",
    "Phrases",
    "Schedule",
    "SkipGram",
    "Softmax",
    "TrainedModel",
    "Whitespace",
    "WordVectors",
    "Words",
    "losses",
    "reference",
    "train",
]
