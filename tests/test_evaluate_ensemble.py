"""Test ensembles (several trainings of one text) and the comparison of two texts.

Results are compared with those of plain loops and of SciPy. Some tests simulate data, so that the
true values are known, and compare the results with these.
"""

import itertools
import math
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import linalg, stats

import w2v
from w2v import Ensemble, InputError, WordVectors
from w2v.evaluate import change as changes
from w2v.evaluate.change import change, holm
from w2v.evaluate.procrustes import align, rotation
from w2v.evaluate.statistics import prediction_interval
from w2v.report.comparisons import (
    SAME,
    UNJUDGED,
    agreement_verdict,
    write_change,
    write_ensemble,
)
from w2v.report.report import number

WORDS = [f"w{number:02}" for number in range(30)]
WHEN = datetime(2026, 11, 26, 12, tzinfo=UTC)


def noisy_runs(
    runs: int, seed: int = 0, noise: float = 0.3, dim: int = 8, words: list[str] = WORDS
) -> list[WordVectors]:
    """Return vectors of several runs, which differ only in noise, rotation and order of words."""
    random = np.random.default_rng(seed)
    common = np.random.default_rng(99).normal(size=(len(words), dim))
    found = []
    for _ in range(runs):
        turn = linalg.qr(random.normal(size=(dim, dim)))[0]
        vectors = (common + noise * random.normal(size=common.shape)) @ turn
        order = random.permutation(len(words))
        counts = 1000 - 10 * np.arange(len(words))
        found.append(WordVectors([words[i] for i in order], vectors[order], counts[order]))
    return found


def cosine(run: WordVectors, one: str, other: str) -> float:
    a, b = run[one].astype(float), run[other].astype(float)
    return float(a @ b / math.sqrt((a @ a) * (b @ b)))


def test_a_rotation_is_that_of_scipy() -> None:
    random = np.random.default_rng(0)
    source, target = random.normal(size=(2, 20, 5))
    assert np.allclose(rotation(source, target), linalg.orthogonal_procrustes(source, target)[0])


def test_turned_sets_are_aligned_and_their_lengths_stay() -> None:
    random = np.random.default_rng(1)
    plain = random.normal(size=(40, 6)).astype(np.float32)
    turns = [linalg.qr(random.normal(size=(6, 6)))[0] for _ in range(3)]
    sets = [(plain @ turn).astype(np.float32) for turn in turns]
    aligned = align(sets, np.arange(10))
    for one in aligned:
        assert np.allclose(one, aligned[0], atol=1e-5)
        assert np.allclose(one @ one.T, plain @ plain.T, atol=1e-4)
    with pytest.raises(InputError, match="vectors of 5 and 6 numbers cannot be aligned"):
        align([plain, plain[:, :5]], np.arange(10))


def test_a_similarity_is_the_mean_over_runs_with_the_interval_of_one_more() -> None:
    runs = noisy_runs(5)
    found = Ensemble(runs).similarity("w03", "w17")
    cosines = [cosine(run, "w03", "w17") for run in runs]
    assert found.values == pytest.approx(cosines, abs=1e-6)
    assert found.mean == pytest.approx(np.mean(cosines), abs=1e-6)
    fisher = [math.atanh(value) for value in cosines]
    half = stats.t.ppf(0.975, 4) * np.std(fisher, ddof=1) * math.sqrt(1 + 1 / 5)
    ends = math.tanh(np.mean(fisher) - half), math.tanh(np.mean(fisher) + half)
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-5)


def test_neighbours_are_those_of_plain_loops() -> None:
    runs = noisy_runs(4, noise=0.6)
    found = Ensemble(runs).nearest("w05", 6)
    means = {
        word: float(np.mean([cosine(run, "w05", word) for run in runs]))
        for word in WORDS
        if word != "w05"
    }
    expected = sorted(means, key=lambda word: -means[word])[:6]
    assert [one.word for one in found] == expected
    for one in found:
        own = [word for run in runs for word, _ in run.nearest("w05", 6)].count(one.word)
        assert one.share == own / 4
        assert one.cosine == pytest.approx(means[one.word], abs=1e-6)
        assert one.low < one.cosine < one.high
    assert len({one.share for one in found}) > 1


