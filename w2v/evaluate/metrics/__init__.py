"""Compute and report all evaluation metrics, which are listed in `METRICS`.

To add a metric, write a subclass of `Metric` in a new file of this folder and add it to `METRICS`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from w2v.errors import InputError
from w2v.evaluate.answers import Answers
from w2v.evaluate.metrics.analogy import Analogy
from w2v.evaluate.metrics.base import (
    EvaluationSettings,
    Metric,
    MetricInput,
    NamedError,
    ScoreLine,
)
from w2v.evaluate.metrics.similarity import MEAN, Similarity
from w2v.evaluate.metrics.stability import Stability
from w2v.vectors import WordVectors

METRICS: tuple[Metric, ...] = (Similarity(), Analogy(), Stability())


def check_benchmarks(settings: EvaluationSettings) -> None:
    """Read every benchmark file, so that an unreadable file is reported before training starts.

    Raises
    ------
    InputError
        A benchmark is not found or cannot be read. The message begins with the setting that is
        wrong.
    """
    for metric in METRICS:
        setting = f"{metric.section}: "
        try:
            for name, path in metric.benchmarks(settings).items():
                setting = f"{metric.section}.{name}="
                metric.load(path)
        except NamedError as error:
            raise InputError(f"{metric.section}.{error.name}={error}") from None
        except InputError as error:
            raise InputError(f"{setting}{error}") from None


def compute_scores(
    given: MetricInput,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, list[Any]], dict[str, Answers]]:
    """Compute every metric; one that does not apply is left out of the results.

    Returns
    -------
    scores : dict
        The scores by the name of the metric (`Metric.section`), as JSON values.
    summary : dict
        The same scores without long lists.
    rows : dict
        The rows of each result table, by the name of the table.
    answers : dict
        By the name of a score: the benchmark items and the cosines or ranks that it is computed
        from.

    Raises
    ------
    InputError
        A benchmark cannot be read; or another run is given, and the vectors cannot be compared with
        those of that run.
    """
    scores: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    rows: dict[str, list[Any]] = {}
    answers: dict[str, Answers] = {}
    for metric in METRICS:
        result = metric.compute(given)
        if result is not None:
            scores[metric.section] = result.scores
            summary[metric.section] = metric.summary(result.scores)
            for name, found in result.rows.items():
                rows.setdefault(name, []).extend(found)
            answers |= result.answers
    return scores, summary, rows, answers


def followed_figures(vectors: WordVectors, settings: EvaluationSettings) -> dict[str, float]:
    """Compute the scores listed in ``settings.followed``, without confidence intervals and tables.

    The result has the scores by names like ``similarity/wordsim353/spearman``. Undefined scores are
    left out.
    """
    found: dict[str, float] = {}
    for metric in METRICS:
        names = [one for one in settings.followed if one.startswith(f"{metric.section}/")]
        if not names:
            continue
        wanted = {name.split("/")[1] for name in names}
        files = getattr(settings, metric.section)
        every = MEAN in wanted  # the mean is over all sets
        part = {name: path if every or name in wanted else None for name, path in files.items()}
        changed: dict[str, Any] = {metric.section: part}
        one = replace(settings, **changed)
        result = metric.compute(MetricInput(vectors, one, tables=False, intervals=False))
        if result is not None:
            values = metric.figures_of(result.scores)
            found |= {name: values[name] for name in names if name in values}
    return found


def figures(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the main scores (`Metric.figures`), by names like ``similarity/wordsim353/spearman``.

    Scores that are undefined are left out.

    Parameters
    ----------
    summary
        The scores of each metric, by the name of the metric, from `compute_scores`.
    """
    found: dict[str, float] = {}
    for metric in METRICS:
        if metric.section in summary:
            found |= metric.figures_of(summary[metric.section])
    return found


def figure_names(settings: EvaluationSettings) -> list[str]:
    """Return the names of the main scores (`Metric.figures`) of an evaluation with these settings.

    The names, such as ``similarity/wordsim353/spearman``, include those of scores that may turn out
    to be undefined.
    """
    return [name for metric in METRICS for name in metric.figure_names(settings)]


def score_lines(summary: Mapping[str, Any]) -> list[ScoreLine]:
    """Return the scores in a summary as the lines of a table to be printed.

    Parameters
    ----------
    summary
        The scores of each metric, by the name of the metric, from `compute_scores`.
    """
    return [
        line
        for metric in METRICS
        if metric.section in summary
        for line in metric.lines(summary[metric.section])
    ]
