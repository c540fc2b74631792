"""The stage ``evaluate``: vectors to scores and tables, and the report on them."""

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pipeline.cache.store import Entry
from pipeline.config.settings import Config, Evaluate
from pipeline.report.findings import TABLES, Findings
from pipeline.stages.base import Context, Make, Stage
from pipeline.stages.report import Ended, leave_for_later, make_report
from w2v import evaluate
from w2v.errors import InputError
from w2v.evaluate.metrics import METRICS, check_benchmarks, compute_scores, figures, score_lines
from w2v.evaluate.metrics.base import MetricInput
from w2v.evaluate.metrics.tables import COLUMNS
from w2v.files import content_sha256
from w2v.training.result import read_history
from w2v.vectors import Use, WordVectors, find_vectors, vector_files

if TYPE_CHECKING:
    import pandas as pd

SCORES = "scores.json"
NEIGHBOURS = "neighbours.csv"
EXPORTS = "exports"

PROBES = 24
"""How many probe words are chosen from a vocabulary."""

LISTED = 5
"""Neighbours of a probe word in the summary."""


class Evaluation(Stage):
    """Computes the metrics of the run's vectors, or of vectors made by any tool.

    It writes ``scores.json``, tables as Parquet and CSV, and exports.
    """

    name = "evaluate"
    section = group = "evaluate"
    consumes = ("train",)

    def check(self, config: Config) -> None:
        settings = config.evaluate
        for name in ("vectors", "compare"):
            if getattr(settings, name) is not None:
                locate(name, getattr(settings, name), cast(Use, settings.use))
        if settings.counts is not None and not Path(settings.counts).is_file():
            raise InputError(f"evaluate.counts={settings.counts}: no such file of words and counts")
        try:
            check_benchmarks(settings)
        except InputError as error:
            raise InputError(f"evaluate.{error}") from None

    def prepare(self, context: Context) -> tuple[dict[str, Any], Make]:
        config = context.config.evaluate
        use = cast(Use, config.use)
        trained = context.entries["train"].path if "train" in context.entries else None
        path = trained or locate("vectors", config.vectors, use)
        other = locate("compare", config.compare, use) if config.compare else None
        suggested = None if trained is None else context.config.corpus.probes
        settings = {
            **asdict(config),
            "suggested": suggested,
            # Files count by their content.
            "vectors": None if trained else content_sha256(vector_files(path, use)),
            "compare": content_sha256(vector_files(other, use)) if other else None,
            "counts": content_sha256([Path(config.counts)]) if config.counts else None,
            **{
                metric.section: {
                    name: content_sha256([path]) for name, path in metric.benchmarks(config).items()
                }
                for metric in METRICS
            },
        }

        def make(out: Path) -> dict[str, Any]:
            compared = partial(WordVectors.load, other, use) if other else None
            vectors = WordVectors.load(path, use, counts=config.counts, encoding=config.encoding)
            given = MetricInput(vectors, config, compared)
            facts, context.findings = compute(out, given, config, trained, suggested)
            vectors.export(out / EXPORTS, config.export)
            return facts

        return settings, make

    def describe(self, facts: Mapping[str, Any]) -> str:  # noqa: ARG002
        return "scores and tables"

    def record(self, context: Context, entry: Entry) -> None:
        tracker, folder = context.tracker, entry.path
        tracker.scores(figures(entry.facts), context.words)
        tables = [*folder.glob("*.csv"), *folder.glob("*.parquet")]
        tracker.files(sorted(tables), "tables")
        tracker.table(folder / NEIGHBOURS, "tables/neighbours.json", ("word", "neighbour"))
        for path in sorted((folder / EXPORTS).rglob("*.*")):
            tracker.files([path], str(path.parent.relative_to(folder)))

    def files(self, context: Context, entry: Entry) -> dict[str, str]:
        config, found = context.config.evaluate, {}
        if config.vectors is not None:
            found["vectors"] = config.vectors
        if config.export:
            found["exports"] = str(entry.path / EXPORTS)
        return found

    def finish(
        self, context: Context, entry: Entry, run_dir: Path, summary: Mapping[str, Any]
    ) -> None:
        """Write the report and the map into the folder of the run, and show the scores.

        Of a job of a sweep they are written later, if at all.
        """
        title, found = context.config.title, context.findings
        run = Ended(run_dir, context.outputs, context.entries, summary, title, context.command)
        if context.job is not None:
            leave_for_later(run)
            return
        with context.display.bar("report"):
            page = make_report(run, context.tracker, found, context.verify)
        context.display.results(
            title,
            score_lines(entry.facts),
            entry.facts["neighbours"],
            os.path.relpath(page),
        )


def locate(setting: str, path: str | None, use: Use) -> Path:
    """Return where the vectors are that a setting names."""
    try:
        found = find_vectors(str(path))
        vector_files(found, use)
    except InputError as error:
        raise InputError(f"evaluate.{setting}={error}") from None
    return found


def compute(
    out: Path,
    given: MetricInput,
    settings: Evaluate,
    trained: Path | None,
    suggested: Sequence[str] | None,
) -> tuple[dict[str, Any], Findings]:
    """Compute every metric, and write the scores and the tables into a folder.

    ``trained`` is the folder of the training, or None for vectors made elsewhere; ``suggested``
    are the corpus's own probe words. Returns what the summary says and what the pictures show.
    """
    vectors = given.vectors
    words = probe_words(vectors, settings, suggested)
    nearest = evaluate.neighbours(vectors, words, settings.neighbours)
    scores, facts, rows = compute_scores(given)
    columns = COLUMNS | {name: kinds for m in METRICS for name, kinds in m.columns.items()}
    rows = {name: [] for name in TABLES} | rows | {"neighbours": list(nearest)}
    tables = {name: table(found, columns[name]) for name, found in rows.items()}
    for name, frame in tables.items():
        frame.to_csv(out / f"{name}.csv", index=False)
        frame.to_parquet(out / f"{name}.parquet", index=False)
    text = json.dumps(scores, indent=1, ensure_ascii=False, allow_nan=False)
    (out / SCORES).write_text(text, encoding="utf-8")
    facts["neighbours"] = {
        word: [n.neighbour for n in nearest if n.word == word][:LISTED] for word in words
    }
    size = {"words": len(vectors), "dimensions": vectors.dimensions}
    facts["vectors"] = {"use": settings.use, **size}
    points, epochs = ([], []) if trained is None else read_history(trained)
    shown = {name: tables[name] for name in TABLES}
    return facts, Findings(vectors, points, epochs, words, **shown)


def probe_words(
    vectors: WordVectors, settings: Evaluate, suggested: Sequence[str] | None
) -> list[str]:
    """Return the words whose neighbours are listed."""
    if unknown := [word for word in settings.probes or () if vectors.find(word) is None]:
        line = f"evaluate.probes: {', '.join(unknown)} not in the vocabulary, so left out"
        warnings.warn(line, stacklevel=2)
    rows = dict.fromkeys(map(vectors.find, settings.probes or suggested or ()))
    words = [vectors.words[row] for row in rows if row is not None]
    return words or evaluate.probe_words(vectors, PROBES)


def table(rows: Sequence[Any], columns: Mapping[str, str]) -> "pd.DataFrame":
    """Return rows as a table with these columns and dtypes; undefined figures are NaN."""
    import pandas as pd

    named = bool(rows) and isinstance(rows[0], dict)
    frame = pd.DataFrame(rows, columns=None if named else list(columns))
    return frame.reindex(columns=list(columns)).astype(dict(columns))
