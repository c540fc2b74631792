"""Measure how the training time per pair grows with vocabulary size V and noise words K.

In theory, the time is O(V d) for the exact softmax and O(K d) for negative sampling, where d is the
dimension of the vectors. Each loss is timed in two ways: in batches, by an engine, and one pair at
a time, by `w2v.losses.naive_softmax` or gensim.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from w2v.bench.settings import Complexity
from w2v.bench.timing import PAIRWISE, time_pair
from w2v.engines import can_train
from w2v.losses import Loss, NegativeSampling, Softmax
from w2v.objectives import Objective
from w2v.plots.style import BLUE, DPI, ORANGE, set_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Timings = Sequence[Mapping[str, Any]]
"""The result of `measure`: one mapping for each timing of a loss. Each has, among others, the
vocabulary size V, the number K of noise words per pair, and the seconds per pair."""


class Slope(NamedTuple):
    """The exponent of the power law "seconds per pair = a · x^exponent", fitted to timings.

    Attributes
    ----------
    loss
        The name of the loss.
    way
        How the loss was timed: the name of an engine, or `PAIRWISE` for the function
        `w2v.losses.naive_softmax`, which takes one pair at a time.
    axis
        What x is: ``vocabulary`` (V), ``negatives`` (K) or ``scores`` (dot products per pair).
    first, last
        The smallest and the largest x in the fit.
    slope
        The exponent.
    low, high
        The 95 % confidence interval of the exponent.
    timings
        The number of timings in the fit.
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


