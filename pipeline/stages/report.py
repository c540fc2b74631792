"""The plots and the HTML report of a run, made at its end or later from cached results."""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import numpy as np

from pipeline.cache import store
from pipeline.cache.store import Entry
from pipeline.config.settings import REPORT_WANTED, Tracking
from pipeline.runtime.write_errors import explain_write_errors
from pipeline.stages.base import code_of
from pipeline.stages.vocab import IDS
from pipeline.tracking import reopen
from pipeline.tracking.tracker import Tracker
from w2v.errors import InputError
from w2v.evaluate.settings import Evaluate
from w2v.files import digest, written_aside
from w2v.report.comparisons import CHANGE, compare_texts
from w2v.report.evaluation import evaluate_vectors
from w2v.report.figures import MAP, Counts, draw, read_pictures
from w2v.report.findings import Findings
from w2v.report.report import REPORT, write_report
from w2v.text.tokens import read_counts
from w2v.vectors import Use, WordVectors

NAME = "report"
"""The name of the folder in the cache with the plots of runs."""

SUMMARY, LATER = "summary.json", "report.json"
"""Files of a run: its summary; and its title and the command to rerun it, for a later report."""

WRITTEN = (
    *(LATER, REPORT, MAP, CHANGE, "complexity.png", "slopes.csv", "timings.csv"),
    *("benchmark.csv", "trials.csv", SUMMARY),
)
"""Files that a run may leave in its folder; a later run there removes them, the summary last."""


@dataclass(frozen=True)
class Ended:
    """A finished run, as its report needs it: folders, cached results, summary, title, command."""

    run_dir: Path
    outputs: Path  # the folder of the cache
    entries: Mapping[str, Entry]  # the results by stage
    summary: Mapping[str, Any]  # the content of summary.json
    title: str
    command: str  # repeats the run

    @property
    def trained(self) -> Path | None:
        """The folder of the result of training; ``None`` if nothing was trained."""
        return self.entries["train"].path if "train" in self.entries else None

    @property
    def settings(self) -> Evaluate:
        """The settings of the run's stage ``evaluate``."""
        return Evaluate(**self.summary["config"]["evaluate"])

    @property
    def shown(self) -> dict[str, Any]:
        """The title, and the settings that change the plots: a part of the plots' cache key."""
        names = ("map", "map_words", "vocabulary")
        return {"title": self.title, **{name: getattr(self.settings, name) for name in names}}

    @property
    def upstream(self) -> dict[str, str]:
        """The cache key of the result of each stage of the run, by stage."""
        return {name: entry.key for name, entry in self.entries.items()}

    @property
    def key(self) -> str:
        """The cache key of the plots of the run's report."""
        return store.stage_key(NAME, digest(code_of(__name__)), self.shown, self.upstream)

    def findings(self, out: Path) -> Findings:
        """Evaluate the run's vectors anew; write scores and tables to `out`; return data for plots.

        `InputError` is raised if a file named in its settings has changed since the run.
        """
        before = self.entries["evaluate"].settings["evaluate"]
        for name, content in self.settings.contents().items():
            if content != before[name]:
                raise InputError(
                    f"evaluate.{name}: a file has changed since the scores of this run were made; "
                    "start the run again for scores of the new content"
                )
        suggested = self.summary["config"]["corpus"].get("probes") if self.trained else None
        return evaluate_vectors(out, self.settings, self.trained, suggested)[1]

    def counts(self) -> Counts | None:
        """Return word counts and which words are in the vocabulary; None if nothing was trained."""
        if self.trained is None:
            return None
        kept = np.load(self.entries["vocab"].path / IDS, allow_pickle=False) >= 0
        return Counts(read_counts(self.entries["tokenize"].path), kept)


