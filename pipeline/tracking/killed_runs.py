"""Find runs whose process was killed, and close those that MLflow shows as RUNNING.

A run's process locks a file and deletes it at its end. If it is killed, the file stays, unlocked.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAG = "w2v.lock"
PARENT = "mlflow.parentRunId"  # the tag of a job with the ID of its sweep's run
FOLDER = ".running"
JOB_SECONDS = 10.0  # how long a job may take to stop after its sweep or launcher has ended


def run_lock(outputs: Path, tags: Mapping[str, str], run_id: str) -> FileLock:
    """Return a lock on a new file that shows other processes whether a run's process is alive.

    The lock is not acquired yet; any thread may release it. The file is below `outputs`. Its name
    has `run_id` and, for a job of a sweep, the sweep's run ID and the job's number, from `tags`.
    """
    of_job = f"{tags[PARENT]}.{tags['job']}." if PARENT in tags else ""
    path = outputs.absolute() / FOLDER / f"{of_job}{run_id}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path, thread_local=False)


def unlock(lock: FileLock) -> None:
    """Release a lock, and delete its file."""
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release(force=True)


def wait_for_run(outputs: Path, run_id: str, max_wait: float) -> None:
    """Wait, up to `max_wait` seconds, until a job's MLflow run is closed: its lock file is gone."""
    deadline = monotonic() + max_wait
    while [*(outputs / FOLDER).glob(f"*.{run_id}.lock")] and monotonic() < deadline:
        sleep(0.1)


def lost_jobs(outputs: Path, sweep: str | None) -> dict[int, Path]:
    """Return the lock files of a sweep's jobs whose process was killed, by the number of the job.

    ``sweep`` is the sweep's run ID (None: there are no jobs). A job that still runs is waited for,
    ten seconds at most, and is returned only if its process is killed in that time.
    """
    found: dict[int, Path] = {}
    for path in (outputs.absolute() / FOLDER).glob(f"{sweep}.*.lock"):
        number, ends = int(path.name.split(".")[1]), monotonic() + JOB_SECONDS
        while path.exists() and number not in found and monotonic() < ends:
            with suppress(FileNotFoundError, Timeout), path.open() as f, FileLock(path, timeout=0):
                if os.fstat(f.fileno()).st_nlink:
                    found[number] = path
                else:  # the job has just ended, and `FileLock` has made the file anew
                    path.unlink()
            sleep(0.05)
    return found


def close_killed_runs(
    client: "MlflowClient", experiment_id: str, outputs: Path, sweep: str | None = None
) -> None:
    """Set the status KILLED for an experiment's runs whose process on this machine was killed.

    The process of a run locks a file in ``outputs``, and deletes it when the run ends. If the file
    is left without a lock, the process was killed, and the file is deleted here. A sweep and each
    of its jobs are runs. ``sweep`` is the run ID of a sweep that calls this function at its end,
    otherwise None. Each job of this sweep then gets at least ten seconds to stop, and
    `RuntimeError` is raised if a job was killed before its MLflow run was created.
    """
    closed = []
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        path = Path(run.data.tags.get(TAG, ""))
        # The file of a run on another machine does not exist here. Other folders are not touched.
        if path.parent.name != FOLDER or not path.is_file():
            continue
        is_job = sweep is not None and run.data.tags.get(PARENT) == sweep
        with suppress(Timeout), FileLock(path, timeout=JOB_SECONDS if is_job else 0):
            if client.get_run(run.info.run_id).info.status == "RUNNING":  # not closed meanwhile
                client.set_tag(run.info.run_id, "failure", "its process was killed")
                client.set_terminated(run.info.run_id, "KILLED")
            path.unlink(missing_ok=True)
            closed.append(run.info.run_id)
    for path in [path for one in closed for path in (outputs / FOLDER).glob(f"{one}.*.lock")]:
        with suppress(Timeout), FileLock(path, timeout=0):
            path.unlink(missing_ok=True)
    if sweep is None:
        return
    never = []
    for number, path in sorted(lost_jobs(outputs, sweep).items()):
        path.unlink(missing_ok=True)
        of_job = f"tags.`{PARENT}` = '{sweep}' and tags.job = '{number}'"
        never += [str(number)] * (not client.search_runs([experiment_id], of_job))
    if never:
        raise RuntimeError(f"killed before they were recorded: jobs {', '.join(never)}")
