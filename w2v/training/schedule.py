"""The settings of a training: number of epochs, learning rate, held-out text, early stopping."""

from dataclasses import dataclass

from w2v.limits import above, at_least, fraction, text
from w2v.settings import Settings, setting
from w2v.training.early_stopping import HELDOUT_LOSS, EarlyStopping


@dataclass(frozen=True)
class Schedule(Settings):
    """The number of epochs, and a learning rate that falls linearly."""

    epochs: int = setting("passes over the text", at_least(1), 5)
    lr: float = setting("learning rate at the start", above(0), 0.025)
    min_lr: float = setting(
        "learning rate at the end; it falls linearly, by words read", at_least(0), 1e-4
    )
    decay_epochs: int | None = setting(
        "the rate falls over this many epochs and then stays, so that a larger number of epochs "
        "can continue a finished run; null: over all epochs",
        at_least(1),
        None,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_lr > self.lr:
            self.refuse("min_lr", f"from 0 to lr={self.lr}")

    @property
    def horizon(self) -> int:
        """The number of epochs over which the learning rate falls."""
        return self.decay_epochs or self.epochs

    def rate(self, progress: float) -> float:
        """Return the learning rate at a point of the training.

        `progress` is the number of words read so far, divided by the number of words that are read
        in `horizon` epochs. From 1 on, the rate is `min_lr`.
        """
        return self.lr + (self.min_lr - self.lr) * progress if progress < 1 else self.min_lr


@dataclass(frozen=True)
class TrainingSettings(Schedule):
    """Settings of a training: schedule, held-out text, early stopping, checkpoints and others."""

    heldout: float = setting(
        "fraction of the documents, or of the text where they are few, that is not trained on; "
        "it measures the held-out loss",
        fraction(),
        0.01,
    )
    heldout_seed: int = setting(
        "chooses those documents; apart from seed, so that runs of several seeds compare",
        at_least(0),
        0,
    )
    bootstrap: bool = setting(
        "train on documents drawn with replacement by seed, as many as there are, so that runs of "
        "several seeds show what another text of the same kind would change",
        default=False,
    )
    patience: int | None = setting(
        "stop after this many epochs without a gain in held-out loss, or in the score that watch "
        "names, and keep the best epoch",
        at_least(1),
        None,
    )
    min_gain: float = setting(
        "the smallest gain that counts, in nats per pair or in the score", at_least(0), 0.0
    )
    watch: str = setting(
        "what patience watches: heldout_loss, or a score that evaluate.every computes",
        text("heldout_loss or the name of a score"),
        HELDOUT_LOSS,
    )
    init: str | None = setting(
        "initial vectors: a run, or a folder or file of vectors in any format that is read",
        text("a folder or a file"),
        None,
    )
    checkpoint_every: float | None = setting(
        "seconds between checkpoints, more where writing them would take over 1 % of the time; "
        "null: only when the run is stopped",
        at_least(0),
        60.0,
    )
    checkpoint_words: int | None = setting(
        "write a checkpoint every this many words, too", at_least(1), None
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patience is not None and self.heldout == 0 and self.watch == HELDOUT_LOSS:
            self.refuse("patience", "null where heldout=0: held-out text is what it is judged by")

    @property
    def early_stopping(self) -> EarlyStopping | None:
        """The rule for early stopping; None if training does not stop early."""
        if self.patience is None:
            return None
        return EarlyStopping(self.patience, self.min_gain, self.watch)
