"""The metric ``analogy``: accuracy on the questions "a is to b as c is to what?"."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from w2v import evaluate
from w2v.evaluate.answers import Answers
from w2v.evaluate.influence import AnalogyBenchmark, analogy_benchmark
from w2v.evaluate.metrics.base import (
    EvaluationSettings,
    Metric,
    MetricInput,
    MetricResult,
    ScoreLine,
    band_row,
    bands,
    benchmark_files,
    rarest_ranks,
    read_once,
)
from w2v.evaluate.statistics import ratio, wilson
from w2v.vectors import WordVectors

OTHER_METHODS = ("accuracy", "semantic", "syntactic", "accuracy_5", "ci95", "correct", "correct_5")
"""The scores that differ between 3CosAdd and 3CosMul, and are reported for both methods."""

SUMS = {"semantic": ("semantic",), "syntactic": ("syntactic",), "all": ("semantic", "syntactic")}
"""The kinds of questions that each total adds up, by the name of the total."""


class Analogy(Metric):
    """The metric of accuracy on analogy questions, with the methods 3CosAdd and 3CosMul.

    The accuracy is computed for all questions, for the semantic and the syntactic ones, and for
    each category.
    """

    section = "analogy"
    figures = (
        *("accuracy", "accuracy_5", "semantic", "syntactic", "coverage"),
        "accuracy_3cosmul",
    )
    detailed = ("categories", "unknown")

    def benchmarks(self, settings: EvaluationSettings) -> dict[str, Path]:
        return benchmark_files(settings.analogy, evaluate.benchmark_path, settings)

    def load(self, path: Path) -> Sequence[Any]:
        return read_once(evaluate.load_analogies, path)

    def compute(self, given: MetricInput) -> MetricResult:
        settings, vectors = given.settings, given.vectors
        answers: dict[str, Answers] = {}
        result = MetricResult({}, {"analogies": [], "bands": []}, answers)
        oov = cast(evaluate.Unknown, settings.oov)
        vocabulary = min(settings.vocabulary, len(vectors))
        for name, path in self.benchmarks(settings).items():
            questions = self.load(path)
            ranks = evaluate.answer_ranks(vectors, questions, settings.vocabulary)
            first, *others = [
                evaluate.count_answers(questions, ranks[method], vocabulary, method, oov)
                for method in evaluate.METHODS
            ]
            result.scores[name] = asdict(first) | {
                other.method: {k: v for k, v in asdict(other).items() if k in OTHER_METHODS}
                for other in others
            }
            asked = replace(read_once(read_questions, path)[0], oov=oov)
            answers[f"{self.section}/{name}/accuracy"] = Answers(asked, ranks[first.method])
            if not given.tables:
                continue
            for method in (first, *others):
                result.rows["analogies"] += category_rows(name, method)
            result.rows["bands"] += question_bands(
                name, vectors, questions, ranks["3CosAdd"], vocabulary
            )
        return result

    def lines(self, scores: Mapping[str, Any]) -> Iterator[ScoreLine]:
        for name, found in scores.items():
            used = f"{found['questions']:,} of {found['total']:,}"
            used += f", top {found['vocabulary']:,} words"
            yield ScoreLine(f"{name}  accuracy", found["accuracy"], found["ci95"], used)

    def figure(self, result: Mapping[str, Any], figure: str) -> float | None:
        if figure == "accuracy_3cosmul":
            return super().figure(result["3CosMul"], "accuracy")
        return super().figure(result, figure)


def read_questions(path: Path) -> Sequence[AnalogyBenchmark]:
    """Read a file of analogy questions as a benchmark, and return a list with this one benchmark.

    It is in a list because `read_once`, which caches what it reads, takes functions that return
    sequences.
    """
    return [analogy_benchmark(read_once(evaluate.load_analogies, path))]


def category_rows(benchmark: str, result: evaluate.AnalogyResult) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table ``analogies`` for one benchmark and one method.

    There is a row for each category, one for all semantic questions, one for all syntactic
    questions, and one for all questions.
    """
    sums = [
        evaluate.total_of([c for c in result.categories if c.section in sections], name)
        for name, sections in SUMS.items()
    ]
    for category in (*result.categories, *sums):
        low, high = category.ci95 or (None, None)
        yield {
            **asdict(category),
            "benchmark": benchmark,
            "method": result.method,
            "correct_1": category.correct,
            "low": low,
            "high": high,
            "vocabulary": result.vocabulary,
        }


def question_bands(
    benchmark: str,
    vectors: WordVectors,
    questions: Sequence[evaluate.Question],
    ranks: NDArray[np.int64],
    vocabulary: int,
) -> list[dict[str, Any]]:
    """Compute the accuracy on analogy questions by the frequency of their rarest word.

    The vocabulary is divided into bands of frequency ranks. A question belongs to the band of the
    rarest of its words a, b, c and its first correct answer that has a vector.

    Parameters
    ----------
    ranks : int64 (n,)
        The rank of the correct answer to each of the n questions by 3CosAdd, from `answer_ranks`.
        Questions of rank -1, which have unknown words, are left out.
    vocabulary
        The size of the vocabulary: only this many most frequent words were used.

    Returns
    -------
    list of dict
        A row of the table ``bands`` for each band: ``benchmark``; ``metric``, always
        ``accuracy``; ``first`` and ``last``, the frequency ranks of the band, from 1; ``used``, the
        number of questions; ``value``, the accuracy; and ``low`` and ``high``, the ends of its 95 %
        confidence interval. The last three are None without questions.
    """
    asked = np.flatnonzero(ranks >= 0)
    known = cache(vectors.find)
    words = []
    for index in asked.tolist():
        question = questions[index]
        answer = next(w for w in (question.answer, *question.others) if known(w) is not None)
        words.append((question.a, question.b, question.c, answer))
    # A word outside the vocabulary was replaced by the same word in another case.
    rarest = np.minimum(rarest_ranks(vectors, words), vocabulary)
    rows = []
    for first, last in bands(vocabulary):
        found = ranks[asked[(first <= rarest) & (rarest <= last)]]
        right, used = int((found == 1).sum()), len(found)
        values = used, ratio(right, used), wilson(right, used)
        rows.append(band_row(benchmark, "accuracy", (first, last), *values))
    return rows
