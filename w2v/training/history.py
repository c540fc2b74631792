"""The history of a training: losses and times of each epoch, and of parts of an epoch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from w2v.engines import Tally


class Point(NamedTuple):
    """The state of a training after a shard, a part of the text that is trained on in one call.

    Attributes
    ----------
    epoch
        The number of the epoch, from 1.
    words
        The number of in-vocabulary tokens read so far in all epochs, before sub-sampling.
    loss
        The mean loss per pair in this shard, in nats. None if it has no pair or if the engine does
        not report a loss.
    lr
        The learning rate at the end of the shard.
    seconds
        The training time so far, in all epochs.
    """

    epoch: int
    words: int
    loss: float | None
    lr: float
    seconds: float


@dataclass(frozen=True)
class Epoch:
    """The results of one epoch, a pass over the text.

    Attributes
    ----------
    epoch
        The number of the epoch, from 1.
    loss
        The mean loss per pair, in nats, weighted as in `pairs`. A pair's loss is computed before
        the update to which the pair contributes. None if the engine does not report it.
    heldout_loss
        The mean loss per pair on the held-out text after the epoch, in nats. None if there are no
        held-out pairs.
    lr
        The learning rate at the end of the epoch.
    words
        The number of in-vocabulary tokens read, before sub-sampling.
    pairs
        The summed weight of the (center, outside) pairs; with a dynamic window, a pair's weight is
        the probability that the window contains it, otherwise 1. For CBOW, the number of predicted
        words. None if the engine does not report it.
    seconds
        The training time of this epoch.
    scores
        Scores of the vectors after the epoch, by name; empty if none were computed.
    """

    epoch: int
    loss: float | None
    heldout_loss: float | None
    lr: float
    words: int
    pairs: float | None
    seconds: float
    scores: dict[str, float] = field(default_factory=dict)


@dataclass
class TrainState:
    """The progress and history of a training, without the vectors (see `Snapshot`).

    Attributes
    ----------
    epoch, shard
        What to train on next: the number of the epoch, from 1, and of the shard (a part of the
        text) in it, from 0.
    words
        The number of in-vocabulary tokens read so far, in all epochs.
    seconds
        The training time of all finished epochs.
    tally
        The numbers of words and pairs, and the summed loss, of the current epoch so far.
    epoch_seconds
        The training time of the current epoch so far.
    epochs, points
        The results of each finished epoch, and of each shard of all epochs.
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
        """Return the state as a dict that can be written as JSON, for `from_json`."""
        return {
            **vars(self),
            "tally": list(self.tally),
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "points": [list(point) for point in self.points],
        }

    @classmethod
    def from_json(cls, progress: Mapping[str, Any]) -> "TrainState":
        """Return the state from the values that `to_json` returned."""
        return cls(
            **{
                **progress,
                "tally": Tally(*progress["tally"]),
                "epochs": [Epoch(**epoch) for epoch in progress["epochs"]],
                "points": [Point(*point) for point in progress["points"]],
            }
        )
