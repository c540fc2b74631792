"""Early stopping: when training ends before its last epoch, and which epoch is the best."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from w2v.errors import InputError
from w2v.training.history import Epoch

HELDOUT_LOSS = "heldout_loss"


@dataclass(frozen=True)
class EarlyStopping:
    """The rule for stopping before the last epoch, by the held-out loss or by a score.

    Attributes
    ----------
    patience
        Training stops if this many successive epochs bring no improvement. The vectors of the best
        epoch are kept.
    min_gain
        The loss must fall, or the score rise, by more than this from the best so far to count as an
        improvement. For the loss, it is in nats per pair.
    watch
        What has to improve: ``heldout_loss``, or one of the names in `Epoch.scores`.
    """

    patience: int
    min_gain: float = 0.0
    watch: str = HELDOUT_LOSS

    def check(self, scores: Mapping[str, float]) -> None:
        """Raise an error if `scores` lacks the score that the attribute `watch` names.

        Parameters
        ----------
        scores
            The defined scores of the current vectors, by name. A score that is undefined for these
            vectors is missing.

        Raises
        ------
        InputError
            The score is missing. This is never raised if `watch` is ``heldout_loss``.
        """
        if self.watch != HELDOUT_LOSS and self.watch not in scores:
            raise InputError(
                f"watch={self.watch}: must be a score that is defined, or heldout_loss; probably "
                "too few of the benchmark's words are in the vocabulary"
            )

    def stops(self, epochs: Sequence[Epoch]) -> bool:
        """Return whether training stops early, given the results of all epochs so far."""
        return len(epochs) > 0 and len(epochs) - self.best(epochs) >= self.patience

    def best(self, epochs: Sequence[Epoch]) -> int:
        """Return the number, from 1, of the best epoch: the last that brought an improvement.

        Each epoch is compared with the best one before it. If no epoch has the loss or score that
        `watch` names, the first epoch is the best. `epochs` must not be empty.
        """
        best, most = epochs[0].epoch, -math.inf
        for epoch in epochs:
            value = epoch.scores.get(self.watch)
            if self.watch == HELDOUT_LOSS and epoch.heldout_loss is not None:
                value = -epoch.heldout_loss
            if value is not None and value > most + self.min_gain:
                best, most = epoch.epoch, value
        return best
