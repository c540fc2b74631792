"""Training: epochs over a text, whatever the engine."""

import math
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Engine, Tally, Task, make_engine
from w2v.engines.numpy import NumpyEngine
from w2v.errors import InputError
from w2v.objectives import Model, SkipGram, initial_model
from w2v.sampling import generator
from w2v.text.tokens import Text, hold_out
from w2v.training.checkpoint import Checkpoints, Snapshot


def nothing(objective: SkipGram) -> InputError:
    """Says that no pair of words is left to learn from, and what would help."""
    if objective.subsample:
        return InputError(
            "there is nothing to learn from: sub-sampling leaves no document two words of the "
            "vocabulary; lower vocab.min_count, set model.subsample=0 or give longer documents"
        )
    return InputError(
        "there is nothing to learn from: no document holds two words of the vocabulary; "
        "lower vocab.min_count or give longer documents"
    )


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes
    ----------
    epochs
        Passes over the text.
    lr, min_lr
        The learning rate falls linearly, by words read, from the first to the second.
    decay_epochs
        ... over so many epochs, and stays there; ``None``: over all of them. With a number,
        fewer epochs are the beginning of more epochs.
    """

    epochs: int = 5
    lr: float = 0.025
    min_lr: float = 1e-4
    decay_epochs: int | None = None

    @property
    def horizon(self) -> int:
        """The epochs over which the learning rate falls."""
        return self.decay_epochs or self.epochs

    def rate(self, progress: float) -> float:
        """The learning rate when a part of the horizon's words has been read."""
        return self.lr + (self.min_lr - self.lr) * min(1.0, progress)


@dataclass(frozen=True)
class EarlyStopping:
    """When to stop before the last epoch, judged by the held-out loss.

    Attributes
    ----------
    patience
        Stop after so many epochs without gain. The vectors of the best epoch are kept.
    min_gain
        A held-out loss is better if it is lower by more than this.
    """

    patience: int
    min_gain: float = 0.0

    def best(self, epochs: Sequence["Epoch"]) -> int:
        """The number of the best epoch so far."""
        best = epochs[0]
        for epoch in epochs[1:]:
            assert epoch.heldout_loss is not None
            assert best.heldout_loss is not None
            if epoch.heldout_loss < best.heldout_loss - self.min_gain:
                best = epoch
        return best.epoch


class Point(NamedTuple):
    """The state of training after a piece of text: one row of the history.

    Attributes
    ----------
    epoch
        From 1.
    words
        In-vocabulary words read so far, before sub-sampling, over all epochs.
    loss
        The mean objective per pair in this piece; ``None`` where it held no pair or the engine
        does not tell.
    lr
        The learning rate at its end.
    seconds
        Spent on training so far.
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
    loss
        The mean objective per pair, each pair as it was just before its own update; ``None``
        where the engine does not tell.
    heldout_loss
        The same on the held-out documents after the epoch; ``None`` where none are held out.
    lr
        The learning rate at the end.
    words, pairs, seconds
        Of this epoch alone; pairs are counted by weight, ``None`` where the engine does not tell.
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
    """How far training has come: with the arrays of a `Snapshot`, all of it.

    Attributes
    ----------
    epoch, piece
        The next piece of text to train on: epochs from 1, pieces from 0.
    words, seconds
        Over all epochs; the seconds without those of the epoch in course.
    tally, epoch_seconds
        Of the epoch in course.
    epochs, points
        The history so far.
    """

    epoch: int = 1
    piece: int = 0
    words: int = 0
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    epoch_seconds: float = 0.0
    epochs: list[Epoch] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it, every number exactly."""
        return {
            **vars(self),
            "tally": list(self.tally),
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "points": [list(point) for point in self.points],
        }

    @classmethod
    def from_json(cls, progress: Mapping[str, Any]) -> "TrainState":
        """What `to_json` gave."""
        return cls(
            **{
                **progress,
                "tally": Tally(*progress["tally"]),
                "epochs": [Epoch(**epoch) for epoch in progress["epochs"]],
                "points": [Point(*point) for point in progress["points"]],
            }
        )


class Stopped(Exception):  # noqa: N818 (it is no error)
    """Training was asked to stop, and did; the checkpoint holds all of it."""


@dataclass(frozen=True)
class Trained:
    """What training gives back.

    Attributes
    ----------
    model
        After ``kept_epoch``: the last one, or the best where training may stop early.
    engine_state
        What the engine knows beside the model, after the last epoch.
    """

    model: Model
    epochs: list[Epoch]
    points: list[Point]
    words: int
    seconds: float
    compile_seconds: float
    kept_epoch: int
    engine_state: dict[str, NDArray[Any]]


