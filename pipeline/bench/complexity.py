"""What a pair costs, over the size of the vocabulary and over K: O(V d) against O(K d), measured.

The text is made up, of words whose frequencies fall as 1 / rank. Each loss is measured twice: as
the engine trains it, and a pair at a time as the papers have it. For the softmax that is
`w2v.losses.naive_softmax`; for negative sampling it is gensim, for one pair is so little work that
in Python the call would cost more.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits

from pipeline.config.schema import ComplexityConfig, Config
from pipeline.report.plots import BLUE, DPI, INK, ORANGE
from w2v import losses
from w2v.engines import WITHOUT_SOFTMAX, Task, make_engine
from w2v.files import written_aside
from w2v.objectives import Loss, NegativeSampling, SkipGram, Softmax, initial_model
from w2v.sampling import generator
from w2v.text.tokens import Text
from w2v.training.cost import work

DOCUMENT = 1024
"""Words of a document."""

WORDS = {"negsample": 64 * DOCUMENT, "softmax": 4 * DOCUMENT}
"""Words of a text."""

BATCH = 2048
"""Words of the exact softmax whose pairs share rows of scores: the same for every vocabulary."""

RATE = 1e-4
"""The learning rate: what is timed should not change what is timed next."""

PAIRWISE = "a pair at a time"


class Measurement(NamedTuple):
    """One timing.

    Attributes
    ----------
    loss
        ``negsample`` or ``softmax``.
    way
        The engine's name, or that of what trains a pair at a time.
    negatives
        K; ``None`` for the softmax.
    scores_per_pair
        Products of a centre and an outside vector that a pair needs.
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
    """The exponent b of seconds = a · x^b, by least squares of the logarithms.

    Attributes
    ----------
    axis
        ``vocabulary``, ``negatives``, or ``scores``: products computed for a pair, of which there
        are fewer than V where pairs share them.
    first, last
        The range of the axis that is fitted.
    low, high
        95 % interval, from the scatter of all timings around the line.
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
    config: Config, threads: int, say: Callable[[str], None]
) -> tuple[list[Measurement], list[Slope]]:
    """Time both losses over the sizes and the numbers of noise words that are asked for."""
    settings = config.measure
    assert isinstance(settings, ComplexityConfig)
    engine = config.engine.name
    found: list[Measurement] = []
    with threadpool_limits(threads):
        # One round after the other, so that a machine that is slow for a while slows one alone.
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
                    found.append(timing(config, threads, name, size, loss, repeat))
                if engine not in WITHOUT_SOFTMAX:
                    softmax = Softmax(batch_words=BATCH)
                    found.append(timing(config, threads, engine, size, softmax, repeat))
                found.append(reference(config, size, repeat))
    return found, slopes(found, settings)


def zipf(size: int, words: int, seed: int) -> tuple[Text, Any]:
    """A text of so many words out of so many types, and the counts that its types would have."""
    shares = 1 / np.arange(1, size + 1)
    shares /= shares.sum()
    tokens = generator(seed, "zipf", size).choice(size, words, p=shares).astype(np.int32)
    starts = np.arange(0, words, DOCUMENT)
    spans = np.stack([starts, np.minimum(starts + DOCUMENT, words)], axis=1).astype(np.int64)
    counts = np.maximum(1, np.round(shares * 1e7)).astype(np.int64)
    return Text(tokens, np.arange(size, dtype=np.int32), spans), counts


def timing(
    config: Config, threads: int, engine: str, size: int, loss: Loss, repeat: int
) -> Measurement:
    """Time an engine."""
    name = "negsample" if isinstance(loss, NegativeSampling) else "softmax"
    text, counts = zipf(size, WORDS[name], config.seed)
    model = asdict(config.model) | {"subsample": 0.0}
    objective = SkipGram(**model, loss=loss)
    start = initial_model(size, objective.dim, generator(config.seed, "init"))
    task = Task(start, objective, counts, len(text.tokens), threads=threads)
    need = work(text, task, generator(config.seed, "work"))
    trainer = make_engine(engine, task)

    def train() -> float:
        begun = time.perf_counter()
        done = trainer.train(text, (RATE, RATE), generator(config.seed, "train"))
        return time.perf_counter() - begun - done.setup_seconds

    seconds = least(train, config) / need.pairs
    negatives = loss.negatives if isinstance(loss, NegativeSampling) else None
    return Measurement(name, engine, size, negatives, repeat, seconds, need.scores / need.pairs)


def reference(config: Config, size: int, repeat: int) -> Measurement:
    """Time the reference of the exact softmax, one pair a call."""
    random = generator(config.seed, "reference", size)
    center = random.normal(size=config.model.dim)
    outside = random.normal(size=(size, config.model.dim))

    def pair() -> float:
        begun = time.perf_counter()
        losses.naive_softmax(center, 1, outside)
        return time.perf_counter() - begun

    return Measurement("softmax", PAIRWISE, size, None, repeat, least(pair, config), size)


def least(call: Callable[[], float], config: Config) -> float:
    """The shortest of calls that fill the time asked for: what others on the machine add is no
    cost of the call. One before them, which warms up, does not count."""
    assert isinstance(config.measure, ComplexityConfig)
    call()
    spent = [call()]
    while sum(spent) < config.measure.seconds:
        spent.append(call())
    return min(spent)


def slopes(found: Sequence[Measurement], settings: ComplexityConfig) -> list[Slope]:
    """Fit the upper half of each axis, where what does not grow weighs least."""
    fits = []
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
        fits += [fit(loss, way, axis, points) for axis, points in axes.items()]
    return fits


def fit(loss: str, way: str, axis: str, points: list[tuple[float, float]]) -> Slope:
    """The slope over the upper half of the places on an axis, three at least."""
    places = sorted({x for x, _ in points})
    upper = places[-max(3, (len(places) + 1) // 2) :]
    x, y = np.log([point for point in points if point[0] >= upper[0]]).T
    line = stats.linregress(x, y)
    margin = float(stats.t.ppf(0.975, len(x) - 2) * line.stderr)
    slope = float(line.slope)
    ends = float(upper[0]), float(upper[-1])
    return Slope(loss, way, axis, *ends, slope, slope - margin, slope + margin, len(x))


# ---------------------------------------------------------------- what is shown


STYLES = {
    # colour, line, marker: told apart without colour too
    ("softmax", True): (ORANGE, "-", "s"),
    ("softmax", False): (ORANGE, "--", "D"),
    ("negsample", True): (BLUE, "-", "o"),
    ("negsample", False): (BLUE, "--", "v"),
}

NAMES = {"softmax": "exact softmax", "negsample": "negative sampling"}


def plot(
    found: Sequence[Measurement],
    fits: Sequence[Slope],
    settings: ComplexityConfig,
    engine: str,
    path: Path,
    title: str,
) -> None:
    """Draw seconds per pair over the vocabulary and over K, both axes logarithmic, as PNG.

    Points are medians, and what they are joined by is thicker where a slope is fitted.
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
        exponents = {f.axis: f for f in fits if (f.loss, f.way) == (loss, way)}
        over_sizes = [m for m in own if m.negatives in (None, settings.at_negatives)]
        at_size = [m for m in own if m.vocabulary == settings.at_vocabulary]
        pairwise = way == "gensim" != engine
        name = f"{NAMES[loss]}, {way}" + f", {PAIRWISE}" * pairwise
        draw(left, over_sizes, "vocabulary", exponents["vocabulary"], name, style)
        if loss == "negsample":
            draw(right, at_size, "negatives", exponents["negatives"], name, style)
        else:  # the same for every K
            level = np.median([m.seconds_per_pair for m in at_size])
            right.axhline(float(level), color=color, linestyle=line, label=name)
    left.set_xlabel(f"words in the vocabulary, V  (K = {settings.at_negatives})")
    right.set_xlabel(f"noise words a pair, K  (V = {settings.at_vocabulary:,})")
    left.set_ylabel("seconds a pair")
    for ax, places in ((left, settings.over_vocabulary), (right, settings.over_negatives)):
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(places, [f"{place:,}" for place in places])
        ax.minorticks_off()
        ax.grid(alpha=0.2)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8, loc="upper left")
    low, high = left.get_ylim()
    left.set_ylim(low, high * 60)  # room for the legends
    fig.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
    with written_aside(path) as aside:
        fig.savefig(aside, format="png")


def draw(
    ax: Any,
    found: Sequence[Measurement],
    axis: str,
    fitted: Slope,
    name: str,
    style: dict[str, Any],
) -> None:
    """One series: the median of each place, heavy where the slope is fitted."""
    places = sorted({getattr(m, axis) for m in found})
    middle = [
        float(np.median([m.seconds_per_pair for m in found if getattr(m, axis) == place]))
        for place in places
    ]
    slope = f"slope {fitted.slope:.2f} ({fitted.low:.2f} … {fitted.high:.2f})"
    ax.plot(places, middle, **style, linewidth=0.8, label=f"{name}: {slope}")
    upper = [i for i, place in enumerate(places) if place >= fitted.first]
    ax.plot(
        [places[i] for i in upper],
        [middle[i] for i in upper],
        **{**style, "marker": ""},
        linewidth=2.2,
    )
