"""Word vectors: in memory, and as files of many formats."""

from w2v.vectors.vectors import OUTSIDE, USES, VECTORS, VOCABULARY, Use, WordVectors

__all__ = ["OUTSIDE", "USES", "VECTORS", "VOCABULARY", "Use", "WordVectors"]
