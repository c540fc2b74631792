"""Compute the scores of word vectors, and tables with the details behind the scores."""

import csv
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pipeline.config.settings import Evaluate
from w2v import evaluate
from w2v.errors import InputError
from w2v.evaluate import metrics
from w2v.evaluate.answers import ANSWERS, ITEMS, save_answers
from w2v.evaluate.metrics import compute_scores
from w2v.evaluate.metrics.base import MetricInput
from w2v.evaluate.metrics.tables import COLUMNS
from w2v.files import json_page, link_or_copy
from w2v.report.findings import TABLES, Findings
from w2v.training.result import read_history
from w2v.vectors import Use, WordVectors, find_runs, find_vectors, vector_files

if TYPE_CHECKING:
    import pandas as pd

SCORES = "scores.json"
NEIGHBOURS = "neighbours.csv"

PROBES = 24
"""How many probe words are chosen from a vocabulary if none are given."""

LISTED = 5
"""Neighbors of a probe word in the summary."""


def locate(setting: str, path: str | None, use: Use) -> Path:
    """Return the path of the vectors that the setting ``evaluate.<setting>`` names.

    If ``compare`` names several runs, return that of the first. If none exists, raise `InputError`.
    """
    try:
        found = find_runs(str(path))[0] if setting == "compare" else find_vectors(str(path))
        vector_files(found, use)
    except InputError as error:
        raise InputError(f"evaluate.{setting}={error}") from None
    return found


def evaluate_vectors(
    out: Path,
    settings: Evaluate,
    trained: Path | None,
    suggested: Sequence[str] | None,
    brief: bool = False,
) -> tuple[dict[str, Any], Findings]:
    """Load word vectors, and write their scores and tables into the folder `out`.

    The vectors are in the folder `trained`; if it is ``None``, `settings` names them. `suggested`
    are the default words whose neighbors are listed. If `brief`, only the table of neighbors is
    written. Returns facts for ``summary.json``, and data for the plots.
    """
    use = cast(Use, settings.use)
    path = trained or locate("vectors", settings.vectors, use)
    other = locate("compare", settings.compare, use) if settings.compare else None
    compared = partial(WordVectors.load, other, use) if other else None
    vectors = WordVectors.load(path, use, counts=settings.counts, encoding=settings.encoding)
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

    ``trained`` is the folder of the training result, ``None`` if there is none. ``suggested`` are
    the default words whose neighbors are listed. Unless ``given.tables``, only the table of
    neighbors is written, and the data for the plots has no tables. Returns facts for
    ``summary.json``, and data for the plots.
    """
    vectors = given.vectors
    words = probe_words(vectors, settings, suggested)
    nearest = evaluate.neighbours(vectors, words, settings.neighbours)
    scores, facts, rows, answers = compute_scores(given)
    save_answers(out / ANSWERS, answers)
    for items in out.glob(f"{ITEMS}*"):  # evaluations on the same benchmark share its file on disk
        shared = out.parent / f".{items.name}"
        # One that was damaged, under all of its names, is replaced.
        same = shared.exists() and shared.read_bytes() == items.read_bytes()
        link_or_copy(*((shared, items) if same else (items, shared)))
    columns = COLUMNS | {name: kinds for m in metrics.METRICS for name, kinds in m.columns.items()}
    rows = {name: [] for name in TABLES} | rows | {"neighbours": list(nearest)}
    wanted = rows if given.tables else {}
    tables = {name: table(found, columns[name]) for name, found in wanted.items()}
    for name, frame in tables.items():
        frame.to_csv(out / f"{name}.csv", index=False)
        frame.to_parquet(out / f"{name}.parquet", index=False)
    if not given.tables:  # pandas takes longer than the metrics
        with (out / NEIGHBOURS).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns["neighbours"])
            writer.writerows((*one[:3], f"{one.cosine:.7g}") for one in nearest)
    written = scores if given.tables else facts
    (out / SCORES).write_text(json_page(written), encoding="utf-8")
    facts["neighbours"] = {
        word: [n.neighbour for n in nearest if n.word == word][:LISTED] for word in words
    }
    size = {"words": len(vectors), "dimensions": vectors.dimensions}
    facts["vectors"] = {"use": settings.use, **size}
    points, epochs = ([], []) if trained is None else read_history(trained)
    shown = {name: tables.get(name, table([], {})) for name in TABLES}
    return facts, Findings(vectors, points, epochs, words, **shown)


def probe_words(
    vectors: WordVectors, settings: Evaluate, suggested: Sequence[str] | None
) -> list[str]:
    """Return the words whose nearest neighbors are listed.

    The words are taken from the settings, from `suggested`, or from the vocabulary, in this order.
    """
    if unknown := [word for word in settings.probes or () if vectors.find(word) is None]:
        line = f"evaluate.probes: {', '.join(unknown)} not in the vocabulary, so left out"
        warnings.warn(line, stacklevel=2)
    rows = dict.fromkeys(map(vectors.find, settings.probes or suggested or ()))
    words = [vectors.words[row] for row in rows if row is not None]
    return words or evaluate.probe_words(vectors, PROBES)


def table(rows: Sequence[Any], columns: Mapping[str, str]) -> "pd.DataFrame":
    """Return a data frame with the given columns and dtypes; missing values are NaN."""
    import pandas as pd

    named = bool(rows) and isinstance(rows[0], dict)
    frame = pd.DataFrame(rows, columns=None if named else list(columns))
    return frame.reindex(columns=list(columns)).astype(dict(columns))
