"""Evaluate word vectors: word similarity, analogies, nearest neighbors and their stability.

`similarity` and `analogies` score vectors on the items of a benchmark and write nothing. A score
that is undefined for the given data is None, not NaN, so that their results are valid JSON.
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
    common_share,
    mean_neighbour_overlap,
    neighbour_overlap,
    neighbours,
    probe_words,
)
from w2v.evaluate.projection import Projection, project, project_2d, project_by
from w2v.evaluate.similarity import (
    UNKNOWN,
    Pair,
    SimilarityResult,
    Unknown,
    load_pairs,
    pair_cosines,
    similarity,
)
from w2v.evaluate.statistics import pareto_front, student_interval
from w2v.evaluate.verdicts import Judged, compare, sentences

__all__ = [
    "BENCHMARKS",
    "METHODS",
    "UNKNOWN",
    "AnalogyResult",
    "CategoryResult",
    "Judged",
    "Method",
    "Neighbour",
    "Overlap",
    "Pair",
    "Projection",
    "Question",
    "SimilarityResult",
    "Unknown",
    "analogies",
    "answer_ranks",
    "benchmark_path",
    "common_share",
    "compare",
    "count_answers",
    "load_analogies",
    "load_pairs",
    "mean_neighbour_overlap",
    "neighbour_overlap",
    "neighbours",
    "pair_cosines",
    "pareto_front",
    "probe_words",
    "project",
    "project_2d",
    "project_by",
    "section_of",
    "sentences",
    "similarity",
    "student_interval",
    "total_of",
]