def train(
    text: Text,
    counts: NDArray[np.int64],
    objective: SkipGram,
    schedule: Schedule,
    *,
    engine: str = "numba",
    threads: int = 1,
    seed: int = 0,
    heldout: float = 0.01,
    heldout_seed: int = 0,
    early: EarlyStopping | None = None,
    initial: Model | None = None,
    start: Snapshot | None = None,
    checkpoints: Checkpoints | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_start: Callable[[int], None] = lambda _: None,
    on_resume: Callable[[TrainState], None] = lambda _: None,
    on_point: Callable[[Point], None] = lambda _: None,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> Trained:
    """Train word vectors.

    Parameters
    ----------
    text
        The documents.
    counts : int64 (V,)
        Of the vocabulary's words.
    engine
        A name in `w2v.engines.ENGINES`.
    heldout
        The fraction of documents that is not trained on and judges each epoch.
    heldout_seed
        Chooses them, and the noise they are judged with. It is apart from ``seed`` so that
        runs which differ in ``seed`` are judged by the same text.
    early
        When to stop before the last epoch.
    initial
        Where to start; `initial_model` otherwise. The engine may work in these arrays.
    start
        The state of a training that ended, see `finished`: its epochs are not repeated. The
        caller answers for the same text, settings and horizon.
    checkpoints
        Written as they fall due; the newest is gone on from, before ``start``. With one thread
        the vectors are those of a training that was never interrupted, bit for bit.
    stop
        Asked after each piece of text; if it says so, the last checkpoint is written and
        `Stopped` raised.
    on_start, on_point, on_epoch
        Called with the words that will be read, after each piece of text, and after each epoch.
    on_resume
        Called after ``on_start`` where training goes on from a state: its history is not told
        again by the others.

    Raises
    ------
    InputError
        Nothing to train on: no document is left two words of the vocabulary. Or the loss is no
        longer finite. Or early stopping without held-out documents.
    Stopped
    """
    training, judged = hold_out(text, heldout, generator(heldout_seed, "heldout"))
    known = training.words()
    if known == 0:
        raise nothing(objective)
    if early and len(judged.spans) == 0:
        raise InputError(
            f"train.patience={early.patience}: no document is held out to judge by; raise "
            f"train.heldout={heldout}, or give more than {len(text.spans):,} documents"
        )
    trainer = make_engine(
        engine,
        Task(
            initial or initial_model(len(counts), objective.dim, generator(seed, "init")),
            objective,
            counts,
            known,
            schedule.horizon,
            threads,
        ),
    )
    judge = trainer if isinstance(trainer, NumpyEngine) else NumpyEngine(trainer.task)
    course = _Course(trainer, schedule, early, seed, given=initial is not None)
    identity = repr((objective, schedule, early, engine, seed, heldout, heldout_seed, known))
    identity += f" {zlib.crc32(counts.tobytes()):08x} {trainer.piece_words}"

    def judged_loss() -> float | None:
        random = generator(heldout_seed, "heldout-noise")
        parts = judged.pieces(judge.piece_words)
        return sum((judge.loss(part, random) for part in parts), Tally()).mean_loss

    on_start(known * schedule.epochs)
    state = (checkpoints.load(identity, course.check) if checkpoints else None) or start
    if state:
        course.restore(state)
        on_resume(course.at)
    if checkpoints:
        checkpoints.begin(course.at.words, course.snapshot().size)
    at = course.at
    while not course.ended():
        # In the order of the corpus the model would follow its drift, from one book or package
        # to the next, and the loss would tell of that rather than of what was learnt.
        order = training.shuffled(generator(seed, "order", at.epoch))
        for piece in order.pieces(trainer.piece_words)[at.piece :]:
            on_point(course.train(piece, known * piece.size / training.size))
            stopping = stop()
            if checkpoints and (stopping or checkpoints.due(at.words)):
                checkpoints.save(identity, at.words, course.snapshot())
            if stopping:
                raise Stopped
        on_epoch(course.end_epoch(judged_loss))
    return course.trained()


class _Course:
    """One training: the model, the engine, and how far they have come."""

    def __init__(
        self,
        engine: Engine,
        schedule: Schedule,
        early: EarlyStopping | None,
        seed: int,
        given: bool,
    ) -> None:
        self.task = engine.task
        self.engine = engine
        self.schedule = schedule
        self.early = early
        self.seed = seed
        self.given = given
        self.at = TrainState()
        self.best: Model | None = None

    def rate(self, words: float) -> float:
        """The learning rate after so many words."""
        return self.schedule.rate(words / (self.task.words * self.schedule.horizon))

    def ended(self) -> bool:
        """Whether no epoch is left, or none of the last few was a gain."""
        epochs = self.at.epochs
        if self.early and epochs and len(epochs) - self.early.best(epochs) >= self.early.patience:
            return True
        return self.at.epoch > self.schedule.epochs

    def train(self, piece: Text, expected: float) -> Point:
        """Train on the next piece, of so many words as far as one can tell beforehand."""
        at = self.at
        random = generator(self.seed, "train", at.epoch, at.piece)
        rates = self.rate(at.words), self.rate(at.words + expected)
        begun = time.perf_counter()
        done = self.engine.train(piece, rates, random)
        at.epoch_seconds += time.perf_counter() - begun - done.setup_seconds
        at.piece += 1
        at.words += done.words
        at.tally += done
        self._check(done.loss)
        seconds = at.seconds + at.epoch_seconds
        point = Point(at.epoch, at.words, done.mean_loss, self.rate(at.words), seconds)
        at.points.append(point)
        return point

    def end_epoch(self, judged_loss: Callable[[], float | None]) -> Epoch:
        """Judge the epoch and go on to the next."""
        at = self.at
        if at.tally.pairs == 0:
            raise nothing(self.task.objective)
        heldout = judged_loss()
        self._check(heldout, "held-out ")
        tally, seconds = at.tally, at.epoch_seconds
        rate = self.rate(at.words)
        epoch = Epoch(at.epoch, tally.mean_loss, heldout, rate, tally.words, tally.pairs, seconds)
        at.epochs.append(epoch)
        at.epoch, at.piece = at.epoch + 1, 0
        at.seconds += seconds
        at.tally, at.epoch_seconds = Tally(), 0.0
        if self.early and self.early.best(at.epochs) == epoch.epoch:
            self.best = Model(*map(np.copy, self.task.model))
        return epoch

    def _check(self, loss: float | None, kind: str = "") -> None:
        if loss is not None and not math.isfinite(loss):
            at = self.at
            raise InputError(
                f"the {kind}loss is not finite in epoch {at.epoch} after {at.words:,} words; "
                f"train.lr={self.schedule.lr} is probably too large"
                + ", or the vectors of train.init too long"
                * self.given
            )

    def snapshot(self) -> Snapshot:
        """All that `restore` needs; the arrays are those in use."""
        arrays = {**self.task.model._asdict(), **prefixed("engine", self.engine.state())}
        if self.best:
            arrays |= prefixed("best", self.best._asdict())
        return Snapshot(self.at.to_json(), arrays)

    def check(self, snapshot: Snapshot) -> None:
        """Raise `ValueError`, or what comes of the wrong type, for what `restore` cannot take."""
        at = TrainState.from_json(snapshot.progress)
        wanted = dict(self.snapshot().arrays)
        past = self.early and at.epochs and self.early.best(at.epochs) != at.epochs[-1].epoch
        if past or any(name.startswith("best.") for name in snapshot.arrays):
            wanted |= prefixed("best", self.task.model._asdict())
        for name, array in wanted.items():
            given = snapshot.arrays[name]
            if (given.shape, given.dtype) != (array.shape, array.dtype):
                raise ValueError(f"{name} is {given.dtype} {given.shape}")

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a state."""
        arrays = snapshot.arrays
        self.at = TrainState.from_json(snapshot.progress)
        for name, array in self.task.model._asdict().items():
            array[:] = arrays[name]
        self.engine.restore(
            {
                name.removeprefix("engine."): array
                for name, array in arrays.items()
                if name.startswith("engine.")
            }
        )
        if "best.center" in arrays:
            self.best = Model(np.array(arrays["best.center"]), np.array(arrays["best.outside"]))
        elif (
            self.early
            and self.at.epochs
            and self.early.best(self.at.epochs) == self.at.epochs[-1].epoch
        ):
            self.best = Model(*map(np.copy, self.task.model))  # a finished state is its own best

    def trained(self) -> Trained:
        """What came out, with the vectors of the best epoch where that was asked for."""
        at, model = self.at, self.task.model
        last = at.epochs[-1].epoch
        kept = self.early.best(at.epochs) if self.early else last
        if kept != last:
            assert self.best is not None
            for array, best in zip(model, self.best, strict=True):
                array[:] = best
        # The last step of all may overshoot after its loss was taken.
        at.epoch = last
        self._check(sum(float(array.sum(dtype=np.float64)) for array in model))
        return Trained(
            model,
            at.epochs,
            at.points,
            at.words,
            at.seconds,
            self.engine.compile_seconds,
            kept,
            self.engine.state(),
        )


def prefixed(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The same arrays as ``prefix.name``."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def finished(
    model: Model,
    engine_state: Mapping[str, NDArray[Any]],
    epochs: list[Epoch],
    points: list[Point],
) -> Snapshot:
    """The state at the end of a training, from what is known of it: to go on with more epochs."""
    words = sum(epoch.words for epoch in epochs)
    seconds = sum(epoch.seconds for epoch in epochs)
    at = TrainState(len(epochs) + 1, 0, words, seconds, epochs=epochs, points=points)
    return Snapshot(at.to_json(), {**model._asdict(), **prefixed("engine", engine_state)})
