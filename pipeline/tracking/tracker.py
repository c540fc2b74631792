"""The interface `Tracker`: what can be recorded of a run. This class itself records nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from w2v.training.history import Epoch, Point


class Tracker:
    """Record nothing: used with ``tracking=none``, and the base class of `MlflowTracker`."""

    run_id: str | None = None

    def tag(self, tags: Mapping[str, str]) -> None:
        """Record tags, by which runs can be searched."""

    def note(self, markdown: str) -> None:
        """Record the description of the run."""

    def dataset(
        self, name: str, digest: str, origin: str | Sequence[str], profile: Mapping[str, int]
    ) -> None:
        """Record the text that a run reads: a hash of it, where it is, and its size."""

    def point(self, point: "Point") -> None:
        """Record the loss and the learning rate at a point of the training."""

    def epoch(self, epoch: "Epoch", words: int) -> None:
        """Record an epoch after its end; ``words`` were read by then, over all epochs."""

    def history(self, points: "Sequence[Point]", epochs: "Sequence[Epoch]") -> None:
        """Record a whole training from the cache, with the metrics that a new one records."""

    def scores(self, scores: Mapping[str, float], words: int) -> None:
        """Record final figures as metrics at the step ``words``."""

    def files(self, paths: Sequence[Path], folder: str) -> None:
        """Add files to a folder of the run's artifacts; ``""`` is the top folder.

        They are copied, but a file of the cache or of a sweep, which nobody changes, gets
        another name in the artifacts (a hard link) where those are on the same disk.
        """

    def table(self, csv: Path, name: str, grouped: tuple[str, str] | None = None) -> None:
        """Record a CSV file as a table that MLflow's UI shows, and compares between runs.

        ``name`` ends in ``.json``. With two columns in ``grouped``, the table has one row for each
        value of the first, with all values of the second in one cell.
        """

    def model(self, folder: Path) -> None:
        """Record the vectors of a folder as an MLflow model, which can be loaded and served."""

    def choose_model(self, run_id: str) -> None:
        """Give the alias of ``tracking.register`` to the model version of another run."""

    def close_killed_jobs(self) -> None:
        """Close the runs of this sweep's jobs whose process was killed."""
