"""`Tracker`, whose methods record a run, and `SharedStore`, which all jobs of a sweep use."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from pipeline.tracking.retries import RetryQueue
    from w2v.training.history import Epoch, Point


class Tracker:
    """Interface to record a run. `MlflowTracker` implements it; this base class records nothing."""

    run_id: str | None = None

    def tag(self, tags: Mapping[str, str]) -> None:
        """Record tags, by which runs can be searched."""

    def note(self, markdown: str) -> None:
        """Record the description of the run."""

    def dataset(
        self, name: str, digest: str, origin: str | Sequence[str], profile: Mapping[str, int]
    ) -> None:
        """Record the text of a run: name, hash, origin (paths, URL or packages), and statistics."""

    def point(self, point: "Point") -> None:
        """Record the loss and the learning rate at a point during training."""

    def epoch(self, epoch: "Epoch", words: int) -> None:
        """Record an epoch's losses, speed and scores; ``words`` were read in all epochs so far."""

    def history(self, points: "Sequence[Point]", epochs: "Sequence[Epoch]") -> None:
        """Record the earlier metrics of a training that is taken from the cache, or resumed."""

    def scores(self, scores: Mapping[str, float], words: int) -> None:
        """Record final metrics; their step in MLflow is ``words``, the words read in training."""

    def files(self, paths: Sequence[Path], folder: str) -> None:
        """Add files, which must not change later, to a folder of artifacts (``""``: the top)."""

    def table(self, csv: Path, name: str, grouped: tuple[str, str] | None = None) -> None:
        """Record a CSV file as a table that MLflow's UI can show and compare between runs.

        ``name``, the path of the artifact, ends in ``.json``. ``grouped``, if given, names two
        columns to keep: rows equal in the first are merged; commas join their values in the second.
        """

    def model(self, folder: Path) -> None:
        """Log the vectors in `folder` as a model; register it if ``tracking.register`` is set."""

    def choose_model(self, run_id: str, move: bool = True) -> None:
        """Give a run's model the alias in ``tracking.register``, if unused or if `move` is true."""

    def wait(self) -> None:
        """Wait until the MLflow calls that any job has queued are made (see `RetryQueue.wait`)."""

    def close_killed_jobs(self) -> None:
        """Set the MLflow status KILLED for each of this sweep's jobs whose process was killed."""


class SharedStore:
    """What the jobs of a sweep share: the open tracking store, and the queue of calls to it.

    Calls that a job has queued may be made after the next job has started. If a launcher pickles
    this object for another process, the copy is empty: jobs there share their own store and queue.
    """

    def __init__(self) -> None:
        self.opened: tuple[MlflowClient, str, str | None] | None = None  # by the first job
        self.calls: RetryQueue | None = None

    def __reduce__(self) -> Any:
        return SharedStore, ()
