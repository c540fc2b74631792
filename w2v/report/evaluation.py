"""Compute the scores of word vectors, and tables with the details behind the scores."""

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from w2v import evaluate
from w2v.evaluate import metrics
from w2v.evaluate.answers import ANSWERS, ITEMS, save_answers
from w2v.evaluate.metrics import compute_scores
from w2v.evaluate.metrics.base import MetricInput
from w2v.evaluate.metrics.tables import COLUMNS
from w2v.evaluate.settings import Evaluate
from w2v.files import json_page, link_if_equal, link_or_copy
from w2v.report.findings import TABLES, Findings
from w2v.tables import typed_rows, write_csv, write_table
from w2v.training.result import read_history
from w2v.vectors import Use, WordVectors

SCORES = "scores.json"
NEIGHBOURS = "neighbours.csv"

PROBES = 24
"""The maximum number of words chosen for lists of their nearest neighbors, if none are given."""

LISTED = 5
"""The largest number of nearest neighbors of a word in ``summary.json``."""


def evaluate_vectors(
    out: Path,
    settings: Evaluate,
    trained: Path | None,
    suggested: Sequence[str] | None,
    brief: bool = False,
) -> tuple[dict[str, Any], Findings]:
    """Load word vectors, evaluate them, and write scores, answers and tables into a folder.

    The answers are the cosine of each word pair and, for each analogy question, the rank of the
    right word among the candidates.

    Parameters
    ----------
    out
        The folder to write into.
    trained
        The folder of a training result with the vectors; None if `settings` names vectors.
    suggested
        The words whose neighbors are listed unless `settings` names some; None: chosen from the
        vocabulary.
    brief
        Write no table but that of neighbors, and leave long lists out of ``scores.json``.

    Returns
    -------
    facts : dict
        The section ``evaluate`` of ``summary.json``.
    findings : Findings
        The data for the plots. Its tables are empty if `brief` is true, and its losses are empty if
        `trained` is None.

    Raises
    ------
    InputError
        The vectors or a benchmark cannot be read, or the vectors cannot be compared with those that
        ``settings.compare`` names.
    """
    use, encoding = cast(Use, settings.use), settings.encoding
    path, other = trained or settings.vectors_path(), settings.compared_path()
    assert path is not None
    compared = partial(WordVectors.load, other, use, encoding=encoding) if other else None
    vectors = WordVectors.load(path, use, counts=settings.counts, encoding=encoding)
    given = MetricInput(vectors, settings, compared, tables=not brief)
    return compute(out, given, settings, trained, suggested)


def compute(
    out: Path,
    given: MetricInput,
    settings: Evaluate,
    trained: Path | None,
    suggested: Sequence[str] | None,
) -> tuple[dict[str, Any], Findings]:
    """Compute the metrics of the vectors in `given`; write scores, answers and tables into `out`.

    The answers are the cosine of each word pair and, for each analogy question, the rank of the
    right word among the candidates.

    Parameters
    ----------
    given
        The vectors, and what to compute. If ``given.tables`` is false, the only table written is
        that of neighbors, and long lists are left out of ``scores.json``.
    trained
        The folder of the training result; None if there is none.
    suggested
        The words whose neighbors are listed unless `settings` names some; None: chosen from the
        vocabulary.

    Returns
    -------
    facts : dict
        The section ``evaluate`` of ``summary.json``: scores and other facts.
    findings : Findings
        The data for the plots. Its tables are empty if ``given.tables`` is false, and its losses
        are empty if `trained` is None.
    """
    vectors = given.vectors
    words = probe_words(vectors, settings, suggested)
    nearest = evaluate.neighbours(vectors, words, settings.neighbours)
    scores, facts, rows, answers = compute_scores(given)
    save_answers(out / ANSWERS, answers)
    for items in out.glob(f"{ITEMS}*"):  # evaluations on the same benchmark share its file on disk
        shared = out.parent / f".{items.name}"
        if not link_if_equal(shared, items):  # one that was damaged is replaced
            link_or_copy(items, shared)
    columns = COLUMNS | {name: kinds for m in metrics.METRICS for name, kinds in m.columns.items()}
    rows = {name: [] for name in TABLES} | rows | {"neighbours": list(nearest)}
    wanted = rows if given.tables else {}
    tables = {name: typed_rows(found, columns[name]) for name, found in wanted.items()}
    for name, table in tables.items():
        write_table(out, name, table, columns[name])
    if not given.tables:
        rounded = ((*one[:3], f"{one.cosine:.7g}") for one in nearest)
        write_csv(out / NEIGHBOURS, columns["neighbours"], rounded)
    written = scores if given.tables else facts
    (out / SCORES).write_text(json_page(written), encoding="utf-8")
    facts["neighbours"] = {
        word: [n.neighbour for n in nearest if n.word == word][:LISTED] for word in words
    }
    size = {"words": len(vectors), "dimensions": vectors.dimensions}
    facts["vectors"] = {"use": settings.use, **size}
    points, epochs = ([], []) if trained is None else read_history(trained)
    shown = {name: tables.get(name, []) for name in TABLES}
    return facts, Findings(vectors, points, epochs, words, **shown)


def probe_words(
    vectors: WordVectors, settings: Evaluate, suggested: Sequence[str] | None
) -> list[str]:
    """Return the words whose nearest neighbors are listed.

    They are ``settings.probes`` if it names any, else `suggested`. Words without a vector are left
    out, with a warning if they are from ``settings.probes``. If no word is left, `PROBES` words are
    chosen from the vocabulary.
    """
    if unknown := [word for word in settings.probes or () if vectors.find(word) is None]:
        line = f"evaluate.probes: {', '.join(unknown)} not in the vocabulary, so left out"
        warnings.warn(line, stacklevel=2)
    rows = dict.fromkeys(map(vectors.find, settings.probes or suggested or ()))
    words = [vectors.words[row] for row in rows if row is not None]
    return words or evaluate.probe_words(vectors, PROBES)