def test_agreement_is_the_mean_over_pairs_of_runs() -> None:
    runs = noisy_runs(4, noise=0.6)
    ensemble = Ensemble(runs)
    found = ensemble.agreement(k=5)
    assert [one.word for one in found] == ensemble.words == WORDS
    for one in found:
        lists = [{word for word, _ in run.nearest(one.word, 5)} for run in runs]
        shares = [len(a & b) / 5 for a, b in itertools.combinations(lists, 2)]
        assert one.share == pytest.approx(np.mean(shares))
    (band,) = ensemble.bands(found, least=3)
    assert (band.first, band.last) == (1, 30)
    assert band.share == pytest.approx(np.mean([one.share for one in found]))
    assert [one.share for one in band.least] == sorted(one.share for one in found)[:3]


def test_only_words_of_all_runs_count_and_two_runs_are_needed() -> None:
    runs = noisy_runs(2)
    fewer = WordVectors(["w01", "w02", "new"], np.eye(3, 8))
    ensemble = Ensemble([*runs, fewer])
    assert ensemble.words == ["w01", "w02"]
    assert ("new" in ensemble, len(ensemble)) == (False, 3)
    assert [one.word for one in ensemble.nearest("w01")] == ["w02"]
    odd: Any = ensemble
    anything: Any = Ensemble
    calls: list[tuple[Any, str]] = [
        (lambda: Ensemble(runs[:1]), "1 runs make no ensemble"),
        (lambda: Ensemble([runs[0], WordVectors(["x"], [[1.0]])]), "0 words in common"),
        (lambda: ensemble.similarity("w01", "w09"), "'w09' is not among the 2 words of all runs"),
        (lambda: ensemble.nearest("w01", 0), "k=0: must be a whole number of at least 1"),
        (lambda: odd.nearest("w01", 2.5), "k=2.5: must be a whole number of at least 1"),
        (lambda: ensemble.agreement(0), "k=0: must be a whole number of at least 1"),
        (lambda: odd.similarity(["w01"], "w02"), r"\['w01'\] is not among the 2 words"),
        (lambda: Ensemble(runs, -1), "vocabulary=-1: must be a whole number of at least 2"),
        (lambda: anything(["a", "b"]), "runs: holds 'a'; word vectors or trained models"),
    ]
    for call, message in calls:
        with pytest.raises(InputError, match=message):
            call()


def test_the_mean_vectors_are_near_to_every_run(tmp_path: Path) -> None:
    runs = noisy_runs(6)
    paths = [tmp_path / str(number) for number in range(6)]
    for run, path in zip(runs, paths, strict=True):
        run.save(path)
    mean = w2v.Ensemble.load(paths).mean()
    assert list(mean.words) == WORDS
    plain = WordVectors(WORDS, np.random.default_rng(99).normal(size=(30, 8)))
    pairs = list(itertools.combinations(WORDS, 2))
    wanted = [cosine(plain, *pair) for pair in pairs]
    error = np.abs(np.array([cosine(mean, *pair) for pair in pairs]) - wanted).mean()
    single = np.abs(np.array([cosine(runs[0], *pair) for pair in pairs]) - wanted).mean()
    assert error < single / 1.5


@pytest.mark.parametrize("runs", [2, 5, 10])
def test_prediction_intervals_hold_the_next_value_in_95_of_100(runs: int) -> None:
    random = np.random.default_rng(runs)
    held = 0
    for _ in range(4000):
        *values, following = random.normal(3, 2, runs + 1).tolist()
        low, high = prediction_interval(values)
        held += low <= following <= high
    assert 0.93 < held / 4000 < 0.97


