"""The metric ``similarity``: correlation of the cosines of word pairs with human ratings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np

from w2v import evaluate
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
from w2v.sampling import generator
from w2v.vectors import WordVectors


class Similarity(Metric):
    """The correlation, Spearman's and Pearson's, of cosines and the scores that people gave."""

    section = "similarity"
    figures = ("spearman", "pearson", "coverage")
    detailed = ("unknown",)

    def benchmarks(self, settings: EvaluationSettings) -> dict[str, Path]:
        return benchmark_files(settings.similarity, evaluate.benchmark_path)

    def load(self, path: Path) -> Sequence[Any]:
        return read_once(evaluate.load_pairs, path)

    def compute(self, given: MetricInput) -> MetricResult:
        settings, vectors = given.settings, given.vectors
        result = MetricResult({}, {"similarity": [], "pairs": [], "bands": []})
        oov = cast(evaluate.Unknown, settings.oov)
        for name, path in self.benchmarks(settings).items():
            pairs = self.load(path)
            random = generator(settings.seed, f"bootstrap {name}")
            found = evaluate.similarity(vectors, pairs, oov=oov, generator=random)
            result.scores[name] = asdict(found)
            if not given.tables:
                continue
            low, high = found.ci95 or (None, None)
            more = {"benchmark": name, "vectors": settings.use, "low": low, "high": high}
            result.rows["similarity"].append({**asdict(found), **more})
            cosines = evaluate.pair_cosines(vectors, pairs).tolist()
            result.rows["pairs"] += [
                (name, *pair, cosine, oov == "zero" or not np.isnan(cosine))
                for pair, cosine in zip(pairs, cosines, strict=True)
            ]
            random = generator(settings.seed, f"bands {name}")
            result.rows["bands"] += pair_bands(name, vectors, pairs, random)
        return result

    def lines(self, scores: Mapping[str, Any]) -> Iterator[ScoreLine]:
        for name, found in scores.items():
            used = f"{found['pairs']} of {found['total']} pairs"
            yield ScoreLine(f"{name}  Spearman", found["spearman"], found["ci95"], used)


def pair_bands(
    benchmark: str,
    vectors: WordVectors,
    pairs: Sequence[evaluate.Pair],
    random: np.random.Generator,
) -> list[dict[str, Any]]:
    """Compute the correlation for pairs of frequent and of rare words, as rows of a table.

    The vocabulary is divided into bands of frequency ranks. A pair belongs to the band of its rarer
    word. Pairs with a word that has no vector are left out.

    Parameters
    ----------
    benchmark
        The name of the benchmark, for the rows.
    vectors
        The word vectors.
    pairs
        The rated word pairs.
    random
        The generator for the bootstrap of confidence intervals.
    """
    rarest = rarest_ranks(vectors, [pair[:2] for pair in pairs])
    rows = []
    for first, last in bands(len(vectors)):
        chosen = [p for p, rank in zip(pairs, rarest, strict=True) if first <= rank <= last]
        found = evaluate.similarity(vectors, chosen, generator=random)
        values = found.pairs, found.spearman, found.ci95
        rows.append(band_row(benchmark, "spearman", (first, last), *values))
    return rows
