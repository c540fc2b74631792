"""Test checkpoints, trainings resumed from them (with equal results), and early stopping."""

import hashlib
import itertools
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.test_engines import random_documents, text_of
from w2v.engines import ENGINES, Engine, Tally, Task, make_engine
from w2v.engines.numpy import NumpyEngine
from w2v.errors import InputError
from w2v.files import verify_checksum, with_checksum
from w2v.losses import NegativeSampling, Softmax
from w2v.objectives import Model, SkipGram, initial_model
from w2v.sampling import generator
from w2v.training.checkpoint import KEPT, MAX_TIME_SHARE, Checkpoints, Snapshot
from w2v.training.early_stopping import EarlyStopping
from w2v.training.heldout import hold_out
from w2v.training.history import Epoch, Point, TrainState
from w2v.training.schedule import Schedule
from w2v.training.train import Stopped, Trained, finished_state, train

LOSSES = [NegativeSampling(), Softmax(batch_words=300)]
LEARNERS = [
    (engine, loss)
    for engine in ENGINES
    for loss in LOSSES
    if loss.name in (ENGINES[engine].losses or loss.name)
]
DOCUMENTS = random_documents(0, 6000, 40)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let engines train on shards (parts of the text) so small that each epoch has several."""

    def make(name: str, task: Task) -> Engine:
        if name == "jax":  # it compiles ahead for shards of this length
            monkeypatch.setattr("w2v.engines.jax.MIN_SHARD_WORDS", 1500)
            monkeypatch.setattr("w2v.engines.jax.SHARD_WORDS", 1500)
        engine = make_engine(name, task)
        engine.shard_words = 1500
        return engine

    monkeypatch.setattr("w2v.training.train.make_engine", make)


def run(loss: Any, engine: str = "numpy", epochs: int = 3, **more: Any) -> Trained:
    text = text_of(DOCUMENTS)
    counts = np.bincount(text.tokens).astype(np.int64)
    objective = SkipGram(dim=8, window=3, subsample=0, loss=loss)
    schedule = more.pop("schedule", Schedule(epochs, lr=0.05, min_lr=0.001))
    return train(text, counts, objective, schedule, engine=engine, heldout=0.1, **more)


def timeless(trained: Trained) -> tuple[list[Point], list[Epoch]]:
    """Return the history of a training with all times set to zero."""
    return (
        [point._replace(seconds=0.0) for point in trained.points],
        [Epoch(**{**vars(epoch), "seconds": 0.0}) for epoch in trained.epochs],
    )


def assert_same(one: Trained, other: Trained) -> None:
    for a, b in zip(one.model, other.model, strict=True):
        np.testing.assert_array_equal(a, b)
    assert timeless(one) == timeless(other)
    assert one.words == other.words
    assert one.kept_epoch == other.kept_epoch
    assert set(one.engine_state) == set(other.engine_state)
    for name, array in one.engine_state.items():
        np.testing.assert_array_equal(array, other.engine_state[name])


def after(shards: int) -> Callable[[], bool]:
    """Return a function that stops a training early, for the argument `stop` of `train`.

    `train` calls the function after each shard (a part of the text), and stops when it returns
    True, as it does from call number `shards` on.
    """
    count = itertools.count(1)
    return lambda: next(count) >= shards


@pytest.mark.parametrize(("engine", "loss"), LEARNERS)
def test_training_that_stops_after_every_shard_gives_the_same_bits(
    engine: str, loss: Any, tmp_path: Path
) -> None:
    shards = 6 if engine == "jax" else 1  # JAX prepares its programs anew after each stop
    whole = run(loss, engine)
    assert len(whole.points) == 12
    lines: list[str] = []
    resumed: list[int] = []
    points: list[Point] = []
    for _ in range(shards, len(whole.points), shards):
        with pytest.raises(Stopped):
            run(
                loss,
                engine,
                checkpoints=Checkpoints(tmp_path / "c", None, report=lines.append),
                stop=after(shards),
                on_resume=lambda at: resumed.append(at.words),
                on_point=points.append,
            )
        assert len(list((tmp_path / "c").iterdir())) <= KEPT
    last = run(
        loss,
        engine,
        checkpoints=Checkpoints(tmp_path / "c", None, report=lines.append),
        on_resume=lambda at: resumed.append(at.words),
        on_point=points.append,
    )
    assert_same(whole, last)
    assert lines == []
    assert resumed == [point.words for point in whole.points[shards - 1 : -1 : shards]]
    assert [p.words for p in points] == [p.words for p in whole.points]  # no point twice


@pytest.mark.parametrize("loss", LOSSES)
def test_writing_checkpoints_does_not_change_the_vectors(loss: Any, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, None, words=1)
    saved = []
    checkpoints.save = lambda *what: saved.append(what)  # type: ignore[method-assign]
    assert_same(run(loss), run(loss, checkpoints=checkpoints))
    assert len(saved) == 12


def test_a_checkpoint_of_other_settings_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(LOSSES[0], checkpoints=Checkpoints(tmp_path, None), stop=after(2))
    lines: list[str] = []
    checkpoints = Checkpoints(tmp_path, None, report=lines.append)
    assert_same(run(LOSSES[0], seed=1), run(LOSSES[0], seed=1, checkpoints=checkpoints))
    assert lines == [
        f"{tmp_path / '00000001'} cannot be used (it is of another training)",
        f"{tmp_path}: no checkpoint can be used; training starts again",
    ]


# More epochs


@pytest.mark.parametrize(("engine", "loss"), LEARNERS)
def test_more_epochs_continue_a_training_where_the_schedule_allows_it(
    engine: str, loss: Any
) -> None:
    def schedule(epochs: int) -> Schedule:
        return Schedule(epochs, 0.05, 0.01, decay_epochs=4)

    few = run(loss, engine, schedule=schedule(2))
    state = finished_state(few.model, few.engine_state, few.epochs, few.points)
    lines: list[Point] = []
    resumed: list[TrainState] = []
    more = run(
        loss,
        engine,
        schedule=schedule(5),
        start=Snapshot(json.loads(json.dumps(state.progress)), state.arrays),
        on_point=lines.append,
        on_resume=resumed.append,
    )
    assert_same(run(loss, engine, schedule=schedule(5)), more)
    assert [point.epoch for point in lines] == [3] * 4 + [4] * 4 + [5] * 4
    assert len(resumed) == 1
    assert [point.lr for point in more.points[-4:]] == pytest.approx([0.01] * 4)  # beyond the decay


@pytest.mark.parametrize("loss", [LOSSES[0], Softmax(batch_words=4, optimizer="sgd")])
def test_a_constant_rate_has_no_horizon_where_steps_have_none(loss: Any) -> None:
    assert not loss.step_depends_on_length
    few, more = (run(loss, schedule=Schedule(n, 0.05, 0.05)) for n in (2, 3))
    state = finished_state(few.model, few.engine_state, few.epochs, few.points)
    assert_same(more, run(loss, schedule=Schedule(3, 0.05, 0.05), start=state))
    for longer in (Softmax(batch_words=100), Softmax(optimizer="sgd")):
        assert longer.step_depends_on_length


@pytest.mark.parametrize("case", ["shape", "dtype", "missing", "progress"])
def test_a_complete_checkpoint_of_something_else_is_reported_and_removed(
    case: str, tmp_path: Path
) -> None:
    checkpoints = Checkpoints(tmp_path, None)
    with pytest.raises(Stopped):
        run(LOSSES[1], checkpoints=checkpoints, stop=after(2))
    (path,) = tmp_path.iterdir()
    state = verify_checksum((path / "state.json").read_bytes())
    arrays = {p.stem: np.load(p, allow_pickle=False) for p in path.glob("*.npy")}
    match case:
        case "shape":
            arrays["center"] = arrays["center"][:-1]
        case "dtype":
            arrays["outside"] = arrays["outside"].astype(np.int64)
        case "missing":
            del arrays["engine.center_squares"]
        case _:
            state["progress"] = {"x": 1}
    progress, identity = state["progress"], state["identity"]
    shutil.rmtree(path)
    checkpoints.save(identity, 0, Snapshot(progress, arrays))
    lines: list[str] = []
    again = Checkpoints(tmp_path, None, report=lines.append)
    assert_same(run(LOSSES[1]), run(LOSSES[1], checkpoints=again))
    assert len(lines) == 2
    assert lines[0].startswith(f"{path} cannot be used (")
    assert not path.exists()


def test_deeply_nested_json_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^nested too deeply$"):
        verify_checksum(b"[" * 100_000)


# Early stopping


def test_more_epochs_with_early_stopping_keep_the_best_earlier_model() -> None:
    def train_for(epochs: int, **more: Any) -> Trained:
        early = EarlyStopping(patience=2, min_gain=100.0)  # no epoch is ever better than the first
        return run(
            LOSSES[0], schedule=Schedule(epochs, 0.05, 0.01, decay_epochs=4), early=early, **more
        )

    few = train_for(1)
    more = train_for(4, start=finished_state(few.model, few.engine_state, few.epochs, few.points))
    assert (more.kept_epoch, len(more.epochs)) == (1, 3)
    assert_same(train_for(4), more)


HELD_OUT = (3.0, 2.5, 2.0, 2.2, 2.1, 2.3, 1.0, 0.9, 0.8)
"""Made-up held-out losses: the third is the lowest until the seventh."""


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace the held-out loss of each epoch by the next value of `HELD_OUT`.

    After the test, check that all values were used, which shows that each epoch was evaluated once.
    """
    losses = itertools.cycle(HELD_OUT)
    monkeypatch.setattr(
        "w2v.training.train.NumpyEngine.loss", lambda *_: Tally(100, 10.0, 10.0 * next(losses))
    )
    yield
    assert next(losses) == HELD_OUT[0], "each epoch is judged once"


