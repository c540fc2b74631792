"""The history of a training: a point after every shard of the text, a line for every epoch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from w2v.engines import Tally


class Point(NamedTuple):
    """The state of training after a shard of the text.

    Attributes
    ----------
    epoch
        From 1.
    words
        Words of the vocabulary read so far, before sub-sampling, over all epochs.
    loss
        The mean loss per pair in this shard. None if it held no pair or the engine does not
        report a loss.
    lr
        The learning rate at its end.
    seconds
        Time spent on training so far.
    """

    epoch: int
    words: int
    loss: float | None
    lr: float
    seconds: float


@dataclass(frozen=True)
class Epoch:
    """One pass over the text.

    Attributes
    ----------
    epoch
        From 1.
    loss
        The mean loss per pair, each pair's computed just before its own update. None if the
        engine does not report a loss.
    heldout_loss
        The mean loss per pair on the held-out documents, after the epoch. None if no documents
        are held out.
    lr
        The learning rate at the end.
    words, pairs, seconds
        The words, the pairs by weight and the time of this epoch alone. ``pairs`` is None if the
        engine does not report it.
    """

    epoch: int
    loss: float | None
    heldout_loss: float | None
    lr: float
    words: int
    pairs: float | None
    seconds: float


@dataclass
class TrainState:
    """How far a training has come. With the arrays of a snapshot, it is the whole state.

    Attributes
    ----------
    epoch, shard
        The next shard of the text to train on: epochs from 1, shards from 0.
    words
        Words read over all epochs.
    seconds
        Time of all finished epochs.
    tally, epoch_seconds
        Sums and time of the current epoch.
    epochs, points
        The history so far.
    """

    epoch: int = 1
    shard: int = 0
    words: int = 0
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    epoch_seconds: float = 0.0
    epochs: list[Epoch] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON values; numbers stay exact."""
        return {
            **vars(self),
            "tally": list(self.tally),
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "points": [list(point) for point in self.points],
        }

    @classmethod
    def from_json(cls, progress: Mapping[str, Any]) -> "TrainState":
        """Return the state that `to_json` wrote."""
        return cls(
            **{
                **progress,
                "tally": Tally(*progress["tally"]),
                "epochs": [Epoch(**epoch) for epoch in progress["epochs"]],
                "points": [Point(*point) for point in progress["points"]],
            }
        )
