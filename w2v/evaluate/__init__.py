"""What word vectors are worth: similarity, analogies, neighbours and a map.

Figures that the data leave undefined are None, never NaN, so that results are valid JSON.
"""

from w2v.evaluate.analogies import (
    METHODS,
    AnalogyResult,
    CategoryResult,
    Method,
    Question,
    analogies,
    answer_ranks,
    count_answers,
    load_analogies,
    section_of,
    total_of,
)
from w2v.evaluate.datasets import BENCHMARKS, benchmark_path
from w2v.evaluate.neighbours import (
    Neighbour,
    Overlap,
    neighbour_overlap,
    neighbours,
    probe_words,
    project_2d,
)
from w2v.evaluate.similarity import (
    UNKNOWN,
    Pair,
    SimilarityResult,
    Unknown,
    load_pairs,
    pair_cosines,
    similarity,
)

__all__ = [
    "BENCHMARKS",
    "METHODS",
    "UNKNOWN",
    "AnalogyResult",
    "CategoryResult",
    "Method",
    "Neighbour",
    "Overlap",
    "Pair",
    "Question",
    "SimilarityResult",
    "Unknown",
    "analogies",
    "answer_ranks",
    "benchmark_path",
    "count_answers",
    "load_analogies",
    "load_pairs",
    "neighbour_overlap",
    "neighbours",
    "pair_cosines",
    "probe_words",
    "project_2d",
    "section_of",
    "similarity",
    "total_of",
]
