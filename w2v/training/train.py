"""Train word vectors: the loop over the epochs, for any engine and any loss."""

import math
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Engine, Frozen, Tally, Task, make_engine
from w2v.engines.numpy import NumpyEngine
from w2v.errors import InputError
from w2v.objectives import Model, Objective, initial_model
from w2v.sampling import generator
from w2v.text.tokens import Text
from w2v.training.bootstrap import bootstrap_sample, check_bootstrap
from w2v.training.checkpoint import Checkpoints, Snapshot
from w2v.training.early_stopping import HELDOUT_LOSS, EarlyStopping
from w2v.training.heldout import heldout_loss, hold_out
from w2v.training.history import Epoch, Point, TrainState
from w2v.training.memory import require_memory
from w2v.training.schedule import Schedule
from w2v.training.subwords import subword_sums

if TYPE_CHECKING:  # Numba is imported with it
    from w2v.cluster.engine import Costs
    from w2v.cluster.workers import Cluster


def no_pairs_error(subsample: float = 0.0) -> InputError:
    """Return the error for a text that has no pair of words to learn from.

    `subsample` is the threshold of the sub-sampling that the text has been through; 0 for none.
    """
    if subsample:
        return InputError(
            f"subsample={subsample}: leaves no document two words of the vocabulary to learn from; "
            "set it to 0, take more words into the vocabulary or give longer documents"
        )
    return InputError(
        "there is nothing to learn from: no document holds two words of the vocabulary; take more "
        "words into the vocabulary or give longer documents"
    )


INNER_NODES, OWN_ROWS = TABLES = "inner_nodes", "own_rows"
"""Names of arrays in `Trained.engine_state`: with hierarchical softmax, the vectors of the inner
nodes; with subwords, the rows of the words in the input matrix, without those of the n-grams."""


