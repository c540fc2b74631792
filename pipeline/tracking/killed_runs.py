"""Close runs that are still open because their process was killed."""

from pathlib import Path

from filelock import FileLock, Timeout
from mlflow import MlflowClient

from pipeline.tracking.process import TAG, has_ended

JOB_SECONDS = 10.0
"""How long a job of a sweep that has ended may take to stop."""


def close_killed_runs(client: MlflowClient, experiment_id: str) -> None:
    """Close the open runs of an experiment whose process has certainly ended."""
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        if has_ended(run.data.tags.get(TAG, "")):
            client.set_terminated(run.info.run_id, "KILLED")


def close_killed_sweeps(client: MlflowClient, run_id: str) -> None:
    """Close the open runs of killed sweeps and of their jobs, except for the run ``run_id``.

    A sweep holds the lock in its folder as long as it runs. If the folder does not exist on this
    machine, the sweep may run on another one and its runs stay open.
    """
    experiment_id = client.get_run(run_id).info.experiment_id
    open_sweeps = "attributes.status = 'RUNNING' and tags.kind = 'sweep'"
    for run in client.search_runs([experiment_id], open_sweeps, max_results=1000):
        folder = Path(run.data.tags.get("sweep_dir", ""))
        if run.info.run_id != run_id and _is_free(folder / ".lock"):
            close_killed_jobs(client, run.info.run_id)
            _close(client, run.info.run_id)


def close_killed_jobs(client: MlflowClient, sweep_run_id: str) -> None:
    """Close the open runs of an ended sweep's jobs.

    A job holds the lock in its folder while it runs.
    """
    run = client.get_run(sweep_run_id)
    open_jobs = f"attributes.status = 'RUNNING' and tags.`mlflow.parentRunId` = '{sweep_run_id}'"
    for job in client.search_runs([run.info.experiment_id], open_jobs, max_results=10_000):
        folder = Path(run.data.tags["sweep_dir"]) / job.data.tags.get("job", "")
        if _is_free(folder / ".lock", JOB_SECONDS):
            _close(client, job.info.run_id)


def _close(client: MlflowClient, run_id: str) -> None:
    client.set_tag(run_id, "failure", "its process was killed")
    client.set_terminated(run_id, "KILLED")


def _is_free(lock: Path, seconds: float = 0.0) -> bool:
    """Return whether a lock file exists and no process holds it, at the latest in ``seconds``."""
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=seconds):
            return True
    except Timeout:
        return False