def make_report(
    run: Ended, tracker: Tracker, findings: Findings | None = None, verify: bool = False
) -> list[Path]:
    """Draw the plots of a run, write its HTML report, and add these files to its MLflow run.

    Return the paths of the report and, with ``evaluate.compare``, of a page that compares trained
    vectors with those of another text (if it cannot be made, a warning is printed). Cached plots
    are reused; with ``verify``, their SHA-256 is checked. Plots that are not cached are drawn from
    ``findings`` or, if ``findings`` is ``None``, from a new evaluation of the vectors.
    """
    settings = run.settings

    def make(out: Path) -> dict[str, Any]:
        draw(
            out,
            findings or run.findings(out),
            title=run.title,
            kept_epoch=run.summary["train"]["kept_epoch"] if run.trained else None,
            counts=run.counts(),
            methods=settings.map,
            map_words=settings.map_words,
            vocabulary=settings.vocabulary,
        )
        return {}

    with explain_write_errors(run.outputs, NAME):
        folder = run.outputs / "cache" / NAME
        about = {"settings": run.shown, "upstream": run.upstream}
        drawn = store.find_or_make(folder, run.key, about, make, verify=verify).path
        tables = sorted([*drawn.glob("*.csv"), *drawn.glob("*.parquet")])
        written = [run.run_dir / REPORT]
        if settings.compare and run.trained:
            vectors = WordVectors.load(run.trained, cast(Use, settings.use))
            try:
                written.append(compare_texts(run.run_dir, vectors, run.summary["config"]))
            except InputError as error:  # the scores are made, and stay
                print(f"warning: there is no {CHANGE}: {error}", file=sys.stderr)
        write_report(
            written[0],
            drawn if tables else run.entries["evaluate"].path,
            drawn,
            run.summary,
            run.trained,
            title=run.title,
            command=run.command,
            when=datetime.now().astimezone(),
            change_page=CHANGE if len(written) > 1 else None,
        )
        maps = []
        if (drawn / MAP).exists():
            maps.append(Path(shutil.copyfile(drawn / MAP, run.run_dir / MAP)))
    tracker.files([drawn / picture.file for picture in read_pictures(drawn)], "plots")
    tracker.files(tables, "tables")
    tracker.files([*written, *maps], "")
    return written


def report_later(run_dir: Path) -> list[Path]:
    """Write the HTML report of an earlier job of a sweep, and add it to the job's MLflow run.

    Return the paths of the HTML files. Raise `InputError` if scores or cached results are missing.
    """
    run = read_ended(run_dir)
    tracking = Tracking(**run.summary["config"]["tracking"])
    with reopen(tracking, run.outputs, run.summary["mlflow_run_id"]) as tracker:
        return make_report(run, tracker)


def remove_earlier(run_dir: Path) -> None:
    """If `run_dir` has an earlier run's summary, remove that run's files: those in `WRITTEN`."""
    for name in WRITTEN if (run_dir / SUMMARY).exists() else ():
        (run_dir / name).unlink(missing_ok=True)


def leave_for_later(run: Ended) -> None:
    """Save the title and the command of a run in its folder, where `report_later` reads them."""
    with written_aside(run.run_dir / LATER) as aside:
        text = json.dumps({"title": run.title, "command": run.command}, ensure_ascii=False)
        aside.write_text(text, encoding="utf-8")


def read_ended(run_dir: Path) -> Ended:
    """Load the job of a sweep in the folder `run_dir`, with its results from the cache.

    `InputError` is raised if `run_dir` is not that of a job with scores, or a result is gone.
    """
    try:
        summary, later = (json.loads((run_dir / name).read_bytes()) for name in (SUMMARY, LATER))
        stages: dict[str, Any] = summary["stages"]
        evaluated = Path(stages["evaluate"]["path"])
    except (OSError, ValueError, KeyError, TypeError):
        missing = "" if run_dir.is_dir() else "no such folder; "
        raise InputError(f"report={run_dir}: {missing}must be {REPORT_WANTED}") from None
    # The outputs may have been moved, or the path may start in another folder than this one.
    for outputs in [Path(*evaluated.parts[:-3]), *run_dir.absolute().parents]:
        cache = outputs / "cache"
        found = {name: store.find(cache / name, stage["key"]) for name, stage in stages.items()}
        entries = {name: entry for name, entry in found.items() if entry is not None}
        if len(entries) == len(stages):
            return Ended(run_dir, outputs, entries, summary, **later)
    raise InputError(
        f"report={run_dir}: the cache no longer holds all results of this run; "
        f"its command makes them again: {' && '.join(later['command'].splitlines())}"
    )


def runs_below(path: Path) -> list[Path]:
    """If `path` is a sweep's folder, return its jobs with scores but no report; else [`path`]."""
    jobs = [file.parent for file in path.glob(f"*/{SUMMARY}") if file.parent.name.isdecimal()]
    new = [job for job in jobs if not (job / REPORT).exists()]
    new = [job for job in new if "evaluate" in json.loads((job / SUMMARY).read_bytes())["stages"]]
    return sorted(new, key=lambda job: int(job.name)) if jobs else [path]
