"""Test training with several workers, whose changes to the model are combined after each round.

With the same number of workers, the vectors must be the same, bit for bit, on any number of
processes.
"""

import hashlib
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import w2v
from tests.commands import SMALL, TEXT, WITHOUT_SCORES, run, write_text
from tests.test_engines import random_documents, task_of, text_of
from w2v.cluster import kernels
from w2v.cluster.approach import row_terms
from w2v.cluster.combine import Rows, combine
from w2v.cluster.cost import message_bytes
from w2v.cluster.engine import ClusterEngine, Pool, Round, divide
from w2v.cluster.local import LocalPool
from w2v.cluster.replica import Done, Part, Replica, Way
from w2v.cluster.settings import COMBINERS, ClusterSettings, RaySettings
from w2v.cluster.workers import Cluster, open_cluster
from w2v.engines import Frozen, Tally, Task, make_engine
from w2v.errors import InputError
from w2v.huffman import HuffmanTree
from w2v.losses import HierarchicalSoftmax, NegativeSampling, Softmax
from w2v.objectives import Cbow, Model, Objective, SkipGram
from w2v.sampling import keep_probabilities
from w2v.sums import Sums
from w2v.text.tokens import Text
from w2v.training.checkpoint import Checkpoints
from w2v.training.schedule import Schedule
from w2v.training.train import Stopped, Trained, train

OBJECTIVES: list[tuple[str, Objective]] = [
    ("numba", SkipGram(dim=10, window=3)),
    ("numpy", SkipGram(dim=10, window=3)),
    ("numpy", Cbow(dim=10, window=3)),
    ("numpy", SkipGram(dim=10, window=3, loss=HierarchicalSoftmax())),
]


class Processes:
    """A stand-in for several Ray processes, each with a copy of the model, all in this process.

    It implements the interface `Pool` of the processes that train for a cluster.
    """

    def __init__(self, processes: int) -> None:
        self.number = processes

    @property
    def processes(self) -> int:
        return self.number

    def start(self, engine: str, task: Task, text: Text) -> float:
        self.replicas = [Replica(engine, task, text) for _ in range(self.number)]
        return 0.0

    def load(self, table: NDArray[np.float32]) -> None:
        for replica in self.replicas:
            replica.load(table)

    def round(self, parts: Sequence[Part], way: Way, table: NDArray[np.float32]) -> Round:
        found = [
            self.replicas[-1 - number % self.number].train(part, self.number)
            for number, part in enumerate(parts)
        ]
        reports = [done for done, *_ in found if isinstance(done, Done)]
        pieces = zip(
            *([rows for rows in pieces if isinstance(rows, Rows)] for _, *pieces in found),
            strict=True,
        )
        combined = [r.combine(way, *rows)[1] for r, rows in zip(self.replicas, pieces, strict=True)]
        for replica in self.replicas:
            replica.apply(*combined)
        return Round(reports, combined, 0.0)


def learn(
    pool: Pool | None,
    workers: int = 4,
    engine: str = "numba",
    objective: Objective | None = None,
    *,
    epochs: int = 2,
    combine: str = "orthogonal",
    checkpoints: Checkpoints | None = None,
    stop: Callable[[], bool] = lambda: False,
    threads: int = 1,
) -> Trained:
    """Train on random documents with several workers; return the result of the training.

    `pool` stands for the processes of the workers; None: train without workers. `combine` is the
    method by which the workers' changes to the model are combined. Training ends early when `stop`
    returns True.
    """
    text = text_of(random_documents(0, 12_000, 60))
    counts = np.bincount(text.tokens).astype(np.int64)
    settings = ClusterSettings("local", workers, 500, combine)
    cluster = None if pool is None else Cluster(settings, pool, report=lambda _: None)
    return train(
        text,
        counts,
        objective or SkipGram(dim=10, window=3),
        Schedule(epochs, lr=0.05),
        engine=engine,
        cluster=cluster,
        checkpoints=checkpoints,
        stop=stop,
        threads=threads,
        heldout=0.05,
    )


def sha(trained: Trained) -> str:
    return hashlib.sha256(
        b"".join(np.ascontiguousarray(t).tobytes() for t in trained.model)
    ).hexdigest()


# What a round is


def copied(model: Model) -> Model:
    return Model(*map(np.copy, model))


