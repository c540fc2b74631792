"""Word vectors: trained on text, loaded, compared and evaluated.

`train` makes vectors of files, texts or lists of tokens, and `WordVectors` answers questions about
them. The library has no configuration files and no tracking; ``pipeline`` adds those.
"""

from w2v import losses, reference
from w2v.errors import InputError
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