class Stopped(Exception):  # noqa: N818 (it is not an error)
    """Raised when training stops because the argument `stop` of `train` requests it.

    If checkpoints are written, the last one holds the whole state of the training.

    Attributes
    ----------
    so_far
        A function that returns the result so far, with the newest vectors, which may be worse than
        those of the best epoch.
    """

    def __init__(self, so_far: "Callable[[], Trained]") -> None:
        super().__init__()
        self.so_far = so_far


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes
    ----------
    model
        The vectors after epoch `kept_epoch`; if training was stopped on request, the newest ones.
    epochs, points
        The history: losses after each epoch, and at points in between.
    words
        The number of in-vocabulary tokens read in all epochs, before sub-sampling.
    seconds
        The time spent in the engine, without compiling. Held-out losses, scores and checkpoints are
        not included.
    compile_seconds
        The time for compiling kernels, or for loading compiled ones.
    kept_epoch
        The number of the last epoch; with early stopping, that of the best. If training was
        stopped on request, the number of complete epochs.
    engine_state
        Other arrays that are needed to train more epochs, by name.
    given
        How many words started from a given vector; None if no vectors were given.
    device
        The device that computed, such as "NVIDIA H100"; None for engines that always use the CPU.
    cluster
        The costs of training with several workers; None without workers.
    """

    objective: Objective
    model: Model
    epochs: list[Epoch]
    points: list[Point]
    words: int
    seconds: float
    compile_seconds: float
    kept_epoch: int
    engine_state: dict[str, NDArray[Any]]
    given: int | None = None
    device: str | None = None
    cluster: "Costs | None" = None

    def figures(self) -> dict[str, Any]:
        """Return facts about the training as a dict of JSON values, such as times and losses.

        The keys are the names of some attributes, and ``words_per_second``. ``device``, and
        ``cluster`` (the costs of workers), are left out if they are None.
        """
        return {
            "words": self.words,
            "seconds": self.seconds,
            "words_per_second": self.words / self.seconds,
            "compile_seconds": self.compile_seconds,
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "kept_epoch": self.kept_epoch,
            **({"device": self.device} if self.device else {}),
            **({"cluster": asdict(self.cluster)} if self.cluster else {}),
        }

    def without_step_state(self) -> "Trained":
        """Return a copy of the result without the optimizer's state, such as Adagrad's sums.

        The optimizer's arrays are removed from `engine_state`. Arrays of the model are kept in it,
        because the saved word vectors do not contain them: with hierarchical softmax, the vectors
        of the inner nodes; with subwords, each word's own row of the input matrix. (With subwords,
        the saved vector of a word is the mean of its own row and the rows of its n-grams.) `model`
        is not changed.
        """
        kept = {name: self.engine_state[name] for name in TABLES if name in self.engine_state}
        return replace(self, engine_state=kept)


def train(
    text: Text,
    counts: NDArray[np.int64],
    objective: Objective,
    schedule: Schedule,
    *,
    words: Sequence[str] | None = None,
    engine: str = "numba",
    threads: int = 1,
    precision: str = "float32",
    cluster: "Cluster | None" = None,
    seed: int = 0,
    heldout: float = 0.01,
    heldout_seed: int = 0,
    bootstrap: bool = False,
    early: EarlyStopping | None = None,
    initial: Model | None = None,
    frozen: Frozen | None = None,
    start: Snapshot | None = None,
    checkpoints: Checkpoints | None = None,
    stop: Callable[[], bool] = lambda: False,
    score: Callable[[Model], dict[str, float]] | None = None,
    every: int = 1,
    on_start: Callable[[int], None] = lambda _: None,
    on_resume: Callable[[TrainState], None] = lambda _: None,
    on_point: Callable[[Point], None] = lambda _: None,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> Trained:
    """Train word vectors on a text of word ids; return them with the history of the training.

    Parameters
    ----------
    counts : int64 (V,)
        How often each word of the vocabulary occurs.
    words
        The vocabulary; needed only for the n-grams of an objective with subwords.
    engine
        A key of `w2v.engines.ENGINES`.
    precision
        The precision of matrix products of ``engine="jax"``, one of `w2v.engines.PRECISIONS`.
    cluster
        Workers that train at the same time (`w2v.cluster.workers.open_cluster`); None: train in
        this process alone.
    seed, heldout_seed
        `heldout_seed` chooses the held-out text and the noise words for its loss, `seed` everything
        else that is random.
    heldout
        The fraction of documents (of the text if there are too few documents) that is not trained
        on. The held-out loss is measured on it after each epoch.
    bootstrap
        Whether to train on a bootstrap sample of the documents that are not held out, drawn by
        `seed`. Fewer than 20 documents cause a UserWarning, fewer than two an InputError. `counts`
        and the noise distribution stay those of the whole text.
    early
        When to stop before the last epoch; None: never.
    initial
        The initial vectors, which may be overwritten; None for those of `initial_model`.
    frozen
        Which vectors stay unchanged; None: none.
    start
        The state of an earlier training to continue from (`finished_state`). Its epochs are not
        repeated, and count as the first ones of `schedule`. Its text, objective and learning rates
        must have been the same, which is not checked.
    checkpoints
        Where checkpoints are written. If this training has one there, it continues from the newest
        and ignores `start`.
    stop
        Called after each shard (part of the text). If it returns True, a checkpoint is written (if
        there are `checkpoints`) and `Stopped` is raised.
    score, every
        A function that returns scores of the vectors, by name, without changing them. It is called
        after every `every`-th epoch and the last one of `schedule`; also before training if `early`
        watches a score.
    on_start
        Called once, with the number of words to read in all epochs of `schedule`.
    on_resume
        Called after `on_start`, with the state from which training continues, if there is one.
        `on_point` and `on_epoch` are not called for its history.
    on_point, on_epoch
        Called after each shard and after each epoch, with the new item of the history.

    Raises
    ------
    InputError
        The text has no pair of words to learn from; the loss is not finite; `early` watches a
        held-out loss or score that is not defined; the engine is not installed, lacks memory, or
        does not support `objective` or `frozen`; or the workers of `cluster` do not fit into memory
        or cannot start.
    Stopped
        `stop` returned True.
    """
    training, held_out = hold_out(text, heldout, generator(heldout_seed, "heldout"))
    if training.words() == 0 and held_out.words():
        raise InputError(f"heldout={heldout}: holds out all words; lower it")
    if bootstrap:
        # A passage that is held out cuts a document in two.
        check_bootstrap(min(len(text.spans), len(training.spans)))
        training = bootstrap_sample(training, generator(seed, "bootstrap"))
    known = training.words()
    if known == 0:
        raise no_pairs_error()
    if early and early.watch == HELDOUT_LOSS and len(held_out.spans) == 0:
        raise InputError(
            f"patience={early.patience}: nothing is held out to measure the loss on; raise "
            f"heldout={heldout}, or give more than {text.size:,} words"
        )
    task = Task(
        initial or initial_model(objective, len(counts), generator(seed, "init")),
        objective,
        counts,
        known,
        schedule.horizon,
        threads,
        frozen,
        subword_sums(words, objective) if objective.subwords else None,
        precision,
    )
    if early and early.watch != HELDOUT_LOSS:
        early.check(score(task.model) if score else {})
    trainer: Engine
    if cluster is None:
        trainer = make_engine(engine, task)
    else:
        require_memory(
            cluster.memory(task),
            "cluster: the workers on this machine take",
            "lower the dimension, the vocabulary or the processes",
        )
        trainer = cluster.make_engine(engine, task, training)
    measurer: Any = trainer if hasattr(trainer, "loss") else NumpyEngine(trainer.task)
    run = _Training(trainer, schedule, early, seed, given=initial is not None)
    plan = (schedule.epochs, schedule.lr, schedule.min_lr, schedule.decay_epochs)
    identity = repr((objective, plan, early, engine, seed, heldout, heldout_seed, known))
    identity += " bootstrap" * bootstrap
    identity += f" {zlib.crc32(counts.tobytes()):08x} {trainer.shard_words} {precision}"
    if cluster:
        identity += f" {cluster.settings.identity()}"
    if objective.subwords:
        identity += f" {zlib.crc32(repr(words).encode('utf-8', 'backslashreplace')):08x}"

    on_start(known * schedule.epochs)
    state = (checkpoints.load(identity, run.check) if checkpoints else None) or start
    if state:
        run.restore(state)
        on_resume(run.at)
    if checkpoints:
        checkpoints.begin(run.at.words, run.snapshot().size)
    at = run.at
    while not run.ended():
        # Documents are shuffled: in the order of the corpus the model would adapt to each book or
        # package in turn, and the loss would show how the text changes, not what was learned.
        order = training.shuffled(generator(seed, "order", at.epoch))
        for shard in order.shards(trainer.shard_words)[at.shard :]:
            on_point(run.train(shard, known * shard.size / training.size))
            stopping = stop()
            if checkpoints and (stopping or checkpoints.due(at.words)):
                checkpoints.save(identity, at.words, run.snapshot())
            if stopping:
                raise Stopped(run.so_far)
        due = at.epoch % every == 0 or at.epoch == schedule.epochs
        scores = score(run.model) if score and due else {}
        on_epoch(run.end_epoch(heldout_loss(measurer, held_out, heldout_seed), scores))
    return run.trained()


class _Training:
    """A training in progress: the engine with its model, and the progress and history."""

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

    @property
    def model(self) -> Model:
        """The newest vectors. Reading this property may copy them from a GPU."""
        return self.engine.task.model

    def rate(self, words: float) -> float:
        """Return the learning rate after `words` words have been read, in all epochs together."""
        return self.schedule.rate(words / (self.task.words * self.schedule.horizon))

    def ended(self) -> bool:
        """Return whether training is complete: after the last epoch, or by early stopping."""
        if self.early and self.early.stops(self.at.epochs):
            return True
        return self.at.epoch > self.schedule.epochs

    def train(self, shard: Text, expected: float) -> Point:
        """Train on the next shard, a part of the text; return the new point of the history.

        `expected` is the approximate number of vocabulary words in the shard. It determines how far
        the learning rate falls within the shard.
        """
        at = self.at
        random = generator(self.seed, "train", at.epoch, at.shard)
        rates = self.rate(at.words), self.rate(at.words + expected)
        begun = time.perf_counter()
        done = self.engine.train(shard, rates, random)
        at.epoch_seconds += time.perf_counter() - begun - done.setup_seconds
        at.shard += 1
        at.words += done.words
        at.tally += done
        self._check(done.loss)
        seconds = at.seconds + at.epoch_seconds
        point = Point(at.epoch, at.words, done.mean_loss, self.rate(at.words), seconds)
        at.points.append(point)
        return point

    def end_epoch(self, heldout: float | None, scores: dict[str, float]) -> Epoch:
        """Record the results of the epoch, and go on to the next epoch.

        With early stopping, the vectors are copied if they are the best so far.

        Parameters
        ----------
        heldout
            The mean loss per pair on the held-out text, in nats. None if no text is held out, or if
            the held-out text has no pairs.
        scores
            The scores of the vectors, by name; empty if none were computed.

        Raises
        ------
        InputError
            The epoch had no pairs; `heldout` is NaN or infinite; or `heldout` is None, and the
            held-out loss decides on early stopping.
        """
        at = self.at
        if at.tally.pairs == 0:
            raise no_pairs_error(self.task.objective.subsample)
        self._check(heldout, "held-out ")
        if heldout is None and self.early and self.early.watch == HELDOUT_LOSS:
            raise InputError(
                f"patience={self.early.patience}: the held-out text has no pairs to measure the "
                "loss on; raise heldout, set subsample=0 or choose another heldout_seed"
            )
        tally, seconds = at.tally, at.epoch_seconds
        rate = self.rate(at.words)
        losses = tally.mean_loss, heldout
        epoch = Epoch(at.epoch, *losses, rate, tally.words, tally.pairs, seconds, scores)
        at.epochs.append(epoch)
        at.epoch, at.shard = at.epoch + 1, 0
        at.seconds += seconds
        at.tally, at.epoch_seconds = Tally(), 0.0
        if self.early and self.early.best(at.epochs) == epoch.epoch:
            self.best = Model(*map(np.copy, self.model))
        return epoch

    def _check(self, loss: float | None, kind: str = "") -> None:
        if loss is not None and not math.isfinite(loss):
            at = self.at
            raise InputError(
                f"the {kind}loss is not finite in epoch {at.epoch} after {at.words:,} words; "
                f"lr={self.schedule.lr} is probably too large"
                + ", or the vectors of init too long"
                * self.given
            )

    def snapshot(self) -> Snapshot:
        """Return the present state of training, from which `restore` can continue.

        The arrays are not copied: further training may change them.
        """
        arrays = {**self.model._asdict(), **prefixed("engine", self.engine.state())}
        if self.best:
            arrays |= prefixed("best", self.best._asdict())
        return Snapshot(self.at.to_json(), arrays)

    def check(self, snapshot: Snapshot) -> None:
        """Check that `restore` can use a snapshot.

        Raises
        ------
        ValueError, KeyError, TypeError
            An array or a value is missing, or has another shape or type.
        """
        at = TrainState.from_json(snapshot.progress)
        wanted = dict(self.snapshot().arrays)
        past = self.early and at.epochs and self.early.best(at.epochs) != at.epochs[-1].epoch
        if past or any(name.startswith("best.") for name in snapshot.arrays):
            wanted |= prefixed("best", self.model._asdict())
        for name, array in wanted.items():
            given = snapshot.arrays[name]
            if (given.shape, given.dtype) != (array.shape, array.dtype):
                raise ValueError(f"{name} is {given.dtype} {given.shape}")

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot: copy its arrays into the model and the engine."""
        arrays = snapshot.arrays
        self.at = TrainState.from_json(snapshot.progress)
        for name, array in self.model._asdict().items():
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
            self.best = Model(*map(np.copy, self.model))  # the last epoch was the best

    def trained(self) -> Trained:
        """Return the result of the finished training.

        With early stopping, the vectors are those of the best epoch.
        """
        at, model = self.at, self.model
        last = at.epochs[-1].epoch
        kept = self.early.best(at.epochs) if self.early else last
        if kept != last:
            assert self.best is not None
            for array, best in zip(model, self.best, strict=True):
                array[:] = best
        at.epoch = last
        return self._result(kept)

    def so_far(self) -> Trained:
        """Return the result so far, with the newest vectors, possibly in the middle of an epoch."""
        return self._result(len(self.at.epochs))

    def _result(self, kept: int) -> Trained:
        at, model = self.at, self.model
        # The very last step may overshoot after its loss was computed.
        self._check(sum(float(array.sum(dtype=np.float64)) for array in model))
        return Trained(
            self.task.objective,
            model,
            at.epochs,
            at.points,
            at.words,
            at.seconds + at.epoch_seconds,
            self.engine.compile_seconds,
            kept,
            {**self.engine.state(), **self._tables()},
            device=getattr(self.engine, "device_name", None),
            cluster=getattr(self.engine, "costs", None),
        )

    def _tables(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the model other than input and output vectors of words, by name.

        With hierarchical softmax, which has no output vectors of words, the result has the vectors
        of the inner nodes. With subwords, it has each word's own row of the input matrix, but not
        the rows of n-grams. With neither, it is empty.
        """
        objective, (center, outside) = self.task.objective, self.task.model
        tables = {}
        if objective.loss.output_vectors != "words":
            tables[INNER_NODES] = outside
        if objective.subwords:
            tables[OWN_ROWS] = center[: len(self.task.counts)]
        return tables


def prefixed(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays with `prefix` and a dot before each name."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def finished_state(
    model: Model,
    engine_state: Mapping[str, NDArray[Any]],
    epochs: list[Epoch],
    points: list[Point],
) -> Snapshot:
    """Make the state at the end of a training, from which more epochs can be trained.

    Parameters
    ----------
    model
        The vectors at the end.
    engine_state
        Other arrays that the engine needs, by name.
    epochs, points
        The history of the training.
    """
    words = sum(epoch.words for epoch in epochs)
    seconds = sum(epoch.seconds for epoch in epochs)
    at = TrainState(len(epochs) + 1, 0, words, seconds, epochs=epochs, points=points)
    return Snapshot(at.to_json(), {**model._asdict(), **prefixed("engine", engine_state)})
