"""The stage ``evaluate``: computes scores and tables of word vectors, and writes the report."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.cache.store import Entry
from pipeline.config.settings import Config
from pipeline.stages.base import Context, Make, Stage
from pipeline.stages.report import Ended, leave_for_later, make_report
from w2v.errors import InputError
from w2v.evaluate.metrics import check_benchmarks, figures, score_lines
from w2v.report.comparisons import check_bootstraps
from w2v.report.evaluation import NEIGHBOURS, evaluate_vectors
from w2v.vectors.formats import export

EXPORTS = "exports"


class Evaluation(Stage):
    """Evaluates the word vectors of the run, or vectors from a file.

    It writes scores, answers to benchmark items, tables as Parquet and CSV, and the vectors in the
    formats of ``evaluate.export``. For a job of a sweep, ``neighbours.csv`` is the only table.
    """

    name = "evaluate"
    section, groups = "evaluate", ("evaluate",)
    consumes = ("train",)

    def check(self, config: Config) -> None:
        settings = config.evaluate
        settings.check_paths()
        if settings.compare is not None and settings.vectors is None:
            check_bootstraps(settings.compare, config.train.bootstrap)
        try:
            check_benchmarks(settings)
        except InputError as error:
            raise InputError(f"evaluate.{error}") from None

    def prepare(self, context: Context) -> tuple[dict[str, Any], Make]:
        config = context.config.evaluate
        trained = context.entries["train"].path if "train" in context.entries else None
        suggested = None if trained is None else context.config.corpus.probes
        settings = {key: value for key, value in asdict(config).items() if "sets" not in key}
        settings |= config.contents(context.hashes)  # a hash stands for each file
        kept = "all" if context.job is None else NEIGHBOURS
        key = {"evaluate": settings, "corpus": {"probes": suggested}, "tables": {"kept": kept}}

        def make(out: Path) -> dict[str, Any]:
            brief = context.job is not None
            facts, found = evaluate_vectors(out, config, trained, suggested, brief)
            export(out / EXPORTS, config.export, found.vectors.contents())
            context.findings = found
            return facts

        return key, make

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
        config = context.config.evaluate
        found = {} if config.vectors is None else {"vectors": config.vectors}
        if config.export:
            found["exports"] = str(entry.path / EXPORTS)
        return found

    def finish(
        self, context: Context, entry: Entry, run_dir: Path, summary: Mapping[str, Any]
    ) -> None:
        """Write the report into the folder `run_dir`; print the scores and nearest neighbors.

        For a job of a sweep, only save what `report_later` needs to write a report.
        """
        title, found = context.config.title, context.findings
        run = Ended(run_dir, context.outputs, context.entries, summary, title, context.command)
        if context.job is not None:
            leave_for_later(run)
            return
        with context.display.bar("report"):
            page, *others = make_report(run, context.tracker, found, context.verify)
        context.display.results(
            title, score_lines(entry.facts), entry.facts["neighbours"], os.path.relpath(page)
        )
        for other in others:
            context.display.say(f"report    {os.path.relpath(other)}")
