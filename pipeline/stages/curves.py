"""Scores computed during training, after some or all epochs."""

from typing import Any

from pipeline.cache.store import digest
from pipeline.stages.base import code_of
from w2v.evaluate.metrics import METRICS, followed_figures
from w2v.evaluate.metrics.base import EvaluationSettings
from w2v.evaluate.metrics.similarity import MEAN
from w2v.hashes import FileHashes, content_sha256
from w2v.vectors import WordVectors


def identity(settings: EvaluationSettings, hashes: FileHashes) -> dict[str, Any]:
    """Return the settings that the scores depend on, for the cache key of the training."""
    found: dict[str, Any] = {
        **{key: getattr(settings, key) for key in ("every", "use", "oov", "vocabulary")},
        "curves": settings.followed,
        "scores.code": digest(code_of(__name__)),
    }
    asked = {name.rpartition("/")[0] for name in settings.followed}
    for metric in METRICS:
        found[metric.section] = {
            name: content_sha256([path], hashes)
            for name, path in metric.benchmarks(settings).items()
            if {f"{metric.section}/{name}", f"{metric.section}/{MEAN}"} & asked
        }
    return found


def scores_of(settings: EvaluationSettings, vectors: WordVectors) -> dict[str, float]:
    """Return the scores to compute during training, by name."""
    if settings.use == "v+u" and vectors.outside is not None:
        sums = vectors.vectors + vectors.outside
        vectors = WordVectors(vectors.words, sums, vectors.counts)
    return followed_figures(vectors, settings)
