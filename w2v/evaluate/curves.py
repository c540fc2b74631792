"""Scores computed during training, after some or all epochs."""

from typing import Any

from w2v.evaluate.metrics import METRICS, followed_figures
from w2v.evaluate.metrics.base import EvaluationSettings
from w2v.evaluate.metrics.similarity import MEAN
from w2v.hashes import FileHashes, content_sha256
from w2v.vectors import WordVectors


def identity(settings: EvaluationSettings, hashes: FileHashes) -> dict[str, Any]:
    """Return what the scores computed during training depend on, as JSON values for a cache key.

    These are the names of the scores; the settings ``every`` (the number of epochs between two
    computations), ``use`` (which vectors are evaluated), ``oov`` (how unknown words are treated)
    and ``vocabulary`` (the number of most frequent words to which analogy questions and answers are
    restricted); and the SHA-256 of the content of each benchmark that one of these scores is
    computed from. `hashes` is a cache of the hashes of unchanged files.
    """
    found: dict[str, Any] = {
        **{key: getattr(settings, key) for key in ("every", "use", "oov", "vocabulary")},
        "curves": settings.followed,
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
    """Compute the scores that are recorded during training, for the vectors after an epoch.

    ``settings.followed`` has the names of the scores, such as ``similarity/wordsim353/spearman``.
    The result has their values by name, without scores that are undefined. If ``settings.use`` is
    ``v+u`` and `vectors` has outside vectors (those of context words), the sums of the center and
    the outside vectors are evaluated; else the center vectors.
    """
    if settings.use == "v+u" and vectors.outside is not None:
        sums = vectors.vectors + vectors.outside
        vectors = WordVectors(vectors.words, sums, vectors.counts)
    return followed_figures(vectors, settings)
