"""Word vectors in memory, the files that they are kept in, and searches among them."""

from w2v.vectors.formats import NGRAMS, OUTSIDE, SUBWORDS, USES, VECTORS, VOCABULARY, Use
from w2v.vectors.locate import find_vectors, vector_files
from w2v.vectors.vectors import WordVectors

__all__ = [
    "NGRAMS",
    "OUTSIDE",
    "SUBWORDS",
    "USES",
    "VECTORS",
    "VOCABULARY",
    "Use",
    "WordVectors",
    "find_vectors",
    "vector_files",
]
