"""Measure how the time per pair grows with the vocabulary size V and the number of noise words K.

The exact softmax should take O(V d), negative sampling O(K d). The text is random, with word
frequencies that fall as 1 / rank. Each loss is timed as the engine trains it and one pair at a
time, as in the papers. For the softmax the latter is `w2v.losses.naive_softmax`. For negative
sampling it is gensim: a pair takes so little work that the call of a Python function would cost
more.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits

from pipeline.config.settings import Complexity, Config
from pipeline.report.style import BLUE, DPI, INK, ORANGE
from w2v import losses
from w2v.engines import ENGINES, Task, make_engine
from w2v.files import written_aside
from w2v.objectives import LOSSES, Loss, NegativeSampling, Softmax, initial_model
from w2v.sampling import generator
from w2v.text.tokens import Text
from w2v.training.cost import work

DOCUMENT_WORDS = 1024

TEXT_WORDS = {"negsample": 64 * DOCUMENT_WORDS, "softmax": 4 * DOCUMENT_WORDS}
"""Length of the text for each loss."""

BATCH_WORDS = 2048
"""Words of a batch of the exact softmax, whose pairs share rows of scores, for every V."""

LEARNING_RATE = 1e-4
"""So small that one timing does not change the vectors for the next."""

PAIRWISE = "a pair at a time"


class Measurement(NamedTuple):
    """One timing.

    Attributes
    ----------
    loss
        ``negsample`` or ``softmax``.
    way
        The name of the engine, or "a pair at a time" for the reference of the softmax.
    vocabulary
        V, the number of words.
    negatives
        K, or ``None`` for the softmax.
    repeat
        The number of the round, from 1.
    scores_per_pair
        Products of a center and an outside vector, divided by the number of pairs.
    """

    loss: str
    way: str
    vocabulary: int
    negatives: int | None
    repeat: int
    seconds_per_pair: float
    scores_per_pair: float


@dataclass(frozen=True)
class Slope:
    """The exponent b of seconds = a · x^b, fitted by least squares to the logarithms.

    Attributes
    ----------
    loss, way
        See `Measurement`.
    axis
        What x is: ``vocabulary``, ``negatives``, or ``scores``, the products computed per pair.
        These are fewer than V where pairs share them.
    first, last
        The range of x that is fitted.
    slope
        b.
    low, high
        Its 95 % confidence interval.
    timings
        The number of timings that are fitted.
    """

    loss: str
    way: str
    axis: str
    first: float
    last: float
    slope: float
    low: float
    high: float
    timings: int


def measure_complexity(
    config: Config, threads: int, say: Callable[[str], None]
) -> tuple[list[Measurement], list[Slope]]:
    """Time both losses for each V and K in the settings, and fit the slopes.

    A line about each round is passed to `say`.
    """
    settings = config.measure
    assert isinstance(settings, Complexity)
    engine = config.engine.name
    found: list[Measurement] = []
    with threadpool_limits(threads):
        # In rounds, so that a machine that is slow for a while slows only one of them.
        for repeat in range(1, settings.repeats + 1):
            say(f"  round {repeat} of {settings.repeats}")
            for size in settings.over_vocabulary:
                varied = (
                    settings.over_negatives
                    if size == settings.at_vocabulary
                    else [settings.at_negatives]
                )
                for negatives, name in product(varied, dict.fromkeys((engine, "gensim"))):
                    loss = NegativeSampling(negatives)
                    found.append(time_engine(config, threads, name, size, loss, repeat))
                if "softmax" in (ENGINES[engine].losses or LOSSES):
                    softmax = Softmax(batch_words=BATCH_WORDS)
                    found.append(time_engine(config, threads, engine, size, softmax, repeat))
                found.append(time_reference(config, size, repeat))
    return found, fit_slopes(found, settings)


def zipf_text(size: int, words: int, seed: int) -> tuple[Text, NDArray[np.int64]]:
    """Return a random text whose word frequencies fall as 1 / rank, and the words' counts.

    The text has the given number of words from a vocabulary of the given size. The counts, int64
    (size,), are those expected in a text of ten million words.
    """
    shares = 1 / np.arange(1, size + 1)
    shares /= shares.sum()
    tokens = generator(seed, "zipf", size).choice(size, words, p=shares).astype(np.int32)
    starts = np.arange(0, words, DOCUMENT_WORDS)
    spans = np.stack([starts, np.minimum(starts + DOCUMENT_WORDS, words)], axis=1).astype(np.int64)
    counts = np.maximum(1, np.round(shares * 1e7)).astype(np.int64)
    return Text(tokens, np.arange(size, dtype=np.int32), spans), counts


def time_engine(
    config: Config, threads: int, engine: str, size: int, loss: Loss, repeat: int
) -> Measurement:
    """Time an engine on a text with a vocabulary of the given size."""
    text, counts = zipf_text(size, TEXT_WORDS[loss.name], config.seed)
    objective = replace(config.objective, subsample=0.0, loss=loss)
    start = initial_model(size, objective.dim, generator(config.seed, "init"))
    task = Task(start, objective, counts, len(text.tokens), threads=threads)
    need = work(text, task, generator(config.seed, "work"))
    trainer = make_engine(engine, task)

    def train() -> float:
        begun = time.perf_counter()
        done = trainer.train(text, (LEARNING_RATE, LEARNING_RATE), generator(config.seed, "train"))
        return time.perf_counter() - begun - done.setup_seconds

    seconds = shortest_time(train, config) / need.pairs
    negatives = loss.negatives if isinstance(loss, NegativeSampling) else None
    scores = need.scores / need.pairs
    return Measurement(loss.name, engine, size, negatives, repeat, seconds, scores)


def time_reference(config: Config, size: int, repeat: int) -> Measurement:
    """Time the reference implementation of the exact softmax, which computes one pair per call."""
    random = generator(config.seed, "reference", size)
    center = random.normal(size=config.model.dim)
    outside = random.normal(size=(size, config.model.dim))

    def pair() -> float:
        begun = time.perf_counter()
        losses.naive_softmax(center, 1, outside)
        return time.perf_counter() - begun

    return Measurement("softmax", PAIRWISE, size, None, repeat, shortest_time(pair, config), size)


def shortest_time(call: Callable[[], float], config: Config) -> float:
    """Return the shortest time of repeated calls: longer ones were slowed by other programs.

    `call` returns the seconds that it took. The first call warms up and does not count.
    """
    assert isinstance(config.measure, Complexity)
    call()
    spent = [call()]
    while sum(spent) < config.measure.seconds:
        spent.append(call())
    return min(spent)


def fit_slopes(found: Sequence[Measurement], settings: Complexity) -> list[Slope]:
    """Return the slope of each loss over each axis that it depends on."""
    slopes = []
    for loss, way in dict.fromkeys((m.loss, m.way) for m in found):
        own = [m for m in found if (m.loss, m.way) == (loss, way)]
        over_sizes = [m for m in own if m.negatives in (None, settings.at_negatives)]
        axes: dict[str, list[tuple[float, float]]] = {
            "vocabulary": [(m.vocabulary, m.seconds_per_pair) for m in over_sizes],
        }
        if loss == "negsample":
            at_size = [m for m in own if m.vocabulary == settings.at_vocabulary]
            axes["negatives"] = [(float(m.negatives or 0), m.seconds_per_pair) for m in at_size]
        elif way != PAIRWISE:
            axes["scores"] = [(m.scores_per_pair, m.seconds_per_pair) for m in over_sizes]
        slopes += [fit_slope(loss, way, axis, points) for axis, points in axes.items()]
    return slopes


def fit_slope(loss: str, way: str, axis: str, points: list[tuple[float, float]]) -> Slope:
    """Fit a slope to the upper half of the values of x, at least three of them.

    The part of the time that does not grow distorts the slope least there. `points` are values of
    x with the seconds per pair.
    """
    values = sorted({x for x, _ in points})
    upper = values[-max(3, (len(values) + 1) // 2) :]
    x, y = np.log([point for point in points if point[0] >= upper[0]]).T
    line = stats.linregress(x, y)
    margin = float(stats.t.ppf(0.975, len(x) - 2) * line.stderr)
    slope = float(line.slope)
    ends = float(upper[0]), float(upper[-1])
    return Slope(loss, way, axis, *ends, slope, slope - margin, slope + margin, len(x))


# The plot

STYLES = {  # color, line and marker, by the loss and whether the engine of the run trains it
    ("softmax", True): (ORANGE, "-", "s"),
    ("softmax", False): (ORANGE, "--", "D"),
    ("negsample", True): (BLUE, "-", "o"),
    ("negsample", False): (BLUE, "--", "v"),
}

NAMES = {"softmax": "exact softmax", "negsample": "negative sampling"}


def plot(
    found: Sequence[Measurement],
    slopes: Sequence[Slope],
    settings: Complexity,
    engine: str,
    path: Path,
    title: str,
) -> None:
    """Plot the seconds per pair over V and over K, on logarithmic axes, and save it as PNG.

    Points are medians. The line is thicker where a slope is fitted. `engine` is that of the run.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(10.5, 4.6), dpi=DPI, layout="constrained")
    FigureCanvasAgg(fig)
    left, right = fig.subplots(1, 2, sharey=True)
    for loss, way in dict.fromkeys((m.loss, m.way) for m in found):
        own = [m for m in found if (m.loss, m.way) == (loss, way)]
        color, line, marker = STYLES[loss, way == engine]
        style = {"color": color, "linestyle": line, "marker": marker, "markersize": 4.5}
        exponents = {f.axis: f for f in slopes if (f.loss, f.way) == (loss, way)}
        over_sizes = [m for m in own if m.negatives in (None, settings.at_negatives)]
        at_size = [m for m in own if m.vocabulary == settings.at_vocabulary]
        pairwise = way == "gensim" != engine
        name = f"{NAMES[loss]}, {way}" + f", {PAIRWISE}" * pairwise
        draw_series(left, over_sizes, "vocabulary", exponents["vocabulary"], name, style)
        if loss == "negsample":
            draw_series(right, at_size, "negatives", exponents["negatives"], name, style)
        else:  # it does not depend on K
            level = np.median([m.seconds_per_pair for m in at_size])
            right.axhline(float(level), color=color, linestyle=line, label=name)
    left.set_xlabel(f"words in the vocabulary, V  (K = {settings.at_negatives})")
    right.set_xlabel(f"noise words a pair, K  (V = {settings.at_vocabulary:,})")
    left.set_ylabel("seconds a pair")
    for ax, ticks in ((left, settings.over_vocabulary), (right, settings.over_negatives)):
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        ax.minorticks_off()
        ax.grid(alpha=0.2)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8, loc="upper left")
    low, high = left.get_ylim()
    left.set_ylim(low, high * 60)  # room for the legends
    fig.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
    with written_aside(path) as aside:
        fig.savefig(aside, format="png")


def draw_series(
    ax: Any,
    found: Sequence[Measurement],
    axis: str,
    fitted: Slope,
    name: str,
    style: dict[str, Any],
) -> None:
    """Draw the medians of one series, with a thick line where the slope is fitted."""
    x = sorted({getattr(m, axis) for m in found})
    y = [
        float(np.median([m.seconds_per_pair for m in found if getattr(m, axis) == value]))
        for value in x
    ]
    slope = f"slope {fitted.slope:.2f} ({fitted.low:.2f} … {fitted.high:.2f})"
    ax.plot(x, y, **style, linewidth=0.8, label=f"{name}: {slope}")
    first = next(i for i, value in enumerate(x) if value >= fitted.first)
    ax.plot(x[first:], y[first:], **{**style, "marker": ""}, linewidth=2.2)
