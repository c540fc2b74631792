"""``engine=jax``: the steps of both losses as compiled programs, on a GPU or on the CPU.

The host says where the documents of a shard are, and the device does the rest: one program samples
the shard and draws its noise words, and another runs its steps in a loop, so that no step waits for
Python. The draws and the updates are those of `w2v.engines.numpy`; only the steps are longer.

Equal seeds give equal bits on one kind of device: gradients of equal rows are added up in a fixed
order (`sum_equal_rows`), and XLA is told to use no operation whose result changes from run to run.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.extend.random import threefry_2x32
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.engines.negative_sampling import CENTERS, NOISE, NegativeSamplingStep, step_words
from w2v.engines.softmax import SoftmaxStep
from w2v.engines.step import NOISE_WORDS, SUBSAMPLING, step_rate
from w2v.errors import InputError
from w2v.losses import NegativeSampling
from w2v.sampling import draw_key, keep_thresholds
from w2v.text.tokens import Text

Product = Callable[[str, Array, Array], Array]
"""A matrix product of two float32 arrays, named by the subscripts of an einsum."""

State = dict[str, Array]

STEP_WORDS = 8192
"""The most center words of a step of negative sampling. Shorter steps leave a GPU idle."""

SHARD_WORDS = 1 << 22
"""The most tokens of a shard of negative sampling: enough to make the cost of a call negligible."""

SPARE = 1 / 8
"""How much larger a shard may be than `JaxEngine.shard_words` without another compilation."""

MAX_TEXT_BYTES = 1 << 30
"""On a device that does not tell its memory, a larger text is sent shard by shard."""

COMPILER_OPTIONS: dict[str, Any] = {
    "xla_gpu_exclude_nondeterministic_ops": True,
    # Otherwise XLA measures kernels and takes the fastest, which may be another one in another run.
    # It made none of these programs faster.
    "xla_gpu_autotune_level": 0,
}

GROUP = 32
"""Rows that `sum_equal_rows` adds up at a time, by a product with a matrix of this size."""

LAST_GROUP = 1024
"""Where so few rows or fewer are left, `sum_equal_rows` adds them up by a single product."""


class Vectors(NamedTuple):
    """The model on the device: float32 (V, d) each."""

    center: Array
    outside: Array


class DrawTables(NamedTuple):
    """The tables by which random bits decide about words.

    Attributes
    ----------
    keep : uint32 (V,)
        See `w2v.sampling.keep_thresholds`.
    threshold : uint32 (V,), alias : int32 (V,)
        See `w2v.sampling.NoiseDistribution`. Empty for a loss without noise words.
    """

    keep: Array
    threshold: Array
    alias: Array


class Sample(NamedTuple):
    """A shard after sub-sampling.

    Attributes
    ----------
    ids, documents : int32
        The words that are kept. Before them are m words of no document (-1), and more after them.
    noise : int32
        The noise words of all tiles in order; empty for a loss without them.
    order : int32
        For each step, the positions of `Steps.rows` in ascending order of the rows.
    counts : int32 (2,)
        The words of the vocabulary before and after sub-sampling.
    """

    ids: Array
    documents: Array
    noise: Array
    order: Array
    counts: Array


class Batch(NamedTuple):
    """The words of a step.

    Attributes
    ----------
    ids, documents : int32 (m + width + m,)
        The center words, with the m words before and after them.
    centers : int32 (width,)
        The documents of the center words; -1 after the last center word of the step.
    noise : int32
        The noise words of its tiles in order; empty for a loss without them.
    order : int32
        The positions of `Steps.rows` in ascending order of the rows.
    """

    ids: Array
    documents: Array
    centers: Array
    noise: Array
    order: Array


class Steps(Protocol):
    """The steps of a loss, as functions that JAX compiles."""

    width: int
    """The most center words of a step, which the arrays of a `Batch` have room for."""

    def rows(self, ids: Array, noise: Array) -> Array:
        """Return the row of each gradient of a step, int32 (n,).

        Rows of the outside vectors count from V on. Empty if no row has several gradients.
        """
        ...

    def loss(self, vectors: Vectors, batch: Batch) -> Array:
        """Return the sum of the losses and the number of pairs of a batch, float32 (2,)."""
        ...

    def update(
        self, vectors: Vectors, state: State, batch: Batch, rate: Array
    ) -> tuple[Vectors, State, Array]:
        """Return the model and the state after a step, and the result of `loss` before it."""
        ...


class JaxEngine:
    """Trains on the first device that JAX finds: a GPU, or else the CPU.

    The model is in the memory of the device. It is copied to the arrays of `task` when these are
    asked for.

    Attributes
    ----------
    device_name
        As JAX calls it, for example "NVIDIA H100 80GB HBM3" or "cpu".
    compile_seconds
        The time it took to compile the programs, or to load compiled ones. JAX keeps them in the
        folder that its setting ``jax_compilation_cache_dir`` names.

    Raises
    ------
    InputError
        JAX finds no device, or one that lacks the precision of the task or the memory; or the
        window is too large for the exact softmax.
    """

    def __init__(self, task: Task) -> None:
        try:
            self.device = jax.devices()[0]
        except (RuntimeError, AssertionError) as error:  # JAX asserts that there is one
            raise InputError(
                "engine=jax: JAX finds no device; look at the environment variable JAX_PLATFORMS, "
                'and install "jax[cuda13]" for an NVIDIA GPU'
            ) from error
        self.device_name = self.device.device_kind
        self.compile_seconds = 0.0
        self.window = task.objective.window
        self.rules: NegativeSamplingStep | SoftmaxStep
        self._task = task
        self._stale = False  # whether the device has newer vectors than the arrays of the task
        self._programs: dict[Any, Any] = {}
        self._documents = 1 << 10  # for which the arrays of a text have room
        self.vectors: Vectors
        self._state: State
        self._text: tuple[Any, Any] | None = None  # the arrays of a text, and their copies there
        product = make_product(task.precision, self.device)
        keep = keep_thresholds(task.counts, task.objective.subsample)
        threshold, alias = np.empty(0, np.uint32), np.empty(0, np.int32)
        self.steps: Steps
        if isinstance(task.objective.loss, NegativeSampling):
            self.rules = NegativeSamplingStep(task, step_words(task, STEP_WORDS))
            self.steps = NegativeSamplingSteps(self.rules, product)
            threshold, alias = self.rules.noise.threshold, self.rules.noise.alias
            self.shard_words = min(SHARD_WORDS, max(1 << 16, task.words // 8))
        else:
            self.rules = SoftmaxStep(task)
            self.steps = SoftmaxSteps(self.rules, product)
            kept = float(keep.astype(np.float64) @ task.counts) / float(task.counts.sum()) / 2**32
            self.shard_words = max(1 << 16, round(self.rules.batch_words / kept))
        self._require(sum(array.nbytes for array in task.model), "the model")
        self.tables = DrawTables(*jax.device_put((keep, threshold, alias)))
        self.restore(self.rules.state())
        self._compile_ahead()

    @property
    def task(self) -> Task:
        """The task, with the newest vectors in the arrays of its model."""
        if self._stale:
            for array, newer in zip(self._task.model, self.vectors, strict=True):
                array[:] = newer
            self._stale = False
        return self._task

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """Train on a shard of the text; see `w2v.engines.Engine.train`."""
        compiled = self.compile_seconds
        sample, words, steps, size = self._sample(text, random)
        course = np.zeros(self._most_steps(sample), np.float32)
        course[:steps] = [step_rate(rates, number, steps) for number in range(steps)]
        counts = np.int32(steps), np.int32(size)
        self.vectors, self._state, tallies = self._call(
            self._train, self.vectors, self._state, sample, course, *counts, donate=(0, 1)
        )
        self._stale = True
        return tally(words, tallies, self.compile_seconds - compiled)

    def loss(self, text: Text, random: np.random.Generator) -> Tally:
        """Return the loss on a text; see `w2v.engines.numpy.NumpyEngine.loss`."""
        sample, words, steps, size = self._sample(text, random)
        tallies = np.zeros((self._most_steps(sample), 2), np.float32)
        counts = np.int32(steps), np.int32(size)
        return tally(words, self._call(self._loss, self.vectors, sample, tallies, *counts))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of the arrays of the optimizer; see `w2v.engines.Engine.state`."""
        return {name: np.array(array) for name, array in self._state.items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Send the model of the task and the arrays of the optimizer to the device."""
        # Copied, because JAX may use the memory of an array itself on the CPU.
        self.vectors = Vectors(*(jnp.array(array, copy=True) for array in self._task.model))
        self._state = {name: jnp.array(array, copy=True) for name, array in state.items()}
        self._stale = False

    # What the host does

    def _sample(self, text: Text, random: np.random.Generator) -> tuple[Sample, int, int, int]:
        """Sample a shard. Return it, its words, its steps and the center words of a step."""
        capacity = round(self.shard_words * (1 + SPARE))
        if text.size > capacity:
            capacity = power_of_two(text.size)
        tokens, ids, spans = self._place(text, capacity)
        key = np.array(draw_key(random))
        sample = self._call(self._draw, tokens, ids, spans, self.tables, key, capacity=capacity)
        words, kept = np.asarray(sample.counts).tolist()
        size = self.rules.batch_size(kept)
        return sample, words, -(-kept // size), size

    def _place(self, text: Text, capacity: int) -> tuple[Any, Any, NDArray[np.int32]]:
        """Return the tokens of a text, their vocabulary ids, and the spans of its documents.

        The tokens of all shards are on the device from the first one on, if they fit. Otherwise
        those of a shard are sent with it.
        """
        source = text.tokens, text.ids
        if self._text is None or any(
            a is not b for a, b in zip(self._text[0], source, strict=True)
        ):
            free = self._free_memory()
            fits = text.tokens.nbytes <= (MAX_TEXT_BYTES if free is None else free // 2)
            self._text = None
            if fits and len(text.tokens) < 2**31:
                # One more token, because nothing can be taken from an empty array.
                self._text = source, jax.device_put((np.append(text.tokens, np.int32(0)), text.ids))
        starts, ends = text.spans.T
        if self._text is not None:
            tokens, ids = self._text[1]
        else:
            tokens, ids = np.zeros(capacity, np.int32), text.ids
            lengths = ends - starts
            parts = [text.tokens[start:end] for start, end in text.spans]
            tokens[: text.size] = np.concatenate(parts)
            ends = np.cumsum(lengths)
            starts = ends - lengths
        # Empty documents fill up, so that shards share a program.
        self._documents = max(self._documents, power_of_two(len(starts)))
        spans = np.zeros((self._documents, 2), np.int32)
        spans[: len(starts)] = np.stack([starts, ends], axis=1)
        return tokens, ids, spans

    def _most_steps(self, sample: Sample) -> int:
        """Return a number of steps that no sample of this size exceeds."""
        return len(sample.ids) // self.rules.batch_words + 2

    def _call(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        donate: tuple[int, ...] = (),
        **static: Any,
    ) -> Any:
        """Call a function, compiled for arguments of these shapes."""
        arguments = jax.device_put(arguments)
        return self._compile(function, arguments, donate, static)(*arguments)

    def _compile(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        donate: tuple[int, ...],
        static: dict[str, Any],
    ) -> Any:
        """Return a compiled function, from the table of programs if it is there."""
        shapes = tuple(leaf.shape for leaf in jax.tree.leaves(arguments))
        key = function.__name__, shapes, tuple(static.items())
        if key not in self._programs:
            start = time.perf_counter()
            lowered = jax.jit(partial(function, **static), donate_argnums=donate).lower(*arguments)
            self._programs[key] = program = lowered.compile(COMPILER_OPTIONS)
            self.compile_seconds += time.perf_counter() - start
            size = program.memory_analysis()
            if size is not None:
                new = size.output_size_in_bytes - size.alias_size_in_bytes
                self._require(size.temp_size_in_bytes + new, "a step")
        return self._programs[key]

    def _compile_ahead(self) -> None:
        """Compile the steps for shards of the usual size."""
        array: Any = jax.ShapeDtypeStruct
        texts = array((1,), np.int32), array((1,), np.int32), array((1, 2), np.int32)
        draw = partial(self._draw, capacity=round(self.shard_words * (1 + SPARE)))
        sample = jax.eval_shape(draw, *texts, self.tables, array((2,), np.uint32))
        course = array((self._most_steps(sample),), np.float32)
        number = array((), np.int32)
        arguments = self.vectors, self._state, sample, course, number, number
        self._compile(self._train, arguments, (0, 1), {})

    def _free_memory(self) -> int | None:
        """Return the bytes that the device has left, or None if it does not tell."""
        stats = self.device.memory_stats() or {}
        if "bytes_limit" not in stats:
            return None
        return int(stats["bytes_limit"]) - int(stats["bytes_in_use"])

    def _require(self, need: int, what: str) -> None:
        """Refuse the task if the device has fewer bytes left than `need`."""
        free = self._free_memory()
        if free is not None and need > free:
            words, dim = self._task.model.center.shape
            raise InputError(
                f"engine=jax: with {words:,} words and dim={dim}, {what} needs "
                f"{need / 2**30:.2f} GiB of memory, and JAX has {free / 2**30:.2f} GiB left on "
                f"{self.device_name}; make dim or logits_mb smaller or min_count larger, or "
                "use engine=numba"
            )

    # What the device does

    def _draw(
        self, tokens: Array, ids: Array, spans: Array, tables: DrawTables, key: Array, capacity: int
    ) -> Sample:
        """Sub-sample the documents at `spans`, of up to `capacity` tokens, and draw noise words."""
        lengths = spans[:, 1] - spans[:, 0]
        starts = jnp.cumsum(lengths) - lengths
        position = jnp.arange(capacity, dtype=jnp.int32)
        number = jnp.arange(len(spans), dtype=jnp.int32)
        document = jnp.repeat(number, lengths, total_repeat_length=capacity)
        token = tokens[spans[document, 0] + position - starts[document]]
        word = jnp.where(position < lengths.sum(), ids[token], -1)
        known = word >= 0
        kept = known & (draws(key, SUBSAMPLING, position)[0] <= tables.keep[word])
        m, width = self.window, self.steps.width
        size = m + capacity + width + m
        place = jnp.where(kept, m - 1 + jnp.cumsum(kept), size)

        def put(values: Array, fill: int) -> Array:
            return (
                jnp.full(size, fill, jnp.int32)
                .at[place]
                .set(values, mode="drop", unique_indices=True)
            )

        noise = jnp.zeros(0, jnp.int32)
        if len(tables.alias):
            numbers = jnp.arange((capacity + width) // CENTERS * NOISE)
            noise = noise_words(tables, *draws(key, NOISE_WORDS, numbers))
        counts = jnp.stack([known.sum(), kept.sum()])
        sample = Sample(
            put(word, 0), put(document, -1), noise, jnp.zeros((0, 0), jnp.int32), counts
        )

        def order(number: Array) -> Array:
            batch = self._batch(sample, number, width)
            return jnp.argsort(self.steps.rows(batch.ids, batch.noise), stable=True)

        return sample._replace(order=jax.vmap(order)(jnp.arange(self._most_steps(sample))))

    def _train(
        self,
        vectors: Vectors,
        state: State,
        sample: Sample,
        rates: Array,
        steps: Array,
        size: Array,
    ) -> tuple[Vectors, State, Array]:
        """Make steps of `size` center words. Return the result of `Steps.loss` for each, too."""

        def step(number: Array, carry: Any) -> Any:
            vectors, state, tallies = carry
            batch = self._batch(sample, number, size)
            vectors, state, tally = self.steps.update(vectors, state, batch, rates[number])
            return vectors, state, tallies.at[number].set(tally)

        tallies = jnp.zeros((len(rates), 2), jnp.float32)
        result: tuple[Vectors, State, Array] = lax.fori_loop(
            0, steps, step, (vectors, state, tallies)
        )
        return result

    def _loss(
        self, vectors: Vectors, sample: Sample, tallies: Array, steps: Array, size: Array
    ) -> Array:
        """Write the result of `Steps.loss` for each step into `tallies`."""

        def step(number: Array, tallies: Array) -> Array:
            batch = self._batch(sample, number, size)
            return tallies.at[number].set(self.steps.loss(vectors, batch))

        result: Array = lax.fori_loop(0, steps, step, tallies)
        return result

    def _batch(self, sample: Sample, number: Array, size: Array | int) -> Batch:
        """Return the words of a step of `size` center words."""
        first, width, m = number * size, self.steps.width, self.window
        cut = partial(lax.dynamic_slice_in_dim, start_index=first, slice_size=width + 2 * m)
        documents = cut(sample.documents)
        centers = jnp.where(jnp.arange(width) < size, documents[m : m + width], -1)
        noise = sample.noise
        if len(noise):
            tiles = width // CENTERS
            noise = lax.dynamic_slice_in_dim(noise, first // CENTERS * NOISE, tiles * NOISE)
        order = sample.order[number] if len(sample.order) else sample.order
        return Batch(cut(sample.ids), documents, centers, noise, order)


class NegativeSamplingSteps:
    """The steps of negative sampling, in the notation of `NegativeSamplingStep`."""

    def __init__(self, rules: NegativeSamplingStep, product: Product) -> None:
        self.width = rules.batch_words
        self.size = len(rules.model.outside)
        self.window = rules.window
        self.band = rules.band
        self.share = np.float32(rules.negatives / NOISE)
        self.product = product
        # The loss of a pair is a function of −s, and that of a noise word the same one of s.
        self.sign = np.where(np.arange(rules.pairs + NOISE) < rules.pairs, -1, 1).astype(np.float32)
        tiles = rules.batch_words // CENTERS
        self.windows = CENTERS * np.arange(tiles)[:, None] + np.arange(rules.pairs)

    def rows(self, ids: Array, noise: Array) -> Array:
        """Return the rows of the center words, then those of the tiles; see `Steps.rows`."""
        centers, rows = self._words(ids, noise)
        return jnp.concatenate([centers.reshape(-1), self.size + rows.reshape(-1)])

    def loss(self, vectors: Vectors, batch: Batch) -> Array:
        """Return the loss and the pairs of a batch; see `Steps.loss`."""
        _, _, S, weights = self._scores(vectors, batch)
        return self._tally(S, weights)

    def update(
        self, vectors: Vectors, state: State, batch: Batch, rate: Array
    ) -> tuple[Vectors, State, Array]:
        """Return the model after a step, and the loss before it; see `Steps.update`."""
        C, R, S, weights = self._scores(vectors, batch)
        G = weights * jax.nn.sigmoid(S) * self.sign
        curvature = weights / (2 * jnp.maximum(jnp.abs(S), 2))
        gradients = self.product("bij,bjd->bid", G, R), self.product("bij,bid->bjd", G, C)
        # Not as matrix products, which are slow for a single column.
        curvatures = (
            (curvature * (R * R).sum(axis=2)[:, None, :]).sum(axis=2),
            (curvature * (C * C).sum(axis=2)[:, :, None]).sum(axis=1),
        )
        vectors = descend(
            vectors,
            self.rows(batch.ids, batch.noise),
            batch.order,
            jnp.concatenate([part.reshape(-1, C.shape[2]) for part in gradients]),
            jnp.concatenate([part.reshape(-1) for part in curvatures]),
            rate,
        )
        return vectors, state, self._tally(S, weights)

    def _words(self, ids: Array, noise: Array) -> tuple[Array, Array]:
        """Return `centers` and `rows` of a `w2v.engines.negative_sampling.Draw`."""
        words = ids[self.windows]
        rows = jnp.concatenate([words, noise.reshape(-1, NOISE)], axis=1)
        return words[:, self.window : self.window + CENTERS], rows

    def _scores(self, vectors: Vectors, batch: Batch) -> tuple[Array, Array, Array, Array]:
        """Return C, R, the scores with the sign of their loss, and their weights."""
        centers, rows = self._words(batch.ids, batch.noise)
        own = batch.centers.reshape(-1, CENTERS, 1)
        same = (own == batch.documents[self.windows][:, None, :]) & (own >= 0)
        pairs = jnp.where(same, self.band, 0)
        noise = self.share * pairs.sum(axis=2, keepdims=True)
        noise = jnp.broadcast_to(noise, (*pairs.shape[:2], NOISE))
        C, R = vectors.center[centers], vectors.outside[rows]
        S = jnp.multiply(self.sign, self.product("bid,bjd->bij", C, R))
        return C, R, S, jnp.concatenate([pairs, noise], axis=2)

    def _tally(self, S: Array, weights: Array) -> Array:
        pairs = weights[:, :, :-NOISE].sum()
        return jnp.stack([(weights * jax.nn.softplus(S)).sum(), pairs])


class SoftmaxSteps:
    """The steps of the exact softmax, in the notation of `SoftmaxStep`.

    Pairs are counted in whole numbers, so that their sums do not depend on the order.
    """

    def __init__(self, rules: SoftmaxStep, product: Product) -> None:
        self.rules = rules
        self.product = product
        self.width = 2 * rules.batch_words  # see `SoftmaxStep.batch_size`
        self.size = len(rules.model.outside)
        # Matrix products are faster if their sizes are multiples of 128.
        self.columns = -(-self.size // 128) * 128
        self.tile = min(rules.tile_rows, self.size, self.width)
        self.tile = self.tile // 128 * 128 or self.tile
        self.most_centers = -(-min(self.size, self.width) // self.tile) * self.tile
        self.unit = np.float32(rules.weights.min())
        self.ranks = np.round(rules.weights / self.unit).astype(np.int32)
        if self.width * int(self.ranks.sum(dtype=np.int64)) >= 2**31:
            raise InputError(
                f"window={len(self.ranks) // 2}: engine=jax cannot count the pairs of a batch of "
                f"{rules.batch_words:,} words; make window or batch_words smaller"
            )

    def rows(self, ids: Array, noise: Array) -> Array:  # noqa: ARG002
        """Return an empty array, as no row has several gradients; see `Steps.rows`."""
        return jnp.zeros(0, jnp.int32)

    def loss(self, vectors: Vectors, batch: Batch) -> Array:
        """Return the loss and the pairs of a batch; see `Steps.loss`."""
        _, count, pairs, tile = self._tiles(vectors, batch)

        def add(number: Array, loss: Array) -> Array:
            added: Array = loss + tile(number)[0]
            return added

        loss: Array = lax.fori_loop(0, -(-count // self.tile), add, jnp.float32(0))
        return jnp.stack([loss, pairs])

    def update(
        self, vectors: Vectors, state: State, batch: Batch, rate: Array
    ) -> tuple[Vectors, State, Array]:
        """Return the model after a step, and the loss before it; see `Steps.update`."""
        centers, count, pairs, tile = self._tiles(vectors, batch)

        def add(number: Array, carry: Any) -> Any:
            loss, dC, dU = carry
            tile_loss, C, U, G = tile(number)
            tile_dC = self.product("iw,wd->id", G, U)
            dC = lax.dynamic_update_slice_in_dim(dC, tile_dC, number * self.tile, 0)
            return loss + tile_loss, dC, dU + self.product("iw,id->wd", G, C)

        dim = vectors.center.shape[1]
        start = [
            jnp.zeros(shape, jnp.float32)
            for shape in ((), (self.most_centers, dim), (self.columns, dim))
        ]
        loss, dC, dU = lax.fori_loop(0, -(-count // self.tile), add, tuple(start))
        dU = dU[: self.size]
        if self.rules.adaptive:
            state, dC = scale_rows(state, "center", dC, centers, count)
            state, dU = scale_rows(state, "outside", dU, jnp.arange(self.size), self.size)
        rate = rate * np.float32(self.rules.step_scale)
        center = add_once(vectors.center, centers, -rate * dC)
        return Vectors(center, vectors.outside - rate * dU), state, jnp.stack([loss, pairs])

    def _tiles(
        self, vectors: Vectors, batch: Batch
    ) -> tuple[Array, Array, Array, Callable[..., Any]]:
        """Return the distinct center words, their number, the pairs, and a function.

        The function takes the number of a tile and returns its loss, C, U and G. Beyond the
        vocabulary, `centers` is filled up by V, and U by zeros.
        """
        m = len(self.ranks) // 2
        words = batch.ids[m : m + self.width]
        shifts = [shift for shift in range(2 * m + 1) if shift != m]
        near = jnp.stack([batch.documents[shift : shift + self.width] for shift in shifts])
        outside = jnp.stack([batch.ids[shift : shift + self.width] for shift in shifts])
        paired = (near == batch.centers) & (batch.centers >= 0)
        ranks = jnp.where(paired, self.ranks[:, None], 0)
        pairs_of = jnp.zeros(self.size, jnp.int32).at[words].add(ranks.sum(axis=0))
        present = pairs_of > 0
        (centers,) = jnp.nonzero(present, size=self.most_centers, fill_value=self.size)
        row_of = jnp.where(present, jnp.cumsum(present) - 1, self.most_centers)
        rows = row_of[words]
        n = pairs_of.at[centers].get(mode="fill", fill_value=0) * self.unit
        U = jnp.pad(vectors.outside, ((0, self.columns - self.size), (0, 0)))

        def tile(number: Array) -> tuple[Array, Array, Array, Array]:
            first = number * self.tile
            cut = partial(lax.dynamic_slice_in_dim, start_index=first, slice_size=self.tile)
            C = vectors.center.at[cut(centers)].get(mode="fill", fill_value=0)
            row = jnp.where((rows >= first) & (rows < first + self.tile), rows - first, self.tile)
            at = jnp.broadcast_to(row, outside.shape), outside
            # If the zeros did not depend on the tile, XLA would make them once and copy them.
            zeros = jnp.full((self.tile, self.columns), jnp.minimum(number, 0), jnp.int32)
            counts = zeros.at[at].add(ranks, mode="drop")
            N = counts.astype(jnp.float32) * self.unit
            S = self.product("id,wd->iw", C, U)
            S = jnp.where(jnp.arange(self.columns) < self.size, S, -jnp.inf)
            top = S.max(axis=1, keepdims=True)
            z = jnp.exp(S - top).sum(axis=1, keepdims=True)
            log_z = jnp.log(z) + top
            of_row = cut(n)[:, None]
            # The words beyond the vocabulary have no pairs, but 0 · ∞ is not a number.
            met = jnp.where(counts > 0, N * S, 0).sum()
            return (of_row * log_z).sum() - met, C, U, jnp.exp(S - top) * (of_row / z) - N

        return centers, present.sum(), jnp.multiply(self.unit, ranks.sum()), tile


def float32_product(subscripts: str, a: Array, b: Array) -> Array:
    """Return the einsum of two float32 arrays. A GPU would otherwise round them to TF32."""
    result: Array = jnp.einsum(subscripts, a, b, precision=lax.Precision.HIGHEST)
    return result


def make_product(precision: str, device: jax.Device) -> Product:
    """Return the matrix product of a precision. All have float32 sums.

    Raises
    ------
    InputError
        The device does not have it.
    """
    if precision == "float32":
        return float32_product
    if precision == "tf32":
        if device.platform == "cpu":
            raise InputError(
                "precision=tf32: JAX finds no GPU here, and the CPU has no TF32; choose float32 or "
                "bfloat16"
            )
        return partial(jnp.einsum, precision=lax.DotAlgorithmPreset.TF32_TF32_F32)

    def product(subscripts: str, a: Array, b: Array) -> Array:
        factors = a.astype(jnp.bfloat16), b.astype(jnp.bfloat16)
        result: Array = jnp.einsum(subscripts, *factors, preferred_element_type=jnp.float32)
        return result

    return product


def draws(key: Array, purpose: int, numbers: Array) -> tuple[Array, Array]:
    """Return 64 random bits for each number; see `w2v.sampling.draw`."""
    numbers = numbers.astype(jnp.uint32)
    bits = threefry_2x32(key, jnp.concatenate([numbers, jnp.full_like(numbers, purpose)]))
    return bits[: len(numbers)], bits[len(numbers) :]


def noise_words(tables: DrawTables, first: Array, second: Array) -> Array:
    """Return the words of some draws; see `w2v.sampling.NoiseDistribution.words`."""
    # first * V >> 32, by products of 16-bit halves: JAX has no 64-bit integers by default.
    low, high = np.uint32(len(tables.alias) & 0xFFFF), np.uint32(len(tables.alias) >> 16)
    first_low, first_high = first & 0xFFFF, first >> 16
    middle = first_high * low + (first_low * low >> 16)
    carry = (middle >> 16) + (first_low * high + (middle & 0xFFFF) >> 16)
    cell = (first_high * high + carry).astype(jnp.int32)
    return jnp.where(second < tables.threshold[cell], cell, tables.alias[cell])


def descend(
    vectors: Vectors,
    rows: Array,
    order: Array,
    gradients: Array,
    curvature: Array,
    rate: Array,
) -> Vectors:
    """Move rows against their summed gradients; see `w2v.engines.negative_sampling.descend`.

    Parameters
    ----------
    rows, order : int32 (n,)
        See `Steps.rows` and `Batch`.
    gradients : float32 (n, d)
    curvature : float32 (n,)
    """
    size = len(vectors.outside)
    none = 2 * size
    levels = sum_equal_rows(rows[order], gradients[order], curvature[order], none)
    total = jnp.zeros(none, jnp.float32)
    for row, _, part in levels:
        total = add_once(total, row, part)
    step = jnp.minimum(rate, 2 / jnp.maximum(total, 1e-30))
    center, outside = vectors
    for row, part, _ in levels:
        move = -step.at[row].get(mode="clip")[:, None] * part
        center = add_once(center, jnp.where(row < size, row, none), move)
        outside = add_once(outside, jnp.where(row >= size, row - size, none), move)
    return Vectors(center, outside)


def sum_equal_rows(
    rows: Array, gradients: Array, curvature: Array, none: int
) -> list[tuple[Array, Array, Array]]:
    """Add up the entries of equal rows in an order that depends on the rows alone.

    A scatter would add them in the order in which threads happen to arrive. Here each group of
    entries is multiplied by the matrix of which of its rows are equal. A row whose entries cross
    the border of a group is continued by the first entry of the next group, and these first entries
    are the entries of the next level.

    Parameters
    ----------
    rows : int32 (n,)
        Ascending.
    gradients : float32 (n, d)
    curvature : float32 (n,)
    none
        A number above all rows.

    Returns
    -------
    list of (rows, gradients, curvature)
        Levels, whose sum is the sum of the entries. In a level no row but `none` occurs twice, and
        entries of `none` are to be ignored.
    """
    levels = []
    while True:
        group = GROUP if len(rows) > LAST_GROUP else len(rows)
        missing = -len(rows) % group
        rows = jnp.pad(rows, (0, missing), constant_values=none).reshape(-1, group)
        gradients = jnp.pad(gradients, ((0, missing), (0, 0)))
        gradients = gradients.reshape(*rows.shape, gradients.shape[1])
        curvature = jnp.pad(curvature, (0, missing)).reshape(rows.shape)
        equal = (rows[:, :, None] == rows[:, None, :]).astype(jnp.float32)
        gradients = float32_product("gij,gjd->gid", equal, gradients)
        curvature = (equal * curvature[:, None, :]).sum(axis=2)
        last = len(rows) == 1
        starts = jnp.concatenate(
            [jnp.full((len(rows), 1), last), rows[:, 1:] != rows[:, :-1]], axis=1
        )
        levels.append(
            (
                jnp.where(starts, rows, none).reshape(-1),
                gradients.reshape(-1, gradients.shape[2]),
                curvature.reshape(-1),
            )
        )
        if last:
            return levels
        rows, gradients, curvature = rows[:, 0], gradients[:, 0], curvature[:, 0]


def add_once(array: Array, rows: Array, values: Array) -> Array:
    """Add values to rows, none of which occurs twice. Rows beyond the end are ignored."""
    return array.at[rows].add(values, mode="drop", unique_indices=True)


def scale_rows(
    state: State, name: str, gradients: Array, words: Array, count: Array | int
) -> tuple[State, Array]:
    """Scale gradients (n, d) by row; see `w2v.engines.softmax.RowScale`.

    Only the first `count` of `words` are words; the others are beyond the vocabulary.
    """
    squares, steps = state[f"{name}_squares"], state[f"{name}_steps"]
    squares = add_once(squares, words, (gradients**2).mean(axis=1))
    steps = add_once(steps, words, jnp.ones(len(words), jnp.float32))
    mean = squares.at[words].get(mode="fill", fill_value=0)
    mean = mean / steps.at[words].get(mode="fill", fill_value=1)
    # A step without pairs has no mean, and nothing to scale.
    scale = jnp.sqrt(mean + mean.sum() / jnp.maximum(count, 1) + 1e-30)
    state = {**state, f"{name}_squares": squares, f"{name}_steps": steps}
    return state, gradients / scale[:, None]


def tally(words: int, tallies: Array, setup_seconds: float = 0.0) -> Tally:
    """Return the tally of some steps from the results of `Steps.loss` for each."""
    loss, pairs = np.asarray(tallies).sum(axis=0, dtype=np.float64).tolist()
    return Tally(words, pairs, loss, setup_seconds)


def power_of_two(number: int) -> int:
    """Return the least power of two that is not below a number."""
    return 1 << max(0, number - 1).bit_length()