def task_for(objective: Objective) -> Task:
    """Return a training task with a vocabulary of twenty words."""
    task = task_of(20, 10, SkipGram(dim=10))
    outside = task.model.outside[: objective.loss.output_rows(20)]
    return replace(task, objective=objective, model=Model(task.model.center, outside))


def naive_combine(
    before: list[float], after: list[list[float]], how: str, approach: float = 0.0
) -> list[float]:
    """Combine several workers' versions of one row of the model, in plain loops; return the row.

    Parameters
    ----------
    before, after
        The row before the workers trained, and each worker's version after that.
    how
        The method: ``sum``, ``mean``, ``orthogonal`` or ``sequential``.
    approach
        For ``sequential``: a measure of how close one worker brings the row to its optimum, as
        computed by `w2v.cluster.approach`.
    """
    total = [0.0] * len(before)
    for number, row in enumerate(after):
        change = [a - b for a, b in zip(row, before, strict=True)]
        if how in ("orthogonal", "sequential") and number > 0:
            square = sum(t * t for t in total)
            product = sum(t * c for t, c in zip(total, change, strict=True))
            share = product / square if square > 0 else 0.0
            if how == "sequential":
                share *= 1 - math.exp(-number * 0.05 * approach)
            change = [c - share * t for t, c in zip(total, change, strict=True)]
        total = [t + c for t, c in zip(total, change, strict=True)]
    if how == "mean":
        total = [t / len(after) for t in total]
    if how == "sequential" and approach > 0:  # the sum of a geometric series, relative to k
        left = [math.exp(-j * 0.002 * approach) for j in range(len(after))]
        total = [t * sum(left) / len(after) for t in total]
    return [b + t for b, t in zip(before, total, strict=True)]


def random_changes(
    seed: int, rows: int, dim: int, workers: int
) -> tuple[NDArray[np.float32], list[Rows]]:
    """Return a random matrix, and for each worker random new values of a random set of rows."""
    random = np.random.default_rng(seed)
    table = random.normal(size=(rows, dim)).astype(np.float32)
    changes = []
    for _ in range(workers):
        numbers = np.flatnonzero(random.random(rows) < np.linspace(0, 1, rows)).astype(np.int32)
        noise = random.normal(0.2, 0.3, (len(numbers), dim)).astype(np.float32)
        changes.append(Rows(numbers, table[numbers] + noise))
    return table, changes


@pytest.mark.parametrize("how", COMBINERS)
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_changes_are_combined_as_by_plain_loops(how: str, workers: int) -> None:
    table, changes = random_changes(0, 40, 7, workers)
    ways = np.geomspace(1e-3, 1e4, len(table)).astype(np.float32)
    ways[::5] = 0
    combined = combine(table, changes, how, ways)
    made: dict[int, list[list[float]]] = {}
    for change in changes:
        for number, row in zip(change.numbers.tolist(), change.values.tolist(), strict=True):
            made.setdefault(number, []).append(row)
    assert combined.numbers.tolist() == sorted(made)
    for number, row in zip(combined.numbers.tolist(), combined.values.tolist(), strict=True):
        wanted = naive_combine(table[number].tolist(), made[number], how, float(ways[number]))
        assert row == pytest.approx(wanted, rel=1e-4, abs=1e-5)
        if len(made[number]) == 1:  # with the bits that the only worker gave it
            assert row == made[number][0]


def test_workers_that_agree_count_once_and_workers_that_do_not_in_full() -> None:
    table = np.zeros((1, 3), np.float32)

    def after(*rows: list[float]) -> list[list[float]]:
        changes = [Rows(np.zeros(1, np.int32), np.array([row], np.float32)) for row in rows]
        hows = ("sum", "mean", "orthogonal")
        return [combine(table, changes, how).values[0].tolist() for how in hows]

    assert after([1, 2, 0], [1, 2, 0]) == [[2, 4, 0], [1, 2, 0], [1, 2, 0]]
    assert after([1, 0, 0], [0, 3, 0]) == [[1, 3, 0], [0.5, 1.5, 0], [1, 3, 0]]
    assert after([0, 0, 0], [0, 3, 0]) == [[0, 3, 0], [0, 1.5, 0], [0, 3, 0]]


