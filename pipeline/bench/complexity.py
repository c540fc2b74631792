"""Measure how the training time per pair grows with vocabulary size V and noise words K.

In theory it is O(V d) for the exact softmax and O(K d) for negative sampling, where d is the
dimension of the vectors. Each loss is timed in two ways: in batches, by the engine of the run, and
one pair at a time, by `w2v.losses.naive_softmax` or gensim.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.config.settings import Complexity
from pipeline.stages.base import Context
from w2v.engines import can_train
from w2v.losses import Loss, NegativeSampling, Softmax
from w2v.plots.style import BLUE, DPI, ORANGE, set_title
from w2v.training.timing import PAIRWISE, time_pair

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Timings = Sequence[dict[str, Any]]


class Slope(NamedTuple):
    """The exponent of the power law "seconds per pair = a · x^exponent", fitted to timings."""

    loss: str
    way: str  # the name of the engine, or PAIRWISE for one pair at a time
    axis: str  # what x is: vocabulary (V), negatives (K) or scores (dot products per pair)
    first: float  # the smallest x in the fit
    last: float  # the largest x in the fit
    slope: float  # the exponent
    low: float  # of its 95 % confidence interval
    high: float
    timings: int  # how many the slope is fitted to


def measure(context: Context, settings: Complexity) -> list[dict[str, Any]]:
    """Time the softmax for each V, and negative sampling for each V and, at one V, for each K.

    Each returned dictionary is one timing. Its ``way`` is the name of the engine, or `PAIRWISE` for
    `w2v.losses.naive_softmax`. Its ``negatives`` is K, or ``None`` for the softmax.
    """
    engine, timings = context.config.engine.name, []
    # In rounds, so that a machine that is slow for a while slows only one of them.
    for repeat in range(1, settings.repeats + 1):
        context.display.say(f"  round {repeat} of {settings.repeats}")
        for size in settings.over_vocabulary:
            one_k = [settings.at_negatives]
            every_k = settings.over_negatives if size == settings.at_vocabulary else one_k
            ways = dict.fromkeys((engine, "gensim"))
            cases: list[tuple[Loss, str]]
            cases = [(NegativeSampling(k), way) for k in every_k for way in ways]
            cases.append((Softmax(batch_words=2048), engine))  # the same for every V
            plain = replace(context.config.objective, subsample=0.0)
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
                objective = replace(plain, loss=loss)
                seed, threads = context.config.seed, context.threads
                timings.append(
                    case | time_pair(way, objective, size, seed, threads, settings.seconds)
                )
    return timings


def series(
    timings: Timings, settings: Complexity
) -> Iterator[tuple[str, str, pd.DataFrame, pd.DataFrame]]:
    table = pd.DataFrame(timings)
    for loss, way in dict.fromkeys((timing["loss"], timing["way"]) for timing in timings):
        own = table[(table["loss"] == loss) & (table["way"] == way)]
        one_k = own["negatives"].isna() | (own["negatives"] == settings.at_negatives)
        yield loss, way, own[one_k], own[own["vocabulary"] == settings.at_vocabulary]


def fit_slopes(timings: Timings, settings: Complexity) -> list[Slope]:
    """Fit how the time per pair grows with V, K, and the number of dot products, for each loss."""
    slopes = []
    for loss, way, over_sizes, at_size in series(timings, settings):
        slopes.append(fit_slope(loss, way, "vocabulary", over_sizes))
        if loss == "negsample":
            slopes.append(fit_slope(loss, way, "negatives", at_size))
        elif way != PAIRWISE:
            slopes.append(fit_slope(loss, way, "scores", over_sizes))
    return slopes


def fit_slope(loss: str, way: str, axis: str, timings: pd.DataFrame) -> Slope:
    """Fit the slope of log(seconds per pair) over log(x), where x is the column `axis`.

    Only the larger half of the values of x is used, and at least three, because the part of the
    time that does not depend on x distorts the slope where x is small.
    """
    column = timings["scores_per_pair" if axis == "scores" else axis].astype(float)
    values = np.unique(column)
    first = float(values[-max(3, (len(values) + 1) // 2) :][0])
    fitted = column >= first
    line = stats.linregress(np.log(column[fitted]), np.log(timings["seconds_per_pair"][fitted]))
    count, slope = int(fitted.sum()), float(line.slope)
    margin = float(stats.t.ppf(0.975, count - 2) * line.stderr)
    last = float(values[-1])
    return Slope(loss, way, axis, first, last, slope, slope - margin, slope + margin, count)


NAMES = {"softmax": "exact softmax", "negsample": "negative sampling"}
COLORS = {"softmax": ORANGE, "negsample": BLUE}


def plot(
    timings: Timings, slopes: Sequence[Slope], settings: Complexity, engine: str, title: str
) -> "Figure":
    """Plot the seconds per pair against V and against K, on logarithmic axes.

    Points are medians over the repeats. Lines are solid for `engine` and dashed for one pair at a
    time. They are thick in the range in which `slopes` were fitted.
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
                ax.axhline(rows["seconds_per_pair"].median(), **style, label=name)
                continue
            label = f"{name}: slope {slope.slope:.2f} ({slope.low:.2f} … {slope.high:.2f})"
            seconds = rows.groupby(axis)["seconds_per_pair"].median()
            ax.plot(seconds, **style, marker=marker, markersize=4.5, linewidth=0.8, label=label)
            ax.plot(seconds[seconds.index >= slope.first], **style, linewidth=2.2)
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
