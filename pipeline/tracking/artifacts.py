"""Upload to MLflow the vectors, files and tables of a run, and the results of a sweep."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline.config.settings import Tracking
from pipeline.tracking import Tracker, reopen
from w2v.files import link_or_copy, written_aside
from w2v.report.evaluation import NEIGHBOURS
from w2v.vectors import NGRAMS, OUTSIDE, SUBWORDS, VECTORS, VOCABULARY

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MODEL_FILES = (VECTORS, VOCABULARY, OUTSIDE, SUBWORDS, NGRAMS)
"""The files of a model that are uploaded if they exist."""


def record_vectors(tracker: Tracker, folder: Path) -> None:
    """Upload the files of a trained model, such as its vectors, from its folder to MLflow."""
    files = [folder / name for name in MODEL_FILES]
    tracker.files([file for file in files if file.is_file()], "vectors")


def record_job_vectors(folder: Path) -> None:
    """If ``tracking.vectors=best``, upload the vectors of the job in `folder`, its sweep's best."""
    summary = json.loads((folder / "summary.json").read_bytes())
    tracking = Tracking(**summary["config"]["tracking"])
    if tracking.vectors == "best" and "train" in summary["stages"]:
        outputs = Path(summary["config"]["outputs"])
        with reopen(tracking, outputs, summary["mlflow_run_id"]) as tracker:
            record_vectors(tracker, Path(summary["stages"]["train"]["path"]))


def record_sweep(tracker: Tracker, folder: Path, summary: Mapping[str, Any], note: str) -> None:
    """Record a sweep's files, metrics, tags and description.

    `summary` is the content of ``summary.json``; `note` is the description in Markdown. If a single
    configuration is best, the model of its best job gets the alias in the setting
    ``tracking.register=name@alias``. If this sweep continues an earlier search that found a better
    job, a model that already has the alias keeps it.
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
    best = summary["best_jobs"]
    if len(best) == 1:  # if there are several, their objectives cannot be compared
        figures["sweep/best"] = mean = summary["best"][0]["mean"]
        runs = {row["job"]: row.get("run_id") for row in summary["jobs"]}
        better = min if summary["direction"] == "minimize" else max
        earlier = summary["earlier_best"]  # the best of a search that this sweep continues
        tracker.choose_model(runs[best[0]], earlier is None or mean == better(mean, earlier))
    tracker.scores(figures, 0)
    tracker.note(note)
    jobs = ", ".join(f"job {job}" for job in best) or "none"
    tracker.tag({"objective": summary["objective"], "best": jobs})


def upload_files(
    client: "MlflowClient", run: "Run", paths: Sequence[Path], folder: str, linked: Path | None
) -> None:
    """Add files to the folder `folder` of a run's artifacts; ``""`` is the top folder.

    If the artifacts are local, files below ``linked`` become hard links where possible; others, or
    all if ``linked`` is None, are copied. If the artifacts are elsewhere, all files are uploaded.
    """
    local = local_folder(run, folder)
    for path in paths:
        if local is None:
            client.log_artifact(run.info.run_id, str(path), folder or None)
        else:
            link = linked is not None and linked in path.absolute().parents
            link_or_copy(path, local / path.name, link=link)


def upload_table(
    client: "MlflowClient", run: "Run", csv: Path, name: str, grouped: tuple[str, str] | None
) -> None:
    """Add a CSV file to a run's artifacts, as a JSON table with the path `name` for MLflow's UI.

    With `grouped` = (a, b), keep columns a and b: one row per value of a, its b's joined by commas.
    """
    import pandas as pd

    words = dict.fromkeys(grouped or (), "str")  # "null" and "007" are words; only "" is missing
    table = pd.read_csv(csv, keep_default_na=False, na_values=[""], dtype=words)
    if grouped is not None:
        row, cell = grouped
        table = table.groupby(row, sort=False)[cell].agg(", ".join).reset_index()
    # MLflow's UI reads a dot in a column's name as a path into nested objects.
    table = table.rename(columns=lambda key: key.replace(".", "/"))
    text = table.to_json(orient="split", index=False, date_format="iso")
    folder, _, file = name.rpartition("/")
    local = local_folder(run, folder)
    if local is None:
        client.log_text(run.info.run_id, text, name)
    else:
        with written_aside(local / file) as aside:
            aside.write_text(text, encoding="utf-8")


def local_folder(run: "Run", folder: str) -> Path | None:
    """Create and return `folder` among a run's artifacts; ``None`` if these are not local files."""
    address = urlsplit(run.info.artifact_uri)
    if address.scheme != "file":
        return None
    local = Path(url2pathname(address.path), folder)
    local.mkdir(parents=True, exist_ok=True)
    return local