@pytest.mark.parametrize("how", COMBINERS)
def test_a_row_has_the_same_bits_in_whatever_piece_it_is_combined(how: str) -> None:
    table, changes = random_changes(1, 300, 13, 6)
    ways = np.geomspace(1e-3, 1e4, len(table)).astype(np.float32)
    whole = combine(table, changes, how, ways)
    for pieces in (2, 3, 7):
        for number in range(pieces):
            parts = [change.piece(number, pieces) for change in changes]
            part = combine(table, parts, how, ways)
            wanted = whole.piece(number, pieces)
            np.testing.assert_array_equal(part.numbers, wanted.numbers)
            np.testing.assert_array_equal(part.values, wanted.values)


def test_changed_rows_are_found_by_their_bits() -> None:
    before = np.zeros((5, 3), np.float32)
    now = before.copy()
    now[1, 2], now[3, 0], now[4, 1] = -0.0, np.nan, 1e-45
    found = kernels.changed_rows(before.view(np.int32), now.view(np.int32))
    assert found.tolist() == [1, 3, 4]
    assert kernels.changed_rows(now.view(np.int32), now.view(np.int32)).tolist() == []


@pytest.mark.parametrize(("engine", "objective"), OBJECTIVES)
def test_a_round_trains_every_worker_from_the_same_model(engine: str, objective: Objective) -> None:
    task = replace(task_of(20, 10, SkipGram(dim=10)), objective=objective)
    task = replace(
        task,
        model=task.model._replace(outside=task.model.outside[: objective.loss.output_rows(20)]),
    )
    text = text_of(random_documents(2, 900, 20))
    cluster = ClusterEngine(engine, task, text, LocalPool(), 3, 300, "orthogonal")
    cluster.restore({"words_read": np.array([10**9])})
    before = np.concatenate(task.model)
    tally = cluster.train(text, (0.1, 0.05), np.random.default_rng(5))
    random = np.random.default_rng(5)
    after, tallies = [], Tally()
    for spans, one in zip(divide(text.spans, 3), [random, *random.spawn(2)], strict=True):
        alone = make_engine(engine, replace(task, model=copied(task.model)))
        tallies += alone.train(replace(text, spans=spans), (0.1, 0.05), one)
        after.append(np.concatenate(alone.task.model))
    assert (tally.words, tally.pairs, tally.loss) == (tallies.words, tallies.pairs, tallies.loss)
    found = np.concatenate(cluster.task.model)
    for row in range(len(before)):
        made = [table[row].tolist() for table in after if (table[row] != before[row]).any()]
        wanted = naive_combine(before[row].tolist(), made, "orthogonal") if made else before[row]
        assert found[row].tolist() == pytest.approx(list(wanted), rel=1e-4, abs=1e-6)


def test_the_text_is_divided_among_the_workers() -> None:
    random = np.random.default_rng(0)
    for workers in (1, 2, 3, 16):
        for lengths in ([10_000], [1] * 40, random.integers(1, 90, 300).tolist(), [5, 0, 3], []):
            ends = np.cumsum(lengths).astype(np.int64)
            spans = np.stack([ends - np.array(lengths, np.int64), ends], axis=1)
            parts = divide(spans, workers)
            assert len(parts) == workers
            sizes = [int((part[:, 1] - part[:, 0]).sum()) for part in parts]
            places = [range(*span) for part in parts for span in part.tolist()]
            assert [p for place in places for p in place] == list(range(sum(lengths)))
            assert max(sizes) - min(sizes) <= 1


