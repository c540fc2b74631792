"""Evaluate word vectors: word similarity, analogies, nearest neighbours and their stability.

All functions are pure: vectors and questions go in, a result comes out. Values that the data leave
undefined are None, never NaN, so that results are valid JSON.
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
from w2v.evaluate.comparison import mean_neighbour_overlap, student_interval, tukey_against
from w2v.evaluate.datasets import BENCHMARKS, benchmark_path
from w2v.evaluate.neighbours import (
    Neighbour,
    Overlap,
    common_share,
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
    "common_share",
    "count_answers",
    "load_analogies",
    "load_pairs",
    "mean_neighbour_overlap",
    "neighbour_overlap",
    "neighbours",
    "pair_cosines",
    "probe_words",
    "project_2d",
    "section_of",
    "similarity",
    "student_interval",
    "total_of",
    "tukey_against",
]
