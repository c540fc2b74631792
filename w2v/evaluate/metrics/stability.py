"""The metric ``stability``: the share of nearest neighbors that two runs have in common."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from w2v import evaluate
from w2v.evaluate.metrics.base import (
    EvaluationSettings,
    Metric,
    MetricInput,
    MetricResult,
    ScoreLine,
)
from w2v.evaluate.statistics import mean_interval

K = 10
"""The number of nearest neighbors of a word that are compared."""


class Stability(Metric):
    """The metric of stability: the share of nearest neighbors that two runs have in common.

    The `K` nearest neighbors of a word are compared, or all other words if there are fewer. The
    share is averaged over at most 1000 words (`neighbour_overlap`). It is computed only if another
    run is given (`MetricInput.other`).
    """

    section = "stability"
    figures = ("overlap",)

    def benchmarks(self, settings: EvaluationSettings) -> dict[str, Path]:  # noqa: ARG002
        return {}

    def compute(self, given: MetricInput) -> MetricResult | None:
        if given.other is None:
            return None
        rows = evaluate.neighbour_overlap(given.vectors, given.other(), K)
        shares = np.array([row.overlap for row in rows])
        scores = {
            "k": min(K, len(rows) - 1),
            "words": len(shares),
            "overlap": float(shares.mean()),
            "ci95": mean_interval(shares),
        }
        return MetricResult(scores, {"stability": list(rows)})

    def summary(self, scores: Mapping[str, Any]) -> dict[str, Any]:
        return dict(scores)

    def figure_names(self, settings: EvaluationSettings) -> list[str]:
        return ["stability/overlap"] if settings.compare else []

    def figures_of(self, scores: Mapping[str, Any]) -> dict[str, float]:
        return {"stability/overlap": scores["overlap"]}

    def lines(self, scores: Mapping[str, Any]) -> Iterator[ScoreLine]:
        used = f"{scores['k']} each of {scores['words']:,} words"
        yield ScoreLine("shared neighbours", scores["overlap"], scores["ci95"], used)