class Sizes(LocalPool):
    """A pool that records in `sizes` how many tokens the workers train on in each round.

    At the end of a round, the workers' changes to the model are combined. The learning rates at the
    start and at the end of each round are recorded in `rates`. As in any `LocalPool`, the workers
    train one after another in this process.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.rates: list[float] = []

    def round(self, parts: Sequence[Part], way: Way, table: NDArray[np.float32]) -> Round:
        self.sizes.append(sum(int((p.spans[:, 1] - p.spans[:, 0]).sum()) for p in parts))
        assert {part.rates for part in parts} == {parts[0].rates}
        self.rates += parts[0].rates
        return super().round(parts, way, table)


def test_rounds_grow_with_the_words_read() -> None:
    text = text_of([[i % 20 for i in range(10)]] * 30_000)
    pool = Sizes()
    engine = ClusterEngine("numba", task_of(20, 2, SkipGram(dim=2)), text, pool, 3, 3000, "mean")
    (shard,) = text.shards(300_000)
    engine.restore({"words_read": np.array([700_000])})
    engine.train(shard, (0.5, 0.2), np.random.default_rng(0))
    assert sum(pool.sizes) == 300_000
    read = np.cumsum([0, *pool.sizes])
    wanted = np.clip((700_000 + read[:-1]) // 100, 6000, 9000) // 10 * 10  # whole documents
    assert pool.sizes[:-1] == wanted[:-1].tolist()
    assert 0.5 * wanted[-1] <= pool.sizes[-1] <= 1.5 * wanted[-1]
    # The rate falls linearly over the rounds, without a gap between them.
    assert pool.rates[0::2] == pytest.approx((0.5 - 0.3 * read[:-1] / 300_000).tolist())
    assert pool.rates[1::2] == pytest.approx((0.5 - 0.3 * read[1:] / 300_000).tolist())
    assert engine.state()["words_read"].tolist() == [1_000_000]


@pytest.mark.parametrize(("engine", "objective"), OBJECTIVES)
def test_every_row_is_expected_in_as_many_terms_as_it_gets(
    engine: str, objective: Objective
) -> None:
    task = replace(task_for(objective), counts=np.arange(21, 1, -1, dtype=np.int64))
    center, outside = row_terms(task)
    kept = task.counts / task.counts.sum() * keep_probabilities(task.counts, objective.subsample)
    # Skip-gram predicts the words at the distances 1, 2, 3 with the weights 1, 2/3, 1/3.
    predicted = kept * (1 if isinstance(objective, Cbow) else 4)
    if isinstance(objective.loss, NegativeSampling):
        noise = task.counts**0.75 / (task.counts**0.75).sum()
        wanted = predicted + 5 * predicted.sum() * noise
        terms = 6.0
    else:
        tree = HuffmanTree(task.counts)
        wanted = np.zeros(19)
        for word, share in enumerate(predicted):
            for node in tree.nodes[tree.starts[word] : tree.starts[word + 1]]:
                wanted[node] += share
        terms = float((predicted * tree.lengths).sum() / predicted.sum())
    np.testing.assert_allclose(outside, wanted)
    np.testing.assert_allclose(center, predicted * terms)


def test_the_rows_of_subwords_are_in_the_terms_of_their_words() -> None:
    objective = SkipGram(dim=4, subwords=True, buckets=10)
    task = task_of(3, 4, SkipGram(dim=4))
    alone, _ = row_terms(task)
    sums = Sums(
        np.array([0, 3, 1, 3, 4, 2], np.int32),
        np.array([0, 2, 5, 6], np.int32),
        np.ones(6, np.float32),
        np.ones(6, np.float32),
    )
    model = Model(np.zeros((5, 4), np.float32), task.model.outside)
    center, _ = row_terms(replace(task, objective=objective, subwords=sums, model=model))
    np.testing.assert_allclose(center, [*alone, alone[0] + alone[1], alone[1]])


# The result


@pytest.mark.parametrize(("engine", "objective"), OBJECTIVES)
def test_one_worker_has_the_bits_of_its_engine(engine: str, objective: Objective) -> None:
    task = task_for(objective)
    text = text_of(random_documents(2, 3000, 20))
    cluster = ClusterEngine(engine, task, text, LocalPool(), 1, 3000, "orthogonal")
    alone = make_engine(engine, replace(task, model=copied(task.model)))
    cluster.restore({"words_read": np.array([10**9])})  # rounds have their full length
    for one in (cluster, alone):
        for shard in text.shards(1000):
            one.train(shard, (0.1, 0.05), np.random.default_rng(shard.size))
    for a, b in zip(cluster.task.model, alone.task.model, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("how", ["orthogonal", "sequential"])
@pytest.mark.parametrize(("engine", "objective"), OBJECTIVES)
def test_the_bits_depend_on_workers_and_not_on_processes(
    engine: str, objective: Objective, how: str
) -> None:
    found = [
        learn(pool, engine=engine, objective=objective, epochs=1, combine=how)
        for pool in (LocalPool(), Processes(1), Processes(3), Processes(4))
    ]
    assert len({sha(trained) for trained in found}) == 1
    assert len({trained.epochs[-1].loss for trained in found}) == 1
    assert sha(learn(LocalPool(), 3, engine, objective, epochs=1, combine=how)) != sha(found[0])


def test_the_bits_do_not_depend_on_threads() -> None:
    assert sha(learn(LocalPool(), threads=1)) == sha(learn(LocalPool(), threads=3))


@pytest.mark.parametrize("how", ["mean", "orthogonal", "sequential"])
def test_several_workers_learn(how: str) -> None:
    heldout = [
        epoch.heldout_loss or math.nan for epoch in learn(LocalPool(), epochs=4, combine=how).epochs
    ]
    assert heldout[-1] < heldout[0]
    assert heldout[-1] == pytest.approx(learn(None, epochs=4).epochs[-1].heldout_loss, rel=0.05)


def test_an_interrupted_training_continues_with_the_same_bits(tmp_path: Path) -> None:
    whole = learn(LocalPool())
    rounds = iter([False] * 3 + [True])
    checkpoints = Checkpoints(tmp_path, None)
    with pytest.raises(Stopped):
        learn(LocalPool(), checkpoints=checkpoints, stop=lambda: next(rounds))
    resumed = learn(Processes(2), checkpoints=checkpoints)
    assert sha(resumed) == sha(whole)
    assert resumed.cluster is not None
    assert whole.cluster is not None
    assert resumed.cluster.rounds == whole.cluster.rounds - 4


def test_frozen_vectors_stay_on_every_worker() -> None:
    text = text_of(random_documents(0, 4000, 20))
    counts = np.bincount(text.tokens).astype(np.int64)
    task = task_of(20, 10, SkipGram(dim=10))
    frozen = np.arange(20) < 5
    settings = ClusterSettings("local", 3, 500)
    with open_cluster(settings, report=lambda _: None) as cluster:
        trained = train(
            text,
            counts,
            SkipGram(dim=10),
            Schedule(1),
            initial=copied(task.model),
            frozen=Frozen(frozen, frozen),
            cluster=cluster,
        )
    for before, after in zip(task.model, trained.model, strict=True):
        np.testing.assert_array_equal(before[frozen], after[frozen])
        assert (before[~frozen] != after[~frozen]).any(axis=1).all()


# What it costs


def test_costs_are_counted() -> None:
    costs = learn(Processes(2), epochs=1).cluster
    assert costs is not None
    assert (costs.workers, costs.processes) == (4, 2)
    assert costs.rounds == 6
    assert costs.computing > 0
    assert costs.changed_bytes > costs.combined_bytes > 0
    sent = costs.changed_bytes + 2 * costs.combined_bytes
    words = learn(None, epochs=1).words
    assert costs.bytes_per_word == pytest.approx(sent / words)


@pytest.mark.parametrize("loss", [NegativeSampling(), NegativeSampling(2, 1.0)])
def test_the_size_of_a_message_is_told_in_advance(loss: NegativeSampling) -> None:
    random = np.random.default_rng(0)
    weights = 1 / np.arange(1, 3001)
    tokens = random.choice(3000, 200_000, p=weights / weights.sum()).astype(np.int32)
    ends = np.arange(100, 200_001, 100)
    text = Text(tokens, np.arange(3000, dtype=np.int32), np.stack([ends - 100, ends], axis=1))
    counts = np.bincount(tokens, minlength=3000).astype(np.int64) + 1
    objective = SkipGram(dim=6, loss=loss)
    model = task_of(3000, 6, objective).model
    task = Task(model, objective, counts, 200_000)
    for words in (2000, 20_000):
        replica = Replica("numba", task, text)
        part = Part(text.spans[: words // 100], (0.1, 0.1), np.random.default_rng(1))
        done, _ = replica.train(part)
        assert isinstance(done, Done)
        assert message_bytes(task, words) == pytest.approx(done.nbytes, rel=0.05)


def test_an_epoch_of_a_long_text_has_a_thousand_rounds() -> None:
    task = task_of(20, 10, SkipGram(dim=10))
    for settings, words, wanted in [
        (ClusterSettings("local", 8), 80_000_000, 10_000),
        (ClusterSettings("local", 16), 80_000_000, 5000),
        (ClusterSettings("local", 8), 1_000_000, 1000),
        (ClusterSettings("local", 8, 500), 80_000_000, 500),
    ]:
        cluster = Cluster(settings, LocalPool())
        assert cluster.round_words(replace(task, words=words)) == wanted


def test_workers_that_do_not_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("w2v.training.memory.free_memory", lambda: 10**4)
    with pytest.raises(InputError, match=r"^cluster: the workers .* 10\.0 kB is free"):
        learn(LocalPool())


def test_a_process_holds_two_models_and_the_changes_of_its_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("w2v.cluster.settings.find_spec", lambda _: True)  # of Ray
    task = task_of(20, 10, SkipGram(dim=10))
    model, message = 2 * 20 * 10 * 4, message_bytes(task, 500)
    local = Cluster(ClusterSettings("local", 4, 500), LocalPool())
    assert local.memory(task) == 2 * model + (2 + 4) * message
    ray = Cluster(ClusterSettings("ray", 4, 500), Processes(2), here=2)
    assert ray.memory(task) == 2 * (2 * model + (2 + 2) * message)


# What is refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workers": 2}, "workers=2: must be 1 with cluster=none"),
        ({"name": "local", "workers": 0}, "workers=0: must be at least 1"),
        ({"name": "local", "workers": 2, "processes": 3}, "processes=3: must be at most workers=2"),
        (
            {"name": "local", "combine": "vote"},
            "combine=vote: must be sum, mean, orthogonal or",
        ),
        ({"name": "spark"}, "name=spark: must be none, local or ray"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ClusterSettings(**settings)  # type: ignore[arg-type]


def test_an_address_of_ray_has_a_port() -> None:
    assert RaySettings("10.0.0.1:6379").address == "10.0.0.1:6379"
    for wrong in ("10.0.0.1", "ray://a:1", "", "a:b"):
        with pytest.raises(InputError, match="address="):
            RaySettings(wrong)


def test_what_several_workers_cannot_train_is_refused() -> None:
    settings = ClusterSettings("local", 2)
    with pytest.raises(InputError, match="engine=jax: cannot train with cluster=local; numba and"):
        settings.check("jax", SkipGram())
    with pytest.raises(InputError, match="loss=softmax: cannot be trained with cluster=local"):
        settings.check("numpy", SkipGram(loss=Softmax()))
    ClusterSettings().check("jax", SkipGram(loss=Softmax()))


# The library's one call

DOCUMENTS = [line.split() for line in TEXT] * 30


def test_the_library_trains_with_the_bits_of_the_pipeline(tmp_path: Path) -> None:
    write_text(tmp_path)
    cluster = ("cluster=local", "cluster.workers=3", "cluster.round_words=500")
    done = run(*SMALL, *cluster, WITHOUT_SCORES, "tracking=none", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("outputs/cache/train/[0-9a-f]*/vectors.npy")
    model = w2v.train(
        DOCUMENTS,
        SkipGram(dim=8),
        min_count=1,
        epochs=2,
        heldout=0.1,
        cluster=w2v.ClusterSettings("local", 3, 500),
        progress=False,
    )
    np.testing.assert_array_equal(model.vectors.vectors, np.load(path))
    assert model.cluster is not None
    assert model.cluster.workers == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cluster": "ray"}, r"cluster='ray': must be None, or such as w2v.ClusterSettings"),
        (
            {"cluster": ClusterSettings("local", 2), "engine": "jax"},
            "engine=jax: cannot train with cluster=local",
        ),
        (
            {"cluster": ClusterSettings("local", 2), "ray_address": "10.0.0.1:1"},
            r'ray_address=10.0.0.1:1: needs cluster=w2v.ClusterSettings\("ray"',
        ),
        (
            {"cluster": ClusterSettings("local", 1500), "engine": "numpy", "heldout": 0},
            "^workers=1500: must be less than 1,500, the number of words to train on$",
        ),
        ({"ray_address": "10.0.0.1"}, "ray_address=10.0.0.1: must be host:port"),
    ],
)
def test_the_library_refuses_workers_that_cannot_be(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        w2v.train(DOCUMENTS, min_count=1, **arguments)


def test_importing_the_library_does_not_load_numba() -> None:
    code = "import sys, w2v; sys.exit('numba' in sys.modules or 'ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
