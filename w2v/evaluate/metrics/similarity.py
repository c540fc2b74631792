"""The metric ``similarity``: correlation of the cosines of word pairs with human ratings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from w2v import evaluate
from w2v.evaluate.answers import Answers
from w2v.evaluate.influence import MeanOfSets, SimilarityBenchmark, similarity_benchmark
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
from w2v.evaluate.similarity import correlate, pair_answers
from w2v.sampling import generator
from w2v.vectors import WordVectors

MEAN = "mean"
"""The name of the mean over all sets of word pairs, which is reported like one more set."""


class Similarity(Metric):
    """The metric of Spearman's and Pearson's correlation of cosines with human ratings.

    Both are computed for each set of word pairs. If there are several sets, Spearman's correlation
    is also averaged over them (`MeanOfSets`).
    """

    section = "similarity"
    figures = ("spearman", "pearson", "coverage", "ngrams")
    detailed = ("unknown",)

    def benchmarks(self, settings: EvaluationSettings) -> dict[str, Path]:
        return benchmark_files(settings.similarity, evaluate.benchmark_path, settings)

    def load(self, path: Path) -> Sequence[Any]:
        return read_once(evaluate.load_pairs, path)

    def compute(self, given: MetricInput) -> MetricResult:
        settings, vectors = given.settings, given.vectors
        answers: dict[str, Answers] = {}
        made = []
        result = MetricResult({}, {"similarity": [], "pairs": [], "bands": []}, answers)
        oov = cast(evaluate.Unknown, settings.oov)
        for name, path in self.benchmarks(settings).items():
            pairs = self.load(path)
            random = generator(settings.seed, f"bootstrap {name}")
            drawn = random if given.intervals else None
            answered = pair_answers(vectors, pairs)
            found = correlate(pairs, answered, oov, drawn)
            result.scores[name] = asdict(found)
            cosines = answered.cosines
            made.append(answered.ngrams)
            asked = replace(read_once(read_pairs, path)[0], oov=oov)
            answers[f"{self.section}/{name}/spearman"] = Answers(asked, cosines)
            if not given.tables:
                continue
            low, high = found.ci95 or (None, None)
            more = {"benchmark": name, "vectors": settings.use, "low": low, "high": high}
            result.rows["similarity"].append({**asdict(found), **more})
            result.rows["pairs"] += [
                (name, *pair, cosine, oov == "zero" or not np.isnan(cosine))
                for pair, cosine in zip(pairs, cosines.tolist(), strict=True)
            ]
            random = generator(settings.seed, f"bands {name}")
            result.rows["bands"] += pair_bands(name, vectors, pairs, random)
        if len(answers) > 1:
            self._add_mean(result, settings, np.concatenate(made))
        return result

    def _add_mean(
        self, result: MetricResult, settings: EvaluationSettings, made: NDArray[np.bool_]
    ) -> None:
        """Add the mean of Spearman's correlation over the sets of word pairs to `result`.

        The mean, with its confidence interval and the numbers of pairs, is added to the scores and,
        as a row, to the table ``similarity``. Sets of which fewer than ten distinct pairs are used
        are left out. Nothing is added if the mean is undefined. `made` says for each pair of all
        sets, one set after the other, whether a word of the pair has no vector of its own, but one
        made from its n-grams (subwords). The number of such distinct pairs is added as ``ngrams``.
        """
        asked = [one.benchmark for one in result.answers.values()]
        mean = MeanOfSets([one for one in asked if isinstance(one, SimilarityBenchmark)])
        given = np.concatenate([one.given for one in result.answers.values()])
        used, found = mean.known(given), mean.interval(given)
        if found is None:
            return
        known, total = len(np.unique(mean.words[~np.isnan(given)])), len(np.unique(mean.words))
        scores: dict[str, Any] = {
            "spearman": found[0],
            "pearson": None,
            "ci95": found[1],
            "sets": len(mean.counted(used)),
            "pairs": mean.units(used),
            "total": total,
            "known": known,
            "ngrams": len(np.unique(mean.words[made])),
            "coverage": known / total,
            "oov": settings.oov,
        }
        result.scores[MEAN] = scores
        low, high = found[1]
        more = {"benchmark": MEAN, "vectors": settings.use, "low": low, "high": high}
        result.rows["similarity"].append({**scores, **more})

    def figure_names(self, settings: EvaluationSettings) -> list[str]:
        several = sum(path is not None for path in settings.similarity.values()) > 1
        own = [f"{self.section}/{MEAN}/{figure}" for figure in ("spearman", "coverage", "ngrams")]
        return super().figure_names(settings) + own * several

    def lines(self, scores: Mapping[str, Any]) -> Iterator[ScoreLine]:
        for name, found in scores.items():
            used = f"{found['pairs']} of {found['total']} pairs"
            used += f", {found['sets']} sets" if name == MEAN else ""
            if found.get("ngrams"):
                used += f", {found['ngrams']} by n-grams alone"
            yield ScoreLine(f"{name}  Spearman", found["spearman"], found["ci95"], used)


def read_pairs(path: Path) -> Sequence[SimilarityBenchmark]:
    """Read a file of word pairs as a benchmark, and return a list with this one benchmark.

    It is in a list because `read_once`, which caches what it reads, takes functions that return
    sequences.
    """
    return [similarity_benchmark(read_once(evaluate.load_pairs, path))]


def pair_bands(
    benchmark: str,
    vectors: WordVectors,
    pairs: Sequence[evaluate.Pair],
    random: np.random.Generator,
) -> list[dict[str, Any]]:
    """Compute Spearman's correlation with human ratings for bands of word frequency.

    A pair belongs to the band of its rarer word. Pairs with a word outside the vocabulary are left
    out, even if its n-grams give it a vector. `random` is for the bootstrap of confidence
    intervals.

    Returns
    -------
    list of dict
        A row for each band: ``benchmark``; ``metric``, always ``spearman``; ``first`` and ``last``,
        the frequency ranks of the band, from 1; ``used``, the number of pairs; ``value``, the
        correlation; and ``low`` and ``high``, its 95 % confidence interval. The last three are None
        if undefined.
    """
    rarest = rarest_ranks(vectors, [pair[:2] for pair in pairs])
    rows = []
    for first, last in bands(len(vectors)):
        chosen = [p for p, rank in zip(pairs, rarest, strict=True) if first <= rank <= last]
        found = evaluate.similarity(vectors, chosen, generator=random)
        values = found.pairs, found.spearman, found.ci95
        rows.append(band_row(benchmark, "spearman", (first, last), *values))
    return rows
