"""Word vectors in memory, reading and writing their files, and nearest-neighbor search."""

from w2v.vectors.formats import NGRAMS, OUTSIDE, SUBWORDS, USES, VECTORS, VOCABULARY, Use
from w2v.vectors.locate import find_runs, find_vectors, vector_files
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
    "find_runs",
    "find_vectors",
    "vector_files",
]
