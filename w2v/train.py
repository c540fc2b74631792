"""Training: epochs over a text, whatever the engine."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally, Task, make_engine
from w2v.engines.numpy import NumpyEngine
from w2v.errors import InputError
from w2v.model import Model, SkipGram, initial_model
from w2v.sampling import generator
from w2v.tokens import Text, hold_out

NOTHING = (
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
    """

    epochs: int = 5
    lr: float = 0.025
    min_lr: float = 1e-4

    def rate(self, progress: float) -> float:
        """The learning rate when a part of all words, 0 to 1, has been read."""
        return self.lr + (self.min_lr - self.lr) * min(1.0, progress)


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


@dataclass(frozen=True)
class Trained:
    """What training gives back."""

    model: Model
    epochs: list[Epoch]
    points: list[Point]
    words: int
    seconds: float
    compile_seconds: float


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
    on_start: Callable[[int], None] = lambda _: None,
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
    on_start, on_point, on_epoch
        Called with the words that will be read, after each piece of text, and after each epoch.

    Raises
    ------
    InputError
        Nothing to train on: no document holds two words of the vocabulary. Or the loss is no
        longer finite.
    """
    training, judged = hold_out(text, heldout, generator(heldout_seed, "heldout"))
    known = training.words()
    if known == 0:
        raise InputError(NOTHING)
    trainer = make_engine(
        engine,
        Task(
            initial_model(len(counts), objective.dim, generator(seed, "init")),
            objective,
            counts,
            known,
            schedule.epochs,
            threads,
        ),
    )
    judge = trainer if isinstance(trainer, NumpyEngine) else NumpyEngine(trainer.task)

    def judged_loss() -> float | None:
        random = generator(heldout_seed, "heldout-noise")
        parts = judged.pieces(judge.piece_words)
        return sum((judge.loss(part, random) for part in parts), Tally()).mean_loss

    total = known * schedule.epochs
    on_start(total)
    epochs: list[Epoch] = []
    points: list[Point] = []
    words, seconds = 0, 0.0
    for number in range(1, schedule.epochs + 1):
        tally, epoch_seconds = Tally(), 0.0
        # In the order of the corpus the model would follow its drift, from one book or package
        # to the next, and the loss would tell of that rather than of what was learnt.
        text_of_epoch = training.shuffled(generator(seed, "order", number))
        for index, piece in enumerate(text_of_epoch.pieces(trainer.piece_words)):
            ahead = words + piece.size * known / training.size
            rates = schedule.rate(words / total), schedule.rate(ahead / total)
            random = generator(seed, "train", number, index)
            begun = time.perf_counter()
            done = trainer.train(piece, rates, random)
            epoch_seconds += time.perf_counter() - begun - done.setup_seconds
            if done.loss is not None and not math.isfinite(done.loss):
                raise InputError(not_finite("loss", number, words + done.words, schedule))
            tally += done
            words += done.words
            rate = schedule.rate(words / total)
            points.append(Point(number, words, done.mean_loss, rate, seconds + epoch_seconds))
            on_point(points[-1])
        if tally.pairs == 0:
            raise InputError(NOTHING)
        seconds += epoch_seconds
        heldout_loss = judged_loss()
        if heldout_loss is not None and not math.isfinite(heldout_loss):
            raise InputError(not_finite("held-out loss", number, words, schedule))
        epochs.append(
            Epoch(
                number,
                tally.mean_loss,
                heldout_loss,
                schedule.rate(words / total),
                tally.words,
                tally.pairs,
                epoch_seconds,
            )
        )
        on_epoch(epochs[-1])
    return Trained(trainer.task.model, epochs, points, words, seconds, trainer.compile_seconds)


def not_finite(which: str, epoch: int, words: int, schedule: Schedule) -> str:
    """The line for a loss that is not a number to learn from."""
    return (
        f"the {which} is not finite in epoch {epoch} after {words:,} words; "
        f"train.lr={schedule.lr} is probably too large"
    )
