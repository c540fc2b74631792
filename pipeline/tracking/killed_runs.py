"""Close MLflow runs that are still RUNNING because their process was killed.

A process holds a lock on a file during its run. The system releases the lock even after ``kill
-9``. The path of the file is a tag of the run.
"""

from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout
from mlflow import MlflowClient

TAG = "w2v.lock"
FOLDER = ".running"

JOB_SECONDS = 10.0
"""How long a job may take to stop after its sweep has ended."""


def run_lock(outputs: Path) -> FileLock:
    """Return a lock on a new file, which any thread may release."""
    path = outputs.absolute() / FOLDER / f"{uuid4().hex}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path, thread_local=False)


def unlock(lock: FileLock) -> None:
    """Release a lock, and delete its file."""
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release(force=True)


def close_killed_runs(client: MlflowClient, experiment_id: str, sweep: str | None = None) -> None:
    """Set the status of runs whose process was killed to KILLED.

    ``sweep`` is the run ID of a sweep that has ended; each of its jobs gets ten seconds to stop.
    """
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        path = Path(run.data.tags.get(TAG, ""))
        # The file of a run on another machine does not exist here. Other folders are not touched.
        if path.parent.name != FOLDER or not path.is_file():
            continue
        is_job = sweep is not None and run.data.tags.get("mlflow.parentRunId") == sweep
        with suppress(Timeout), FileLock(path, timeout=JOB_SECONDS if is_job else 0):
            # The process may have closed the run after the search.
            if client.get_run(run.info.run_id).info.status == "RUNNING":
                client.set_tag(run.info.run_id, "failure", "its process was killed")
                client.set_terminated(run.info.run_id, "KILLED")
            path.unlink(missing_ok=True)