def measure(
    objective: Objective,
    settings: Complexity,
    engine: str,
    *,
    seed: int,
    threads: int,
    precision: str = "float32",
    on_round: Callable[[int], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Measure the training time per pair for several vocabulary sizes V and noise word counts K.

    The exact softmax is timed for each V, with `engine` and with `w2v.losses.naive_softmax`, which
    takes one pair at a time. Negative sampling is timed for each V at one K, and for each K at one
    V, with `engine` and with gensim. What an engine cannot train is left out.

    Parameters
    ----------
    objective
        The architecture and its settings. Its loss and its sub-sampling are not used.
    settings
        The values of V and K, and how often and for how long each is timed.
    precision
        The precision of matrix products of ``engine="jax"``, one of `w2v.engines.PRECISIONS`.
    on_round
        Called with the number of each repetition, from 1, when it begins.

    Returns
    -------
    list of dict
        One for each timing: ``loss``, ``way`` (the engine, or `PAIRWISE` for `naive_softmax`),
        ``vocabulary`` (V), ``negatives`` (K; None for the softmax), ``repeat`` (the number of the
        repetition), and the results of `time_pair`.
    """
    timings = []
    plain = replace(objective, subsample=0.0)
    ways = dict.fromkeys((engine, "gensim"))
    # Timed in rounds, so that a temporary slowdown of the machine affects only one of them.
    for repeat in range(1, settings.repeats + 1):
        on_round(repeat)
        for size in settings.over_vocabulary:
            one_k = [settings.at_negatives]
            every_k = settings.over_negatives if size == settings.at_vocabulary else one_k
            cases: list[tuple[Loss, str]]
            cases = [(NegativeSampling(k), way) for k in every_k for way in ways]
            cases.append((Softmax(batch_words=2048), engine))  # batches of one size for every V
            cases = [
                (loss, way) for loss, way in cases if can_train(way, replace(plain, loss=loss))
            ]
            for loss, way in [*cases, (Softmax(), PAIRWISE)]:
                case = {
                    "loss": loss.name,
                    "way": way,
                    "vocabulary": size,
                    "negatives": loss.negatives if isinstance(loss, NegativeSampling) else None,
                    "repeat": repeat,
                }
                one = replace(plain, loss=loss)
                how = seed, threads, settings.seconds, precision
                timings.append(case | time_pair(way, one, size, *how))
    return timings


def series(timings: Timings, settings: Complexity) -> Iterator[tuple[str, str, Timings, Timings]]:
    """Yield two groups of timings for each loss and each way in which it was timed.

    Yields
    ------
    loss : str
        The name of the loss.
    way : str
        The name of an engine, or `PAIRWISE` for the function `w2v.losses.naive_softmax`, which
        takes one pair at a time.
    over_vocabulary : list of dict
        The timings for all vocabulary sizes; for negative sampling, those with
        ``settings.at_negatives`` noise words.
    over_negatives : list of dict
        The timings with the vocabulary size ``settings.at_vocabulary``; for negative sampling, for
        all numbers of noise words.
    """
    for loss, way in dict.fromkeys((timing["loss"], timing["way"]) for timing in timings):
        own = [timing for timing in timings if (timing["loss"], timing["way"]) == (loss, way)]
        one_k = [timing for timing in own if timing["negatives"] in (None, settings.at_negatives)]
        yield loss, way, one_k, [t for t in own if t["vocabulary"] == settings.at_vocabulary]


def fit_slopes(timings: Timings, settings: Complexity) -> list[Slope]:
    """Fit power laws to timings: the time per pair is assumed to be proportional to x^exponent.

    Each loss was timed in one or more ways: with engines and, for the exact softmax, with
    `w2v.losses.naive_softmax`, which takes one pair at a time. For each loss and way, there is one
    fit for each of these x:

    - the size of the vocabulary, V;
    - for negative sampling, the number of noise words, K;
    - for the exact softmax with an engine, the number of dot products per pair. With skip-gram, it
      is below V, because pairs of a batch with the same center word share dot products.
    """
    slopes = []
    for loss, way, over_sizes, at_size in series(timings, settings):
        slopes.append(fit_slope(loss, way, "vocabulary", over_sizes))
        if loss == "negsample":
            slopes.append(fit_slope(loss, way, "negatives", at_size))
        elif way != PAIRWISE:
            slopes.append(fit_slope(loss, way, "scores", over_sizes))
    return slopes


def fit_slope(loss: str, way: str, axis: str, timings: Timings) -> Slope:
    """Fit the slope of log(seconds per pair) over log(x) by least squares.

    Only the larger half of the distinct values of x is used, and at least the three largest: where
    x is small, the part of the time that does not depend on x distorts the slope.

    Parameters
    ----------
    loss, way
        Names of the loss and of the engine (or `PAIRWISE` for `w2v.losses.naive_softmax`), which
        are copied into the result.
    axis
        What x is: ``vocabulary`` (its size), ``negatives`` (the number of noise words) or
        ``scores`` (the dot products per pair).
    timings
        The timings to fit, as `measure` returns them.
    """
    from scipy import stats

    key = "scores_per_pair" if axis == "scores" else axis
    column = np.array([timing[key] for timing in timings], np.float64)
    seconds = np.array([timing["seconds_per_pair"] for timing in timings])
    values = np.unique(column)
    first = float(values[-max(3, (len(values) + 1) // 2) :][0])
    fitted = column >= first
    line = stats.linregress(np.log(column[fitted]), np.log(seconds[fitted]))
    count, slope = int(fitted.sum()), float(line.slope)
    margin = float(stats.t.ppf(0.975, count - 2) * line.stderr)
    last = float(values[-1])
    return Slope(loss, way, axis, first, last, slope, slope - margin, slope + margin, count)


NAMES = {"softmax": "exact softmax", "negsample": "negative sampling"}
COLORS = {"softmax": ORANGE, "negsample": BLUE}


def plot(
    timings: Timings, slopes: Sequence[Slope], settings: Complexity, engine: str, title: str
) -> "Figure":
    """Plot seconds per pair by vocabulary size V, and by noise words K, on logarithmic axes.

    Points are medians over the repetitions. Lines are solid for `engine`, and dashed for other
    engines and for `w2v.losses.naive_softmax`. A line is thick in the range in which its slope was
    fitted. The softmax, which does not depend on K, is a horizontal line in the plot by K.
    """
    from matplotlib.figure import Figure

    fig = Figure(figsize=(10.5, 4.6), dpi=DPI, layout="constrained")
    left, right = fig.subplots(1, 2, sharey=True)
    fitted = {(slope.loss, slope.way, slope.axis): slope for slope in slopes}
    for loss, way, over_sizes, at_size in series(timings, settings):
        line, marker = ("-", "o") if way == engine else ("--", "D")
        style = {"color": COLORS[loss], "linestyle": line}
        name = f"{NAMES[loss]}, {way}" + f", {PAIRWISE}" * (way == "gensim" != engine)
        for ax, axis, rows in ((left, "vocabulary", over_sizes), (right, "negatives", at_size)):
            slope = fitted.get((loss, way, axis))
            if slope is None:  # the softmax does not depend on K
                seconds = median(row["seconds_per_pair"] for row in rows)
                ax.axhline(seconds, **style, label=name)
                continue
            label = f"{name}: slope {slope.slope:.2f} ({slope.low:.2f} … {slope.high:.2f})"
            values = sorted({row[axis] for row in rows})
            points = np.array(
                [
                    (x, median(row["seconds_per_pair"] for row in rows if row[axis] == x))
                    for x in values
                ]
            )
            ax.plot(*points.T, **style, marker=marker, markersize=4.5, linewidth=0.8, label=label)
            ax.plot(*points[points[:, 0] >= slope.first].T, **style, linewidth=2.2)
    left.set_xlabel(f"words in the vocabulary, V  (K = {settings.at_negatives})")
    right.set_xlabel(f"noise words a pair, K  (V = {settings.at_vocabulary:,})")
    left.set_ylabel("seconds a pair")
    for ax, ticks in ((left, settings.over_vocabulary), (right, settings.over_negatives)):
        ax.set(xscale="log", yscale="log")
        ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        ax.minorticks_off()
        ax.grid(alpha=0.2)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8, loc="upper left")
    low, high = left.get_ylim()
    left.set_ylim(low, high * 60)  # room for the legends
    set_title(fig, title)
    return fig
