"""Measure ``engine=jax`` on a GPU: its agreement with NumPy, reproducibility, speed and scores.

    python -m tests.benchmark_jax pack imdb.txt.xz FOLDER     # on the machine with the text
    python -m tests.benchmark_jax run FOLDER [PART ...]       # on the machine with the GPU

``pack`` tokenizes a text and writes its token ids into FOLDER, compressed so that the folder can
be copied to the other machine. ``run`` needs jax, numba, numpy, scipy and threadpoolctl. To score
the vectors, ``run`` also needs gensim, or copies in FOLDER of gensim's files of WordSim-353,
SimLex-999 and analogies. A PART is a measurement: ``agreement`` with NumPy, ``negative`` and
``softmax`` (speeds), ``bits`` (whether equal seeds give equal bits), ``scores``, or ``steps``
(scores with other learning rates and words per update). Without a PART, all are made.
Speeds are in words of running text per second. For ``negative``, ``softmax`` and ``bits``,
training on the first piece (shard) of the text is not timed; on the next eight, it is.
"""

import argparse
import hashlib
import lzma
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

import w2v.engines.jax as engine
from w2v.engines import Tally, Task, jax_functions, jax_steps, make_engine
from w2v.engines.jax import JaxEngine
from w2v.engines.jax_functions import Vectors
from w2v.engines.step import sample
from w2v.engines.tiles import CENTERS, NOISE
from w2v.errors import InputError
from w2v.evaluate import (
    BENCHMARKS,
    analogies,
    benchmark_path,
    load_analogies,
    load_pairs,
    similarity,
)
from w2v.losses import Loss, NegativeSampling, Softmax
from w2v.objectives import SkipGram, initial_model
from w2v.sampling import draw_key, generator, keep_thresholds
from w2v.text.documents import FileSettings, source_of
from w2v.text.phrases import Phrases
from w2v.text.tokenize import tokenize
from w2v.text.tokenizer import Words
from w2v.text.tokens import Text
from w2v.training.schedule import Schedule
from w2v.training.train import train
from w2v.vectors import WordVectors

WINDOW = 5
TUNED = {"xla_gpu_exclude_nondeterministic_ops": True}
"""The `COMPILER_OPTIONS` of the engine without ``xla_gpu_autotune_level``. With these, XLA times
several kernels and uses the fastest."""

BEGUN = time.perf_counter()


class Corpus(NamedTuple):
    """A text and its vocabulary: words and their counts, the most frequent first."""

    text: Text
    counts: NDArray[np.int64]
    words: list[str]


def say(*parts: object) -> None:
    print(f"{time.perf_counter() - BEGUN:6.1f}", *parts, flush=True)


# The text


def pack(source: str, folder: Path) -> None:
    """Tokenize the text at the path or URL `source`, and write it to a new corpus folder.

    The file of token ids in the folder, ``tokens.npy``, is replaced by ``tokens.npy.xz``.
    """
    folder.mkdir(parents=True)
    words = Words(pattern="[a-z]+(?:'[a-z]+)?")
    tokenize(folder, source_of(source, FileSettings()), words, Phrases())
    tokens = folder / "tokens.npy"
    packing = {"id": lzma.FILTER_LZMA2, "preset": 4, "lc": 2, "lp": 2, "pb": 2}
    packed = lzma.compress(tokens.read_bytes(), format=lzma.FORMAT_XZ, filters=[packing])
    Path(f"{tokens}.xz").write_bytes(packed)
    tokens.unlink()


