"""The interface `Tracker`: a method for each thing that can be recorded about a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from w2v.training.history import Epoch, Point


class Tracker:
    """Records nothing: used with ``tracking=none``, and the base class of `MlflowTracker`."""

    run_id: str | None = None

    def tag(self, tags: Mapping[str, str]) -> None:
        """Record tags, by which runs can be searched."""

    def note(self, markdown: str) -> None:
        """Record the description of the run."""

    def dataset(
        self, name: str, digest: str, origin: str | Sequence[str], profile: Mapping[str, int]
    ) -> None:
        """Record the text that a run reads: its name, a hash, where it is, and its size."""

    def point(self, point: "Point") -> None:
        """Record the loss and the learning rate at a point of the training."""

    def epoch(self, epoch: "Epoch", words: int) -> None:
        """Record the losses of an epoch; ``words`` counts the words read in all epochs so far."""

    def history(self, points: "Sequence[Point]", epochs: "Sequence[Epoch]") -> None:
        """Record the metrics of a whole training that is in the cache, as if it ran now."""

    def scores(self, scores: Mapping[str, float], words: int) -> None:
        """Record final metrics at the step ``words``."""

    def files(self, paths: Sequence[Path], folder: str) -> None:
        """Add files to a folder of the run's artifacts; ``""`` is the top folder.

        They are copied, but a file of the cache or of a sweep, which nobody changes, is recorded as
        a hard link if the artifacts are on the same disk.
        """

    def table(self, csv: Path, name: str, grouped: tuple[str, str] | None = None) -> None:
        """Record a CSV file as a table that MLflow's UI shows, and compares between runs.

        ``name``, the path of the artifact, ends in ``.json``. If ``grouped`` has two columns, the
        table has one row for each value of the first, with all values of the second in one cell.
        """

    def model(self, folder: Path) -> None:
        """Record the vectors of a folder as an MLflow model, which can be loaded and served."""

    def choose_model(self, run_id: str) -> None:
        """Give the alias in ``tracking.register`` to the model registered by run ``run_id``."""

    def close_killed_jobs(self) -> None:
        """Close the runs of this sweep's jobs whose process was killed."""
