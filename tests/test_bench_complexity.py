"""Test ``measure=complexity``, which times losses by vocabulary size and number of noise words."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from w2v.bench.complexity import fit_slope, fit_slopes, plot
from w2v.bench.settings import Complexity
from w2v.bench.timing import zipf_text
from w2v.plots.style import save

SETTINGS = Complexity(
    "complexity",
    repeats=2,
    over_vocabulary=[1000, 2000, 4000, 8000],
    over_negatives=[1, 5, 10, 20],
    at_vocabulary=2000,
    at_negatives=5,
    seconds=0.0,
)


COLUMNS = [
    "loss",
    "way",
    "vocabulary",
    "negatives",
    "repeat",
    "seconds_per_pair",
    "scores_per_pair",
]


def timings(engine: str) -> list[dict[str, Any]]:
    """Return invented timings of training, in seconds per pair, for a test of fitted growth rates.

    They are for negative sampling by `engine` and by gensim, for the softmax by `engine` (except
    gensim, which has none), and for a softmax computed pair by pair. Each timing is proportional,
    up to 1 %, to a known power of the vocabulary size or of the number of noise words.
    """
    found: list[tuple[Any, ...]] = []
    for repeat, noise in ((1, 1.0), (2, 1.01)):
        for size in SETTINGS.over_vocabulary:
            for k in SETTINGS.over_negatives if size == 2000 else [5]:
                if engine != "gensim":
                    found.append(("negsample", engine, size, k, repeat, 2e-7 * noise, k + 1))
                found.append(("negsample", "gensim", size, k, repeat, 1e-7 * k * noise, k + 1))
            scores = size**1.2
            if engine != "gensim":  # gensim has no softmax
                found.append(("softmax", engine, size, None, repeat, 1e-9 * scores * noise, scores))
            own = 1e-6 * size * noise
            found.append(("softmax", "a pair at a time", size, None, repeat, own, size))
    return [dict(zip(COLUMNS, row, strict=True)) for row in found]


def test_slopes_are_the_exponents() -> None:
    got = {(f.loss, f.way, f.axis): f for f in fit_slopes(timings("numba"), SETTINGS)}
    wanted = {
        ("negsample", "numba", "vocabulary"): 0.0,
        ("negsample", "numba", "negatives"): 0.0,
        ("negsample", "gensim", "vocabulary"): 0.0,
        ("negsample", "gensim", "negatives"): 1.0,
        ("softmax", "numba", "vocabulary"): 1.2,
        ("softmax", "numba", "scores"): 1.0,
        ("softmax", "a pair at a time", "vocabulary"): 1.0,
    }
    assert set(got) == set(wanted)
    for key, slope in wanted.items():
        assert got[key].slope == pytest.approx(slope, abs=1e-9)
        assert got[key].low <= got[key].slope <= got[key].high
        assert got[key].high - got[key].low < 0.1


def test_the_upper_half_is_fitted_and_the_interval_contains_the_slope() -> None:
    random = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        x = np.repeat([1.0, 2, 4, 8, 16, 32, 64], 3)
        y = np.where(x < 8, 1.0, x**0.8) * np.exp(random.normal(0, 0.1, len(x)))
        table = [
            {"negatives": k, "seconds_per_pair": seconds} for k, seconds in zip(x, y, strict=True)
        ]
        fitted = fit_slope("negsample", "numba", "negatives", table)
        assert (fitted.first, fitted.last, fitted.timings) == (8, 64, 12)
        held += fitted.low <= 0.8 <= fitted.high
    assert 180 <= held <= 199


def test_the_frequencies_of_the_text_agree_with_its_counts() -> None:
    text, counts = zipf_text(50, 20_000, 3)
    assert text.size == 20_000
    np.testing.assert_array_equal(np.argsort(-counts), np.arange(50))
    seen = np.bincount(text.tokens, minlength=50) / 20_000
    np.testing.assert_allclose(seen, counts / counts.sum(), atol=0.012)
    np.testing.assert_array_equal(text.tokens, zipf_text(50, 20_000, 3)[0].tokens)
    assert not np.array_equal(text.tokens, zipf_text(50, 20_000, 4)[0].tokens)


@pytest.mark.parametrize("engine", ["numba", "gensim"])
def test_the_plot_is_a_png(tmp_path: Path, engine: str) -> None:
    found = timings(engine)
    path = tmp_path / "complexity.png"
    save(plot(found, fit_slopes(found, SETTINGS), SETTINGS, engine, "What a pair costs"), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]