def read(folder: Path, documents: int | None) -> Callable[[int | None], Corpus]:
    """Read a text that `pack` wrote; return a function that makes a `Corpus` of it.

    The text has at most `documents` documents; None: all. The function takes the number of words in
    the vocabulary, or None for all words that occur at least five times. If the text has fewer
    different words, frequent words are split in two: in every other document, an apostrophe is
    added to the word.
    """
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "tokens.npy")
        path.write_bytes(lzma.decompress((folder / "tokens.npy.xz").read_bytes()))
        tokens = np.load(path, allow_pickle=False)
    offsets = np.load(folder / "offsets.npy", allow_pickle=False)[
        : None if documents is None else documents + 1
    ]
    tokens = tokens[: offsets[-1]]
    spans = np.stack([offsets[:-1], offsets[1:]], axis=1)
    types = (folder / "types.txt").read_text(encoding="utf-8").split("\n")[:-1]

    def corpus(size: int | None) -> Corpus:
        used, words = tokens, types
        missing = max(0, (size or 0) - len(types))
        if missing:
            frequent = np.argsort(-np.bincount(tokens, minlength=len(types)), kind="stable")
            second = np.arange(len(types), dtype=np.int32)
            second[frequent[100 : 100 + missing]] = len(types) + np.arange(missing)
            odd = np.repeat(np.arange(len(spans)) % 2 == 1, spans[:, 1] - spans[:, 0])
            used = np.where(odd, second[tokens], tokens)
            words = [*types, *(f"{types[i]}'" for i in frequent[100 : 100 + missing])]
        counts = np.bincount(used, minlength=len(words))
        order = np.argsort(-counts, kind="stable")
        order = order[counts[order] >= 5] if size is None else order[counts[order] > 0][:size]
        ids = np.full(len(words), -1, np.int32)
        ids[order] = np.arange(len(order))
        return Corpus(Text(used, ids, spans), counts[order], [words[i] for i in order])

    return corpus


# The parts


def agreement() -> None:
    """Print how much models that are trained with ``engine=jax`` and ``engine=numpy`` differ.

    Two numbers are printed for each loss and precision: the largest difference between values of
    the two models, and, for comparison, the largest change of a value by training with NumPy.
    """
    random = np.random.default_rng(0)
    tokens = (random.zipf(1.2, 60_000) % 3000).astype(np.int32)
    spans = np.stack([np.arange(0, 60_000, 50), np.arange(50, 60_050, 50)], axis=1)
    text = Text(tokens, np.arange(3000, dtype=np.int32), spans)
    counts = np.bincount(tokens, minlength=3000).astype(np.int64) + 1
    losses: list[Loss] = [NegativeSampling(), Softmax(batch_words=2000)]
    for loss in losses:
        for precision in ("float32", "tf32", "bfloat16"):
            if precision == "tf32" and jax.default_backend() == "cpu":
                continue
            objective = SkipGram(100, WINDOW, loss=loss)
            model = initial_model(objective, 3000, generator(0, "init"))
            task = Task(model, objective, counts, len(tokens))
            task.model.outside[:] = random.normal(0, 0.1, task.model.outside.shape)
            task.model.center[:] *= 100
            ours = replace(task, model=type(task.model)(*map(np.copy, task.model)))
            slow = make_engine("numpy", task)
            fast = make_engine("jax", replace(ours, precision=precision))
            first = [matrix.copy() for matrix in task.model]
            for one in slow, fast:
                one.train(text, (0.025, 0.02), generator(1, "train"))
            apart, moved = (
                max(float(np.abs(a - b).max()) for a, b in zip(one.task.model, other, strict=True))
                for one, other in ((fast, slow.task.model), (slow, first))
            )
            say(f"agreement {loss.name} {precision}: apart {apart:.1e}, moved {moved:.2f}")


class Case(NamedTuple):
    """A configuration of skip-gram training whose speed is measured."""

    corpus: Corpus
    loss: Loss
    dim: int = 100
    subsample: float = 1e-3
    precision: str = "float32"

    def task(self) -> Task:
        words = len(self.corpus.counts)
        objective = SkipGram(self.dim, WINDOW, subsample=self.subsample, loss=self.loss)
        total = int(self.corpus.counts.sum())
        model = initial_model(objective, words, generator(0, "init"))
        return Task(model, objective, self.corpus.counts, total, 5, precision=self.precision)


