"""The methods that record a run, and the tracking store that the runs of a sweep share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from pipeline.tracking.retries import RetryQueue
    from w2v.training.history import Epoch, Point


class Tracker:
    """A tracker that records nothing; the base class of `MlflowTracker`."""

    run_id: str | None = None

    def tag(self, tags: Mapping[str, str]) -> None:
        """Record tags, by which runs can be searched."""

    def note(self, markdown: str) -> None:
        """Record the description of the run."""

    def dataset(
        self, name: str, digest: str, origin: str | Sequence[str], profile: Mapping[str, int]
    ) -> None:
        """Record a run's text: its name, hash, origin (path, URL or packages), and counts."""

    def point(self, point: "Point") -> None:
        """Record the loss and the learning rate at a point during training."""

    def epoch(self, epoch: "Epoch", words: int) -> None:
        """Record an epoch's losses, speed and scores; ``words`` were read in all epochs so far."""

    def history(self, points: "Sequence[Point]", epochs: "Sequence[Epoch]") -> None:
        """Record the metrics of earlier training: from the cache, or before it was interrupted."""

    def scores(self, scores: Mapping[str, float], words: int) -> None:
        """Record final metrics; their step in MLflow is ``words``, the words read in training."""

    def files(self, paths: Sequence[Path], folder: str) -> None:
        """Add files (or hard links to them) to a folder of the run's artifacts; ``""``: the top."""

    def table(self, csv: Path, name: str, grouped: tuple[str, str] | None = None) -> None:
        """Record a CSV file as a table that MLflow's UI can show and compare between runs.

        ``name``, the path of the artifact, ends in ``.json``. ``grouped`` names two columns: rows
        with equal values in the first are merged, with commas between their values in the second.
        """

    def model(self, folder: Path) -> None:
        """Record the vectors in a folder as an MLflow model, which can be loaded and served."""

    def choose_model(self, run_id: str) -> None:
        """Give the model of the run ``run_id`` the alias in the setting ``tracking.register``."""

    def wait(self) -> None:
        """Wait for the calls so far, also those of jobs in the same queue."""

    def close_killed_jobs(self) -> None:
        """Close the runs of this sweep's jobs whose process was killed."""


class SharedStore:
    """The open store of a sweep, and the queue of the calls to it.

    With a shared queue, the next job starts before the last one is recorded. A launcher sends the
    object to other processes, each of which gets a new one for its jobs.
    """

    def __init__(self) -> None:
        self.opened: tuple[MlflowClient, str, str | None] | None = None  # by the first job
        self.calls: RetryQueue | None = None

    def __reduce__(self) -> Any:
        return SharedStore, ()
