"""Test `w2v.sampling`: random generators, sub-sampling and the noise distribution."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from tests import naive
from w2v.sampling import (
    Key,
    NoiseDistribution,
    draw,
    draw_evenly,
    draw_key,
    generator,
    keep_probabilities,
    keep_thresholds,
    threefry,
)

few_examples = settings(derandomize=True, deadline=None, max_examples=20)


# Generators


def test_each_seed_purpose_and_index_has_its_own_generator() -> None:
    keys: list[tuple[Any, ...]] = [
        (0, "noise"),
        (1, "noise"),
        (0, "noise", 0),
        (0, "noise", 1),
        (0, "noise", 0, 0),
        (0, "noise", 0, 1),
        (0, "noise", 1, 0),
        (0, "order"),
        (0, "order", 1),
    ]
    draws = [generator(*key).integers(2**62, size=4).tolist() for key in keys]
    assert draws == [generator(*key).integers(2**62, size=4).tolist() for key in keys]
    assert len({number for draw in draws for number in draw}) == 4 * len(keys)


def test_a_generator_is_the_same_in_every_process() -> None:
    sequence = generator(7, "noise", 2, 3).bit_generator.seed_seq
    assert isinstance(sequence, np.random.SeedSequence)
    assert (sequence.entropy, sequence.spawn_key) == (7, (4255749673, 2, 3))


def test_generators_of_different_purpose_are_not_correlated() -> None:
    draws = np.stack([generator(0, "train", 1, index).random(4000) for index in range(20)])
    correlations = np.asarray(np.corrcoef(draws))[np.triu_indices(20, 1)]
    assert np.abs(correlations).max() < 5 / math.sqrt(4000)


def test_drawing_from_one_generator_does_not_change_another() -> None:
    alone = generator(3, "noise").random(5).tolist()
    other, noise = generator(3, "order"), generator(3, "noise")
    other.random(1000)
    assert noise.random(5).tolist() == alone


# Sub-sampling


@few_examples
@given(
    st.lists(st.integers(1, 10**9), min_size=1, max_size=10), st.floats(1e-8, 10, allow_nan=False)
)
def test_keep_probabilities_are_those_of_word2vec(counts: list[int], threshold: float) -> None:
    kept = keep_probabilities(np.array(counts, np.int64), threshold)
    assert kept.dtype == np.float32
    total = sum(counts)
    for count, chance in zip(counts, kept.tolist(), strict=True):
        frequency = count / total
        # In word2vec.c: (sqrt(cn / (sample * total)) + 1) * (sample * total) / cn
        code = (math.sqrt(frequency / threshold) + 1) * threshold / frequency
        assert chance == pytest.approx(min(1.0, code), rel=1e-6)


def test_known_keep_probabilities() -> None:
    kept = keep_probabilities(np.array([9000, 999, 1]), 1e-3)
    expected = [math.sqrt(1e-3 / 0.9) + 1e-3 / 0.9, math.sqrt(1e-3 / 0.0999) + 1e-3 / 0.0999, 1]
    np.testing.assert_allclose(kept, expected, rtol=1e-6)


def test_words_that_never_occur_are_kept() -> None:
    assert keep_probabilities(np.array([9000, 0]), 1e-3).tolist()[1] == 1
    assert keep_thresholds(np.array([9000, 0]), 1e-3).tolist()[1] == 2**32 - 1


def test_a_whole_number_is_a_threshold_of_any_size() -> None:
    counts = np.array([10**9, 5], np.int64)
    assert keep_probabilities(counts, 10**30).tolist() == [1, 1]


def test_threshold_zero_keeps_every_word() -> None:
    kept = keep_probabilities(np.array([10**6, 1]), 0)
    assert kept.dtype == np.float32
    assert kept.tolist() == [1.0, 1.0]


# Noise


def wanted(counts: list[int], exponent: float) -> NDArray[np.float64]:
    """Return the noise probabilities, proportional to count ** exponent."""
    logs = [exponent * math.log(count) for count in counts]
    weights = [math.exp(log - max(logs)) for log in logs]
    return np.array(weights) / math.fsum(weights)


@few_examples
@given(
    st.lists(st.integers(1, 10**9), min_size=1, max_size=40),
    st.sampled_from([0.75, 0.0, 1.0, 0.5, -0.5, -1.0]),
)
@example([1], 0.75)
@example([5, 5, 5], 0.75)
@example([1, 10**12], 1.0)
@example([3, 1, 4, 1, 5, 9, 2, 6], 100.0)
@example([3, 1, 4, 1, 5, 9, 2, 10**8], 1000.0)
@example([3, 10, 4, 10, 5, 9, 2, 10**8], -1000.0)
def test_intervals_are_as_long_as_the_probabilities(counts: list[int], exponent: float) -> None:
    noise = NoiseDistribution(np.array(counts, np.int64), exponent)
    np.testing.assert_allclose(
        noise.probabilities, wanted(counts, exponent), rtol=1e-9, atol=1e-300
    )
    assert noise.last.dtype == np.uint32
    assert noise.last[-1] == 2**32 - 1
    lengths = np.diff(noise.last.astype(np.int64), prepend=-1)
    np.testing.assert_allclose(lengths / 2**32, noise.probabilities, atol=2**-31)
    for cell, word in enumerate(noise.start):
        first = -(-cell * 2**32 // len(counts))
        assert word == next(w for w, end in enumerate(noise.last.tolist()) if first <= end)


@pytest.mark.parametrize("exponent", [0.75, 0.0, -0.5])
def test_words_that_never_occur_are_never_drawn(exponent: float) -> None:
    noise = NoiseDistribution(np.array([5, 0, 3, 0]), exponent)
    assert noise.probabilities[[1, 3]].tolist() == [0, 0]
    ends = np.concatenate([noise.last, noise.last + np.uint32(1)])
    assert set(noise.words(ends)) == {0, 2}


def test_exponents() -> None:
    counts = np.array([1, 2, 4])
    for exponent, probabilities in [
        (0.0, [1 / 3, 1 / 3, 1 / 3]),
        (1.0, [1 / 7, 2 / 7, 4 / 7]),
        (-1.0, [4 / 7, 2 / 7, 1 / 7]),
    ]:
        noise = NoiseDistribution(counts, exponent)
        np.testing.assert_allclose(noise.probabilities, probabilities, rtol=1e-14)


@pytest.mark.parametrize("exponent", [0.75, 0.0, 1.0, -0.5])
def test_draws_have_the_noise_distribution(exponent: float) -> None:
    counts = [1000, 400, 300, 90, 90, 20, 7, 3, 1, 1]
    noise = NoiseDistribution(np.array(counts, np.int64), exponent)
    size = 200_000
    words = noise.words(draw(Key(np.uint32(1), np.uint32(2)), 1, np.arange(size))[0])
    drawn = np.bincount(words, minlength=len(counts))
    assert stats.chisquare(drawn, wanted(counts, exponent) * size).pvalue > 1e-3


@pytest.mark.parametrize("parts", [2, 7, 20])
def test_evenly_spread_draws_have_each_word_about_as_often_as_expected(parts: int) -> None:
    noise = NoiseDistribution(np.arange(1, 301)[::-1] ** 2, 0.75)
    for first, groups in [(0, 1), (32, 80), (2**32 - 50, 80), (12_345, 20_000)]:
        key, size = Key(np.uint32(1), np.uint32(first % 7)), groups * parts
        numbers = draw_evenly(key, 1, first * parts + np.arange(size), parts)
        drawn = np.bincount(noise.words(numbers), minlength=300)
        assert np.abs(drawn - noise.probabilities * size).max() < 6


def test_each_group_of_evenly_spread_draws_has_one_in_each_part() -> None:
    numbers = draw_evenly(Key(np.uint32(1), np.uint32(2)), 1, np.arange(20 * 5000), 20)
    gaps = np.diff(np.sort(numbers.reshape(-1, 20).astype(np.int64)), axis=1)
    assert gaps.min() == 2**32 // 20
    assert gaps.max() <= 2**32 // 20 + 20
    assert len(np.unique(numbers)) == len(numbers)


def test_an_evenly_spread_draw_is_uniform() -> None:
    random = np.random.default_rng(0)
    keys = [Key(*pair) for pair in random.integers(2**32, size=(3000, 2), dtype=np.uint32)]
    integers = [int(draw_evenly(key, 1, np.array([12_345]), 20)[0]) for key in keys]
    assert stats.kstest(np.array(integers) / 2**32, "uniform").pvalue > 1e-3


# Numbered draws


@pytest.mark.parametrize(
    ("key", "counter", "wanted"),
    # From the authors' tests of Threefry-2x32 with 20 rounds (Random123, kat_vectors).
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_is_that_of_its_authors(
    key: tuple[int, int], counter: tuple[int, int], wanted: tuple[int, int]
) -> None:
    arguments = (np.full(3, number, np.uint32) for number in (*key, *counter))
    first, second = threefry(*arguments)
    assert first.dtype == second.dtype == np.uint32
    assert (first.tolist(), second.tolist()) == ([wanted[0]] * 3, [wanted[1]] * 3)
    assert naive.threefry(key, counter) == wanted


def test_draws_depend_on_key_purpose_and_number_alone() -> None:
    key = draw_key(generator(0, "test"))
    numbers = np.array([7, 2**32 - 1, 0, 7])
    first, second = draw(key, 3, numbers)
    wanted = [naive.threefry(key, (number, 3)) for number in numbers.tolist()]
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == wanted


def test_thresholds_keep_what_the_probabilities_say() -> None:
    counts = np.array([10**6, 10**5, 1000, 1])
    probabilities = keep_probabilities(counts, 1e-3).astype(np.float64)
    thresholds = keep_thresholds(counts, 1e-3)
    np.testing.assert_allclose((thresholds + 1.0) / 2**32, probabilities, atol=2**-31)
    assert keep_thresholds(counts, 0).tolist() == [2**32 - 1] * 4
    assert keep_thresholds(np.array([10**18, 1]), 1e-300).tolist()[0] == 0