def make(cases: list[Case]) -> list[JaxEngine]:
    """Make an engine for each case, in parallel, because compiling is slow."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda case: JaxEngine(case.task()), cases))


def rate(case: Case, made: JaxEngine) -> tuple[float, str]:
    """Train the engine `made`; return the words per second, and a hash of the trained model.

    `made` is the engine that `make` returned for `case`, and has its settings. `case` has the text.
    The engine trains on up to nine shards (pieces) of the text. The first is not timed. If it is
    the only one, the engine trains on it again, and is timed then.
    """
    shards = case.corpus.text.shards(made.shard_words)
    made.train(shards[0], (0.025, 0.025), generator(0, "train"))
    done, begun = Tally(), time.perf_counter()
    for number, shard in enumerate(shards[1:9] or shards, start=1):
        done += made.train(shard, (0.025, 0.025), generator(0, "train", number))
    seconds = time.perf_counter() - begun - done.setup_seconds
    digest = hashlib.sha256(b"".join(matrix.tobytes() for matrix in made.task.model)).hexdigest()
    return done.words / seconds, digest[:12]


def limits() -> dict[str, float]:
    """Measure and print the memory bandwidth of the device and its speed of matrix products.

    Return a dict with the bandwidth in bytes/s, under the key ``memory``, and for each precision,
    under its name, the FLOP/s.
    """
    large = jax.default_backend() != "cpu"

    def seconds(function: Callable[..., Any], *arguments: Any) -> float:
        jax.block_until_ready(function(*arguments))
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            jax.block_until_ready(function(*arguments))
            times.append(time.perf_counter() - begun)
        return min(times)

    array = jnp.ones(1 << (29 if large else 24), jnp.float32)
    found = {"memory": 2 * array.nbytes / seconds(jax.jit(lambda x: x + 1), array)}
    size = 8192 if large else 512
    a, b = jax.random.normal(jax.random.key(0), (2, size, size))
    for precision in ("float32", *(("tf32", "bfloat16") if large else ())):
        product = jax.jit(jax_functions.make_product(precision, jax.devices()[0]), static_argnums=0)
        found[precision] = 2 * size**3 / seconds(product, "ij,jk->ik", a, b)
    say("limits", ", ".join(f"{name} {value / 1e12:.2f} T/s" for name, value in found.items()))
    return found


def kept_share(corpus: Corpus, subsample: float) -> float:
    """Return the expected share of the words of a text that sub-sampling keeps."""
    keep = keep_thresholds(corpus.counts, subsample).astype(np.float64) / 2**32
    return float(keep @ corpus.counts / corpus.counts.sum())


def negative_rates(corpus: Corpus, peak: dict[str, float]) -> None:
    """Print the speed of negative sampling by dimension, sub-sampling threshold and precision.

    Also print estimates of the shares of the memory bandwidth and of the FLOP/s that training uses.
    `peak` has the bandwidth and FLOP/s of the device, from `limits`.
    """
    cases = [Case(corpus, NegativeSampling(), d, t) for d in (100, 128, 300) for t in (1e-3, 1e-4)]
    cases += [
        Case(corpus, NegativeSampling(), precision=name)
        for name in peak
        if name not in ("memory", "float32")
    ]
    for case, made in zip(cases, make(cases), strict=True):
        speed, _ = rate(case, made)
        kept = speed * kept_share(corpus, case.subsample)
        # Rows of a tile are read once, their gradients are written and read, and the rows are
        # read and written again.
        rows = (2 * CENTERS + 2 * WINDOW + NOISE) / CENTERS
        moved = kept * rows * 5 * 4 * case.dim / peak["memory"]
        computed = kept * 6 * case.dim * (CENTERS + 2 * WINDOW + NOISE) / peak[case.precision]
        say(
            f"negsample d={case.dim} t={case.subsample:g} {case.precision}: "
            f"{speed / 1e6:.1f} M words/s, {moved:.0%} of memory, {computed:.0%} of products, "
            f"compiled in {made.compile_seconds:.1f} s"
        )


def softmax_rates(corpus: Callable[[int | None], Corpus], peak: dict[str, float]) -> None:
    """Print the speed of the exact softmax for several vocabulary sizes, dimensions and precisions.

    Also print estimates of the shares of the memory bandwidth and of the FLOP/s that training uses.
    `corpus` makes the corpus with a vocabulary of a given size; None: of all words that occur at
    least five times. `peak` has the bandwidth and FLOP/s of the device, from `limits`.
    """
    others = [name for name in peak if name not in ("memory", "float32")]
    usual, few, many = corpus(None), corpus(10_000), corpus(200_000)
    cases = [Case(usual, Softmax(), precision=name) for name in ("float32", *others)]
    cases += [Case(usual, Softmax(), 128), Case(usual, Softmax(), 300), Case(few, Softmax())]
    cases += [Case(many, Softmax(), precision=name) for name in ("float32", *others[:1])]
    cases += [Case(usual, Softmax(logits_mb=2048))]
    for case, made in zip(cases, make(cases), strict=True):
        speed, _ = rate(case, made)
        size = len(case.corpus.counts)
        shard = case.corpus.text.shards(made.shard_words)[0]
        keep = keep_thresholds(case.corpus.counts, case.subsample)
        words, batch = sample(shard, keep, draw_key(generator(0, "sample")))
        rows = len(np.unique(batch.ids)) / words * speed
        computed = rows * 6 * case.dim * size / peak[case.precision]
        # Scores are written, read and read again, and their gradients written and read twice.
        moved = rows * 6 * 4 * size / peak["memory"]
        say(
            f"softmax V={size:,} d={case.dim} {case.precision} logits_mb={case.loss.logits_mb}: "  # type: ignore[attr-defined]
            f"{speed / 1e6:.2f} M words/s, {moved:.0%} of memory, {computed:.0%} of products, "
            f"compiled in {made.compile_seconds:.1f} s"
        )


@contextmanager
def unordered() -> Iterator[None]:
    """In the block, let JAX sum gradients in any order, and XLA choose kernels by timing them."""

    def descend(
        vectors: Vectors, rows: Any, order: Any, gradients: Any, curvature: Any, rate: Any
    ) -> Vectors:
        size = len(vectors.outside)
        centers = len(rows) * CENTERS // (2 * CENTERS + 2 * WINDOW + NOISE)
        total = jnp.zeros(2 * size, jnp.float32).at[rows].add(curvature)
        step = jnp.minimum(rate, 2 / jnp.maximum(total, 1e-30))
        moves = -step[rows][:, None] * gradients
        return Vectors(
            vectors.center.at[rows[:centers]].add(moves[:centers]),
            vectors.outside.at[rows[centers:] - size].add(moves[centers:]),
        )

    with (
        patch.object(jax_steps, "descend", descend),
        patch.object(engine, "COMPILER_OPTIONS", {}),
    ):
        yield


def bits(corpus: Corpus) -> None:
    """Train twice with the same seed, and print whether the vectors are equal bit for bit.

    Print the same for two variants, in which the vectors may differ. In one, XLA chooses kernels by
    timing them. In the other, which is for negative sampling only, gradients are also added up in
    no fixed order.
    """
    negative, softmax = Case(corpus, NegativeSampling()), Case(corpus, Softmax())
    ordered = make([negative, negative, softmax, softmax])
    with unordered():
        free = make([negative, negative])
    with patch.object(engine, "COMPILER_OPTIONS", TUNED):
        tuned = make([negative, negative, softmax, softmax])
    for label, case, pair in (
        ("negsample", negative, ordered[:2]),
        ("softmax", softmax, ordered[2:]),
        ("negsample in any order, tuned kernels", negative, free),
        ("negsample, tuned kernels", negative, tuned[:2]),
        ("softmax, tuned kernels", softmax, tuned[2:]),
    ):
        runs = [rate(case, made) for made in pair]
        say(
            f"bits of {label}: {runs[0][1]} {runs[1][1]}, equal: {runs[0][1] == runs[1][1]}; "
            f"{runs[1][0] / 1e6:.1f} M words/s"
        )


def step_sizes(corpus: Corpus, tests: Path) -> None:
    """Print the speed and the scores for several learning rates and numbers of words per update.

    The default learning rate with the default number of words is left out: `scores` measures it.

    `tests` is the folder of the benchmark files; missing files are taken from gensim.
    """
    cases = [(words, lr) for lr in (0.025, 0.05) for words in (8192, 16384, 32768)]
    for seed in range(2):
        for words, lr in cases[1:]:  # the first is measured by `scores`
            with patch.object(engine, "STEP_WORDS", words):
                label = f"steps of {words}"
                scored(corpus, tests, NegativeSampling(), "float32", seed, label, lr=lr)


def scores(corpus: Corpus, tests: Path) -> None:
    """Print benchmark scores after five epochs, for several losses, seeds and precisions.

    For negative sampling in float32, also print those of ``engine=numba``.

    `tests` is the folder of the benchmark files; missing files are taken from gensim.
    """
    faster = [] if jax.default_backend() == "cpu" else ["tf32", "bfloat16"]
    for seed in range(3):
        scored(corpus, tests, NegativeSampling(), "float32", seed)
    for seed in range(3):
        scored(corpus, tests, NegativeSampling(), "float32", seed, name="numba")
    scored(corpus, tests, Softmax(), "float32", 0)
    for precision in faster:
        scored(corpus, tests, Softmax(), precision, 0)
        for seed in range(3):
            scored(corpus, tests, NegativeSampling(), precision, seed)


def scored(
    corpus: Corpus,
    tests: Path,
    loss: Loss,
    precision: str,
    seed: int,
    label: str = "",
    lr: float = 0.025,
    name: str = "jax",
) -> None:
    """Train five epochs; print the speed, and the scores in WordSim-353, SimLex-999 and analogies.

    Parameters
    ----------
    tests
        The folder of the benchmark files; missing files are taken from gensim.
    label
        Text to print with the scores.
    name
        The name of the engine.
    """
    begun = time.perf_counter()
    trained = train(
        corpus.text,
        corpus.counts,
        SkipGram(100, WINDOW, loss=loss),
        Schedule(epochs=5, lr=lr),
        engine=name,
        threads=16,
        precision=precision,
        seed=seed,
    )
    whole = time.perf_counter() - begun
    vectors = WordVectors(corpus.words, trained.model.center, corpus.counts)
    found = []
    for test in "wordsim353", "simlex999":
        found.append(similarity(vectors, load_pairs(word_test(tests, test))).spearman or 0.0)
    questions = load_analogies(word_test(tests, "google"))
    found.append(analogies(vectors, questions).accuracy or 0.0)
    say(
        f"scores {name} {loss.name} {precision} lr={lr} seed {seed} {label}:",
        " / ".join(f"{score:.3f}" for score in found),
        f"held-out {trained.epochs[-1].heldout_loss:.4f},",
        f"{trained.words / trained.seconds / 1e6:.1f} M words/s, {whole:.1f} s in all",
    )


def word_test(folder: Path, name: str) -> Path:
    """Return the path of a benchmark file in the folder or, if it is not there, in gensim."""
    path = folder / BENCHMARKS[name]
    return path if path.exists() else benchmark_path(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    commands = parser.add_subparsers(required=True, dest="command")
    packing = commands.add_parser("pack")
    packing.add_argument("source")
    packing.add_argument("folder", type=Path)
    running = commands.add_parser("run")
    running.add_argument("folder", type=Path)
    running.add_argument("parts", nargs="*", default=[])
    running.add_argument("--documents", type=int, help="of the text; all if not given")
    given = parser.parse_args()
    if given.command == "pack":
        pack(given.source, given.folder)
        return
    device = jax.devices()[0]
    say(f"jax {jax.__version__}, {device.device_kind}, numpy {np.__version__}")
    corpus = read(given.folder, given.documents)
    usual = corpus(None)
    say(f"{usual.counts.sum():,} words, {len(usual.counts):,} types")
    peak = limits()
    parts: dict[str, Callable[[], None]] = {
        "agreement": agreement,
        "negative": lambda: negative_rates(usual, peak),
        "softmax": lambda: softmax_rates(corpus, peak),
        "bits": lambda: bits(usual),
        "scores": lambda: scores(usual, given.folder),
        "steps": lambda: step_sizes(usual, given.folder),
    }
    for name in given.parts or parts:
        try:
            parts[name]()
        except (InputError, jax.errors.JaxRuntimeError) as error:
            say(f"{name}: {type(error).__name__}: {str(error)[:300]}")


if __name__ == "__main__":
    main()