def models_by_epoch(loss: Any) -> list[Model]:
    """Train with a loss, without early stopping; return the model after each epoch."""
    models: list[Model] = []
    text = text_of(DOCUMENTS)
    counts = np.bincount(text.tokens).astype(np.int64)
    model = initial_model(SkipGram(dim=8), len(counts), generator(0, "init"))
    run(
        loss,
        epochs=len(HELD_OUT),
        initial=model,
        on_epoch=lambda _: models.append(Model(*map(np.copy, model))),
    )
    return models


@pytest.mark.usefixtures("judged")
@pytest.mark.parametrize(("patience", "ended", "kept"), [(1, 4, 3), (3, 6, 3), (4, 9, 9)])
@pytest.mark.parametrize("loss", LOSSES)
def test_training_stops_when_the_heldout_loss_falls_no_more_and_keeps_the_best_model(
    loss: Any, patience: int, ended: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = models_by_epoch(loss)
    stopped = run(loss, epochs=len(HELD_OUT), early=EarlyStopping(patience))
    assert (len(stopped.epochs), stopped.kept_epoch) == (ended, kept)
    for array, wanted in zip(stopped.model, models[kept - 1], strict=True):
        np.testing.assert_array_equal(array, wanted)
    for _ in range(len(HELD_OUT) - ended):
        NumpyEngine.loss(*[None] * 3)  # type: ignore[arg-type]


@pytest.mark.usefixtures("judged")
def test_early_stopping_survives_interruptions(tmp_path: Path) -> None:
    models = models_by_epoch(LOSSES[0])
    shards = 0
    last = None
    while last is None:
        try:
            checkpoints = Checkpoints(tmp_path, None)
            shards += 1
            last = run(
                LOSSES[0],
                epochs=len(HELD_OUT),
                early=EarlyStopping(3),
                checkpoints=checkpoints,
                stop=after(1),
            )
        except Stopped:
            assert shards <= 4 * 6
    assert (shards, len(last.epochs), last.kept_epoch) == (4 * 6 + 1, 6, 3)
    for array, wanted in zip(last.model, models[2], strict=True):
        np.testing.assert_array_equal(array, wanted)
    for _ in range(3):
        NumpyEngine.loss(*[None] * 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(("gain", "best"), [(0.0, 5), (0.05, 4), (0.15, 3), (9.0, 1)])
def test_a_gain_below_the_least_does_not_count(gain: float, best: int) -> None:
    losses = (3.0, 2.9, 2.8, 2.7, 2.66)
    epochs = [Epoch(n, 1.0, loss, 0.1, 1, 1.0, 1.0) for n, loss in enumerate(losses, start=1)]
    assert EarlyStopping(1, gain).best(epochs) == best


def test_early_stopping_by_a_heldout_text_without_pairs_is_refused() -> None:
    text = text_of([[0, 1], [0], [1]])  # one of these documents is held out
    held_out = [hold_out(text, 0.3, generator(seed, "heldout"))[1].size for seed in range(9)]
    with pytest.raises(InputError, match=r"^patience=2: the held-out text has no pairs"):
        train(
            text, np.array([2, 2]), SkipGram(dim=2, subsample=0), Schedule(epochs=1),
            engine="numpy", early=EarlyStopping(2), heldout=0.3, heldout_seed=held_out.index(1),
        )  # fmt: skip


def test_early_stopping_without_a_heldout_loss_is_refused() -> None:
    with pytest.raises(InputError, match=r"^patience=2: nothing is held out .* raise "):
        train(
            text_of([[0, 1], [1, 0]]),
            np.array([2, 2]),
            SkipGram(dim=2),
            Schedule(),
            early=EarlyStopping(2),
        )


# A loss that is not finite


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_last_step_that_overshoots_is_reported(
    poison: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = NumpyEngine.train

    def overshoot(self: NumpyEngine, *what: Any) -> Tally:
        tally = learn(self, *what)
        if len(points) == 11:
            self.task.model.outside[3, 2] = poison
        return tally

    points: list[Point] = []
    monkeypatch.setattr(NumpyEngine, "train", overshoot)
    monkeypatch.setattr(NumpyEngine, "loss", lambda *_: Tally(100, 1.0, 1.0))
    line = r"^the loss is not finite in epoch 3 after [\d,]+ words; lr=0.05 is probably too l"
    with pytest.raises(InputError, match=line):
        run(LOSSES[0], on_point=points.append)


def test_a_heldout_loss_that_is_not_finite_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NumpyEngine, "loss", lambda *_: Tally(100, 1.0, math.nan))
    line = r"^the held-out loss is not finite in epoch 1 after [\d,]+ words; lr=0.05 is prob"
    with pytest.raises(InputError, match=line):
        run(LOSSES[0])


# On disk

SNAPSHOT = Snapshot(
    {"words": 3, "loss": 0.1 + 0.2},
    {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(10)[::2]},
)


def two(folder: Path) -> list[Path]:
    checkpoints = Checkpoints(folder, None)
    paths = [
        checkpoints.save("x", n, Snapshot({**SNAPSHOT.progress, "n": n}, SNAPSHOT.arrays))
        for n in range(3)
    ]
    assert not (paths[0] or folder).exists()
    return [path for path in paths if path is not None][1:]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    two(tmp_path)
    loaded = Checkpoints(tmp_path).load("x")
    assert loaded is not None
    assert loaded.progress == {**SNAPSHOT.progress, "n": 2}
    for name, array in SNAPSHOT.arrays.items():
        assert loaded.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded.arrays[name], array)
    assert Checkpoints(tmp_path / "nothing").load("x") is None


def damages() -> Iterator[tuple[str, Callable[[Path], None]]]:
    def flip(path: Path, at: float) -> None:
        data = bytearray(path.read_bytes())
        data[int(at * (len(data) - 1))] ^= 1
        put(path, data)

    def put(path: Path, data: bytes | bytearray) -> None:
        path.write_bytes(data)

    for name, at in itertools.product(("state.json", "a.npy", "b.npy"), (0.0, 0.3, 0.6, 1.0)):
        yield f"{name} {at}", lambda folder, n=name, at=at: flip(folder / n, at)  # type: ignore[misc]
        yield (
            f"{name} cut {at}",
            lambda folder, n=name, at=at: os.truncate(  # type: ignore[misc]
                folder / n, int(at * ((folder / n).stat().st_size - 1))
            ),
        )
    for name in ("state.json", "a.npy"):
        yield f"no {name}", lambda folder, n=name: (folder / n).unlink()  # type: ignore[misc]
    for name, text in (("a list", b"[]"), ("poor", with_checksum({}))):
        yield name, lambda folder, text=text: put(folder / "state.json", text)  # type: ignore[misc]


DAMAGES = dict(damages())


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_found_and_an_older_one_is_used(
    damage: str, tmp_path: Path
) -> None:
    before, newest = two(tmp_path)
    DAMAGES[damage](newest)
    lines: list[str] = []
    loaded = Checkpoints(tmp_path, report=lines.append).load("x")
    assert loaded is not None
    assert loaded.progress["n"] == 1
    assert len(lines) == 1
    assert lines[0].startswith(f"{newest} cannot be used (")
    DAMAGES[damage](before)
    assert Checkpoints(tmp_path, report=lines.append).load("x") is None
    assert lines[-1] == f"{tmp_path}: no checkpoint can be used; training starts again"
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    two(tmp_path)
    (tmp_path / ".00000004.part").mkdir()
    (tmp_path / ".00000004.part" / "a.npy").write_bytes(b"half")
    assert Checkpoints(tmp_path).load("x") is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000002", "00000003"]


def test_a_disk_that_fails_loses_a_checkpoint_but_not_the_training(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("a file in the way")
    lines: list[str] = []
    checkpoints = Checkpoints(tmp_path / "c", None, words=1, report=lines.append)
    assert_same(run(LOSSES[0]), run(LOSSES[0], checkpoints=checkpoints))
    assert len(lines) == 12
    assert set(lines) == {f"no checkpoint: {tmp_path / 'c'} cannot be written (Not a directory)"}


def test_a_checksum_shows_any_change_of_a_json_object() -> None:
    body = {"é": [1, 0.1, None, "x"], "a": {"b": True}}
    text = with_checksum(body)
    assert verify_checksum(text) == body
    assert (
        json.loads(text)["sha256"]
        == hashlib.sha256('{"a": {"b": true}, "é": [1, 0.1, null, "x"]}'.encode()).hexdigest()
    )
    for place in range(len(text)):
        changed = bytearray(text)
        changed[place] ^= 1
        try:
            assert verify_checksum(bytes(changed)) == body  # white space between the tokens
        except ValueError:
            continue
        assert text[place : place + 1].isspace()


# When


def test_checkpoints_are_written_by_time_and_take_a_limited_share_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("w2v.training.checkpoint.time.monotonic", lambda: now[0])
    monkeypatch.setattr(
        "w2v.training.checkpoint.fsync_folder", lambda _: now.__setitem__(0, now[0] + 2.0)
    )
    checkpoints = Checkpoints(tmp_path, seconds=60)
    checkpoints.begin(0, 100)
    assert not checkpoints.due(10**9)
    now[0] = 60.0
    assert checkpoints.due(0)
    checkpoints.save("x", 0, SNAPSHOT)  # takes four seconds: two folders are synced to disk
    assert now[0] == 64.0
    now[0] = 64.0 + 4.0 / MAX_TIME_SHARE - 0.5
    assert not checkpoints.due(0)
    now[0] += 1.0
    assert checkpoints.due(0)
    large = Checkpoints(tmp_path, seconds=60)
    large.begin(0, 2_400_000_000)
    now[0] += 600.0
    assert not large.due(0)  # after ten minutes, writing it would exceed its share of the time


def test_checkpoint_words_counts_words_instead_of_time(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, seconds=None, words=100)
    checkpoints.begin(50, 0)
    assert not checkpoints.due(149)
    assert checkpoints.due(150)
    assert not Checkpoints(tmp_path, seconds=None).due(10**12)
    assert Checkpoints(tmp_path, seconds=0.0).due(0)
