"""Record the results of a sweep in the sweep's own MLflow run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.settings import Tracking
from pipeline.stages.train import record_vectors
from pipeline.sweeps.results import read_json
from pipeline.tracking import Tracker, reopen
from w2v.report.evaluation import NEIGHBOURS


def record_sweep(tracker: Tracker, folder: Path, summary: Mapping[str, Any], note: str) -> None:
    """Record the tables, plots, pages, metrics and description of a sweep, and its best model.

    `summary` is the content of ``summary.json``; `note` is the description in Markdown.
    """
    tracker.files(sorted(folder.glob("*.png")), "plots")
    # MLflow's UI compares artifacts by the first table, so that must be one the jobs have, too.
    tables = sorted(folder.glob("*.csv"), key=lambda csv: (csv.name != NEIGHBOURS, csv.name))
    tracker.files(sorted([*tables, *folder.glob("*.parquet")]), "tables")
    for csv in tables:
        if csv.stat().st_size > 1:
            grouped = ("word", "neighbour") if csv.name == NEIGHBOURS else None
            tracker.table(csv, f"tables/{csv.stem}.json", grouped)
    tracker.files([folder / "summary.json", *sorted(folder.glob("*.html"))], "")
    finished = summary["counts"].get("finished", 0)
    figures = {
        "sweep/finished": finished,
        "sweep/failed": sum(summary["counts"].values()) - finished,
        "sweep/trained": summary["trained"],
        "sweep/seconds": summary["seconds"],
    }
    best = [row["jobs"].split()[0] for row in summary["best"]]
    if len(best) == 1:  # if there are several, their objectives cannot be compared
        figures["sweep/best"] = summary["best"][0]["mean"]
        runs = {str(row["job"]): row.get("run_id") for row in summary["jobs"]}
        tracker.choose_model(runs[best[0]])
    tracker.scores(figures, 0)
    tracker.note(note)
    jobs = ", ".join(f"job {job}" for job in best) or "none"
    tracker.tag({"objective": summary["objective"], "best": jobs})


def record_job_vectors(folder: Path) -> None:
    """Record a job's vectors in the job's MLflow run, if ``tracking.vectors=best``."""
    summary = read_json(folder / "summary.json")
    tracking = Tracking(**summary["config"]["tracking"])
    if tracking.vectors == "best" and "train" in summary["stages"]:
        outputs = Path(summary["config"]["outputs"])
        with reopen(tracking, outputs, summary["mlflow_run_id"]) as tracker:
            record_vectors(tracker, Path(summary["stages"]["train"]["path"]))