def test_holm_is_that_of_a_loop() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.9])
    order, largest, expected = sorted(range(5), key=lambda i: p[i]), 0.0, [0.0] * 5
    for step, index in enumerate(order):
        largest = max(largest, p[index] * (5 - step))
        expected[index] = min(largest, 1.0)
    assert holm(p) == pytest.approx(expected)


def simulated(
    seed: int, moved: float, resampled: bool, runs: int = 8, size: int = 300, dim: int = 40
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]], NDArray[np.float64]]:
    """Simulate word vectors of several runs on each of two texts; a tenth of the words change.

    A word has a vector in each text, of a length of about 1. If the word changes, its vector in the
    second text is that in the first text plus a random vector of about the length `moved`. Each run
    adds its own noise to the vectors of its text. With `resampled`, each text also adds a noise of
    its own, which is equal in all runs on the text, as if the text were a random sample.

    Returns
    -------
    before, after
        For each run on the first and on the second text, the vectors (size, dim).
    change : (size,)
        Half of the squared distance between each word's vectors in the two texts, before any noise
        is added.
    """
    random = np.random.default_rng(seed)
    scale = np.linspace(0.3, 1.7, dim) / math.sqrt(dim) / 2

    def noise() -> NDArray[np.float64]:
        return random.normal(size=(size, dim)) * scale

    common = random.normal(size=(size, dim)) / math.sqrt(dim)
    delta = moved * random.normal(size=(size, dim)) / math.sqrt(dim)
    delta[size // 10 :] = 0
    texts = [common + noise() * resampled, common + delta + noise() * resampled]
    sides = [[(text + noise()).astype(np.float32) for _ in range(runs)] for text in texts]
    return sides[0], sides[1], (delta**2).sum(axis=1) / 2


@pytest.mark.parametrize("resampled", [False, True])
def test_the_noise_is_that_of_covariance_matrices(resampled: bool) -> None:
    before, after, _ = simulated(3, 0.5, resampled, runs=5, size=20, dim=6)
    delta = np.mean(after, axis=0, dtype=float) - np.mean(before, axis=0, dtype=float)
    noise = changes._noise(before, after[:4], delta)
    for side, runs in ((0, before), (1, after[:4])):
        n = len(runs)
        for word in range(20):
            rows = np.array([run[word] for run in runs], float)
            matrix = np.cov(rows.T)
            assert noise.trace[side, word] == pytest.approx(np.trace(matrix), rel=1e-5)
            assert noise.along[side, word] == pytest.approx(delta[word] @ matrix @ delta[word])
            plain = np.trace(matrix @ matrix) - np.trace(matrix) ** 2 / (n - 1)
            wanted = max(0.0, plain) * (n - 1) ** 2 / ((n - 2) * (n + 1))
            assert noise.square is not None
            assert noise.square[side, word] == pytest.approx(wanted, rel=1e-4, abs=1e-9)
    one, other = (
        np.cov(np.array([run[7] for run in side], float).T) for side in (before, after[:4])
    )
    assert noise.cross[7] == pytest.approx(np.trace(one @ other), rel=1e-5)


@pytest.mark.parametrize("resampled", [False, True])
def test_intervals_of_moved_words_hold_the_truth(resampled: bool) -> None:
    held, words = 0, 0
    for seed in range(20):
        before, after, truth = simulated(seed, 1.0, resampled)
        found = changes._shifts(before, after, resampled)
        assert found.low is not None
        assert found.high is not None
        inside = (found.low <= truth) & (truth <= found.high)
        held, words = held + int(inside[:30].sum()), words + 30
    assert 0.93 <= held / words <= 0.99


@pytest.mark.parametrize("resampled", [False, True])
def test_nothing_is_found_where_nothing_moved_and_much_where_it_did(resampled: bool) -> None:
    false, power = 0, []
    for seed in range(40):
        found = changes._shifts(*simulated(seed, 0.0, resampled)[:2], resampled)
        assert found.p is not None
        false += bool((found.p < changes.LEVEL).any())
        moved = changes._shifts(*simulated(seed, 1.0, resampled)[:2], resampled)
        assert moved.p is not None
        power.append(float((moved.p[:30] < changes.LEVEL).mean()))
        assert np.median(np.argsort(np.argsort(-moved.rank))[:30]) < 30
    assert false <= 2
    assert np.mean(power) > (0.1 if resampled else 0.95)


def test_texts_are_compared_by_word_not_by_row() -> None:
    before = Ensemble(noisy_runs(4, seed=1, noise=0.1))
    runs = noisy_runs(4, seed=2, noise=0.1)
    swapped = {"w03": "w20", "w20": "w03"}
    after = Ensemble(
        WordVectors([swapped.get(word, word) for word in run.words], run.vectors, run.counts)
        for run in runs
    )
    found = change(before, after, resampled=False)
    assert {shift.word for shift in found.shifts[:2]} == {"w03", "w20"}
    assert [shift.found for shift in found.shifts[:3]] == [True, True, False]
    top = found.shifts[0]
    distances = [
        1 - float(a[before.row(top.word)] @ b[before.row(top.word)])
        for a in before.aligned
        for b in Ensemble(runs).aligned
    ]
    assert top.distance > 0.3
    assert len(distances) == 16
    assert top.moved is not None
    assert top.expected is not None
    assert top.moved == pytest.approx(top.distance - top.expected, abs=1e-5)
    assert top.low is not None
    assert top.high is not None
    assert top.low < top.moved < top.high
    assert (found.runs, found.resampled, found.anchors) == ((4, 4), False, 30)


def test_a_single_training_borrows_the_noise_and_two_have_none() -> None:
    before, after = Ensemble(noisy_runs(4, seed=1, noise=0.1)), noisy_runs(1, seed=2, noise=0.1)[0]
    found = change(before, after, resampled=False)
    assert found.runs == (4, 1)
    assert not any(shift.found for shift in found.shifts)
    assert all(shift.p is not None for shift in found.shifts)
    single = change(after, noisy_runs(1, seed=5)[0], resampled=False)
    assert single.inflation is None
    assert all(shift.p is None and shift.moved is None for shift in single.shifts)
    pair = change(Ensemble(noisy_runs(2, seed=1)), Ensemble(noisy_runs(2, seed=2)), False)
    assert all(shift.p is None and shift.moved is not None for shift in pair.shifts)


def test_texts_without_common_frequent_words_are_refused() -> None:
    rare = WordVectors(WORDS, np.eye(30, 8), np.full(30, 19))
    with pytest.raises(InputError, match="0 words occur 20 times or more in both texts; 10 are"):
        change(Ensemble(noisy_runs(2)), rare, False)


@pytest.mark.parametrize("runs", [2, 3])
def test_equal_trainings_do_not_show_chance(runs: int) -> None:
    before, after = (Ensemble(noisy_runs(1, seed=seed) * runs) for seed in (1, 2))
    with pytest.raises(InputError) as error:
        change(before, after, False)
    assert str(error.value) == (
        "the trainings of a text have the same vectors, which do not show what chance moves; train "
        "them with several seeds"
    )


# Pages


def test_an_ensemble_of_few_words_has_as_many_neighbours_as_there_are() -> None:
    agreement = Ensemble([WordVectors([*"abc"], np.eye(3))] * 2).agreement()
    assert agreement_verdict(agreement) == (
        "Two trainings have 2.0 of a word’s 2 nearest neighbours in common, on average over "
        "3 words. Most neighbours can be relied on."
    )


def test_the_page_of_an_ensemble(tmp_path: Path) -> None:
    words = ["<b>bold</b>", "\u202eevil", *WORDS[2:]]
    ensemble = Ensemble(noisy_runs(3, noise=1.0, words=words))
    page, word_map = write_ensemble(
        tmp_path,
        ensemble,
        title="window=5 on text",
        resampled=True,
        when=WHEN,
        probes=["<b>bold</b>", "unknown"],
        paths=["outputs/it's"],
        methods=["pca"],
    )
    assert (page.name, word_map.name) == ("ensemble.html", "ensemble-map.html")
    text = page.read_text()
    for wanted in (
        "Each training drew its documents anew",
        "of a word’s 10 nearest neighbours in common",
        "<bdi>&lt;b&gt;bold&lt;/b&gt;</bdi>",
        "1 … 30",
        "&#34;outputs/it&#39;s&#34;",
        'href="ensemble-map.html"',
    ):
        assert wanted in text
    assert "<b>bold" not in text
    assert "\u202e" not in text
    (again,) = write_ensemble(tmp_path, ensemble, title="t", resampled=False, when=WHEN)
    assert "The trainings differ only in their seed" in again.read_text()


@pytest.mark.parametrize(
    ("runs", "swap", "sentence"),
    [
        (4, True, "2 words of 30 are used differently."),
        (4, False, SAME),
        (2, False, UNJUDGED),
        (1, False, UNJUDGED),
    ],
)
def test_the_page_on_two_texts(tmp_path: Path, runs: int, swap: bool, sentence: str) -> None:
    swapped = {"w03": "w20", "w20": "w03"} if swap else {}
    sides = []
    for seed, names in ((1, {}), (2, swapped)):
        made = [
            WordVectors([names.get(word, word) for word in run.words], run.vectors, run.counts)
            for run in noisy_runs(runs, seed=seed, noise=0.1)
        ]
        sides.append(Ensemble(made) if runs > 1 else made[0])
    found = change(sides[0], sides[1], resampled=False)
    path = tmp_path / "change.html"
    write_change(path, found, (sides[0], sides[1]), ("old", "new"), title="new on old", when=WHEN)
    text = path.read_text()
    assert sentence in text
    assert f"Before: <bdi>old</bdi> ({runs} training{'s' * (runs > 1)})" in text
    moved = [one.distance if one.p is None else one.moved for one in found.shifts]
    shown = re.findall(r'<span class="nowrap">([−.\d]+)', text)
    assert shown == [number(value, 2) for value in moved[: len(shown)]]
    assert text.count("used differently</td>") == (2 if swap else 0)


# Planting


def topics(random: np.random.Generator, documents: int) -> list[list[str]]:
    """Return random documents of 20 words, each document about one or two of ten topics."""
    shares = 1 / np.arange(3, 33)
    made = []
    for pair in random.integers(0, 10, (documents, 2)).tolist():
        words = random.choice(30, 20, p=shares / shares.sum()).tolist()
        of = random.choice(pair, 20, p=[0.7, 0.3]).tolist()
        made.append([f"t{topic}w{word}" for topic, word in zip(of, words, strict=True)])
    return made


def trained(documents: list[list[str]], resampled: bool) -> Ensemble:
    options: Any = {"epochs": 3, "min_count": 1, "progress": False, "bootstrap": resampled}
    return Ensemble(
        w2v.train(documents, w2v.SkipGram(dim=16), seed=seed, **options).vectors
        for seed in range(6)
    )


@pytest.mark.long
@pytest.mark.parametrize("resampled", [True, False])
def test_planted_words_come_first_and_halves_of_one_text_do_not_differ(resampled: bool) -> None:
    documents = topics(np.random.default_rng(0), 4000)
    before = trained(documents[::2], resampled)
    after = documents[1::2]
    same = change(before, trained(after, resampled), resampled)
    assert not any(shift.found for shift in same.shifts)
    planted = {"t1w1": "t5w1", "t2w2": "t6w2", "t3w3": "t7w3"}
    changed = [[planted.get(word, word) for word in document] for document in after]
    found = change(before, trained(changed, resampled), resampled)
    assert {shift.word for shift in found.shifts[:3]} == {*planted.values()}
    assert [shift.found for shift in found.shifts[:4]] == [True, True, True, False]
