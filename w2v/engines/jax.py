"""``engine=jax``: train by programs that JAX compiles, on a GPU or on the CPU.

It trains skip-gram without subwords, by negative sampling or the exact softmax. The text is trained
in parts, called shards. For each shard, Python sends the start and end of each document to the
device; it also sends the tokens if those of the whole text do not fit there. One compiled program
then sub-samples the shard and draws its noise words. Another one runs all training steps in a loop,
so that no step waits for Python. Random numbers and updates are computed as in
`w2v.engines.numpy`, but a step of negative sampling may have more center words (`STEP_WORDS`).

Equal seeds give bit-identical vectors on devices of the same kind: the gradients of one row are
added up in a fixed order (`sum_equal_rows`), and XLA is told to use no non-deterministic operation.
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
from w2v.engines.negative_sampling import NegativeSamplingStep
from w2v.engines.softmax import SoftmaxStep
from w2v.engines.step import NOISE_WORDS, SUBSAMPLING, step_rate
from w2v.engines.tiles import CENTERS, NOISE, SHARED, step_words
from w2v.errors import InputError
from w2v.losses import NegativeSampling
from w2v.sampling import SPACING, draw_key, keep_thresholds
from w2v.text.tokens import Text

Product = Callable[[str, Array, Array], Array]
"""A function that multiplies two float32 arrays, given the subscripts of an einsum."""

State = dict[str, Array]
"""The arrays of the optimizer, by name; empty for negative sampling."""

STEP_WORDS = 8192
"""The largest number of center words in a step of negative sampling. It is larger than on a CPU,
because short steps would not keep a GPU busy."""

SHARD_WORDS = 1 << 22
"""The upper limit of `JaxEngine.shard_words` for negative sampling. For a shard of this size, the
overhead of calling a compiled program is negligible."""

SPARE = 1 / 8
"""By what fraction a shard may exceed `JaxEngine.shard_words` without another compilation."""

MAX_TEXT_BYTES = 1 << 30
"""If a device does not report its free memory, texts beyond this size are sent shard by shard."""

COMPILER_OPTIONS: dict[str, Any] = {
    "xla_gpu_exclude_nondeterministic_ops": True,
    # At other levels, XLA times several kernels and takes the fastest, which can vary between runs.
    # That made none of these programs faster.
    "xla_gpu_autotune_level": 0,
}

GROUP = 32
"""The number of gradients in a group of `sum_equal_rows` (but see `LAST_GROUP`). Each group is
multiplied by a square matrix of this size."""

LAST_GROUP = 1024
"""The largest number of gradients that `sum_equal_rows` adds up as one group, by one matrix
product. If there are more, they are cut into groups of `GROUP`, in the order of the rows of the
model that they belong to. In each group, the gradients of the same row are added up. The sum for
the first row of each group goes on to the next round, because an earlier group may have gradients
of this row, too. The last round is the one that begins with at most this many gradients."""


class Vectors(NamedTuple):
    """The center and outside vectors in the device's memory: two float32 arrays (V, d)."""

    center: Array
    outside: Array


class DrawTables(NamedTuple):
    """Lookup tables that turn random numbers into sub-sampling decisions and noise words.

    Attributes
    ----------
    keep : uint32 (V,)
        Sub-sampling thresholds: a word is kept if a random uint32 is at most its threshold.
    last : uint32 (V,)
        Word w is the noise word for random numbers from ``last[w - 1] + 1`` (0 for the first word)
        to ``last[w]``. Empty for a loss without noise words.
    """

    keep: Array
    last: Array


class Sample(NamedTuple):
    """A sub-sampled shard (part of the text), with the noise words drawn for it.

    Attributes
    ----------
    ids, documents : int32
        The vocabulary id and the document number of each word that was kept, beginning at index m,
        where m is the window size. All elements before and after these words are padding: 0 in
        `ids`, and -1 in `documents`.
    noise : int32
        The noise words, `NOISE` of them for every `SHARED` consecutive center words. Empty for a
        loss without noise words.
    order : int32 (most steps, gradients per step)
        Row i is the permutation that sorts the gradients of training step i by the vector that they
        update. If there are fewer steps than rows, the last rows are not used. For the exact
        softmax, which does not need this array, it has no columns.
    counts : int32 (2,)
        The number of tokens that are words of the vocabulary, before and after sub-sampling.
    """

    ids: Array
    documents: Array
    noise: Array
    order: Array
    counts: Array


class Batch(NamedTuple):
    """The words of one training step.

    Attributes
    ----------
    ids, documents : int32 (m + width + m,)
        The vocabulary ids and document numbers of consecutive words, in the order of the text: m
        words, then ``width`` words that begin with the center words of the step, then m words.
        ``width`` is the largest number of center words in a step, and m the window size. The words
        are from a sub-sampled shard (part of the text); before its start and after its end, the id
        is 0 and the document number -1.
    centers : int32 (width,)
        The document numbers of the center words, then -1 if the step has fewer than ``width``.
    noise : int32 (width / SHARED * NOISE,)
        The vocabulary ids of the noise words of the step, `NOISE` for every `SHARED` center words;
        empty for a loss without noise words.
    order : int32 (gradients,)
        The permutation that sorts the step's gradients by the vector that they update; empty for
        the exact softmax, which does not need it.
    """

    ids: Array
    documents: Array
    centers: Array
    noise: Array
    order: Array


class Steps(Protocol):
    """Interface of the training step of a loss. JAX compiles its methods."""

    width: int
    """The largest number of center words in a step."""

    def rows(self, ids: Array, noise: Array) -> Array:
        """Return, for each gradient of a step, the index of the row that it updates: int32 (n,).

        Center vectors have the indices 0 to V - 1, outside vectors V to 2 V - 1. The indices
        serve to add up the gradients of each row. The exact softmax computes only one gradient for
        each row, so for this loss the result is always empty.

        Parameters
        ----------
        ids
            The vocabulary ids of the step's center words and of the words around them, as in
            `Batch`.
        noise
            The noise words of the step.
        """
        ...

    def loss(self, vectors: Vectors, batch: Batch) -> Array:
        """Return the summed loss of a batch and the summed weight of its pairs, float32 (2,)."""
        ...

    def update(
        self, vectors: Vectors, state: State, batch: Batch, rate: Array
    ) -> tuple[Vectors, State, Array]:
        """Update the model and the optimizer's arrays by one batch.

        Returns
        -------
        vectors, state
            The updated model and the updated arrays of the optimizer.
        tally : float32 (2,)
            The summed loss of the batch before the update, and the summed weight of its pairs.
        """
        ...


class JaxEngine:
    """An engine that trains on the first device that JAX finds: usually a GPU, or else the CPU.

    The model is kept in the device's memory. Reading the attribute `task` copies the model back to
    the arrays of the task.

    Attributes
    ----------
    device_name
        JAX's name of the device, for example "NVIDIA H100 80GB HBM3" or "cpu".
    compile_seconds
        Seconds spent on compiling programs, or on loading them from the folder given by JAX's
        setting ``jax_compilation_cache_dir``.

    Raises
    ------
    InputError
        JAX finds no device; the device has too little memory or does not support the task's
        precision; or the window is too large for the exact softmax.
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
        self._documents = 1 << 10  # capacity of the array of document spans
        self.vectors: Vectors
        self._state: State
        self._text: tuple[Any, Any] | None = None  # a text's arrays on the host, and on the device
        product = make_product(task.precision, self.device)
        keep = keep_thresholds(task.counts, task.objective.subsample)
        last = np.empty(0, np.uint32)
        self.steps: Steps
        if isinstance(task.objective.loss, NegativeSampling):
            self.rules = NegativeSamplingStep(task, step_words(task, STEP_WORDS))
            self.steps = NegativeSamplingSteps(self.rules, product)
            last = self.rules.noise.last
            self.shard_words = min(SHARD_WORDS, max(1 << 16, task.words // 8))
        else:
            self.rules = SoftmaxStep(task)
            self.steps = SoftmaxSteps(self.rules, product)
            kept = float(keep.astype(np.float64) @ task.counts) / float(task.counts.sum()) / 2**32
            self.shard_words = max(1 << 16, round(self.rules.batch_words / kept))
        self._require(sum(array.nbytes for array in task.model), "the model")
        self.tables = DrawTables(*jax.device_put((keep, last)))
        self.restore(self.rules.state())
        self._compile_ahead()

    @property
    def task(self) -> Task:
        """The training task. Reading this attribute updates its model from the device's memory."""
        if self._stale:
            for array, newer in zip(self._task.model, self.vectors, strict=True):
                array[:] = newer
            self._stale = False
        return self._task

    def train(self, text: Text, rates: tuple[float, float], random: np.random.Generator) -> Tally:
        """Train on a shard, a part of the text, once; update the model on the device.

        Return the number of the shard's tokens that are words of the vocabulary, before
        sub-sampling; the summed weight of its (center, outside) pairs; and the weighted sum of
        their losses, each computed before the update to which the pair contributes. The weight of a
        pair is 1 or, with the setting `dynamic_window`, (m - j + 1) / m at distance j, for a window
        size of m.

        Parameters
        ----------
        text
            The documents of the shard.
        rates
            The learning rate at the start and at the end of the shard.
        random
            The generator of all random numbers.
        """
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
        """Sum the loss over a text, with sub-sampling, windows and noise words as in training.

        Return the weighted sum of the losses of all (center, outside) pairs; their summed weight;
        and the number of tokens that are words of the vocabulary, before sub-sampling. The weight
        of a pair is 1 or, with the setting `dynamic_window`, (m - j + 1) / m at distance j, for a
        window size of m. The model is not changed. Two calls with equally seeded generators use the
        same random numbers, so that their losses can be compared.
        """
        sample, words, steps, size = self._sample(text, random)
        tallies = np.zeros((self._most_steps(sample), 2), np.float32)
        counts = np.int32(steps), np.int32(size)
        return tally(words, self._call(self._loss, self.vectors, sample, tallies, *counts))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of the optimizer's arrays, by name."""
        return {name: np.array(array) for name, array in self._state.items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Copy the task's vectors, and the optimizer's arrays in `state`, to the device.

        The task is the one that the engine was made for. For a new training, `state` has the
        initial arrays of the optimizer. To continue an earlier training, the caller first copies
        the vectors of that training into the arrays of the task's model; `state` is then what the
        method `state` of the earlier engine returned. For negative sampling, `state` is empty.
        """
        # Copied, because on the CPU JAX may share the memory of a NumPy array.
        self.vectors = Vectors(*(jnp.array(array, copy=True) for array in self._task.model))
        self._state = {name: jnp.array(array, copy=True) for name, array in state.items()}
        self._stale = False

    # What the host does

    def _sample(self, text: Text, random: np.random.Generator) -> tuple[Sample, int, int, int]:
        """Sub-sample a shard, a part of the text, and draw its noise words.

        Returns
        -------
        sample
            The words that are kept, and the noise words.
        words
            The number of tokens that are words of the vocabulary, before sub-sampling.
        steps
            The number of training steps.
        size
            The number of center words per step; the last step may have fewer.
        """
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
        """Return a shard, a part of the text, as arrays that a compiled program can take.

        If the tokens of the whole text fit into the device's memory (and are fewer than 2**31),
        they are copied there once, and the copy is returned for every shard. Otherwise, the result
        has only the tokens of the shard.

        Parameters
        ----------
        text
            The shard. `text.tokens` has the tokens of the whole text, and `text.spans` the start
            and end of each document of the shard.
        capacity
            The length to which the tokens of the shard are padded with zeros, if only these are
            returned.

        Returns
        -------
        tokens : int32
            An integer for each token, equal for equal tokens.
        ids : int32
            Element t is the vocabulary id of the tokens that are t; -1 outside the vocabulary.
        spans : int32 (documents, 2)
            The start and end of each document of the shard in `tokens`. Empty documents are added
            until their number is a power of two, and not smaller than in any call before.
        """
        source = text.tokens, text.ids
        if self._text is None or any(
            a is not b for a, b in zip(self._text[0], source, strict=True)
        ):
            free = self._free_memory()
            fits = text.tokens.nbytes <= (MAX_TEXT_BYTES if free is None else free // 2)
            self._text = None
            if fits and len(text.tokens) < 2**31:
                # One token is added, because an empty array cannot be indexed.
                self._text = source, jax.device_put((np.append(text.tokens, np.int32(0)), text.ids))
        starts, ends = text.spans.T
        if self._text is not None:
            tokens, ids = self._text[1]
        else:
            tokens, ids = np.zeros(capacity, np.int32), text.ids
            lengths = ends - starts
            parts = [text.tokens[start:end] for start, end in text.spans]
            tokens[: text.size] = np.concatenate([tokens[:0], *parts])  # parts may be empty
            ends = np.cumsum(lengths)
            starts = ends - lengths
        # The array is padded with empty documents, so that one program fits all shards.
        self._documents = max(self._documents, power_of_two(len(starts)))
        spans = np.zeros((self._documents, 2), np.int32)
        spans[: len(starts)] = np.stack([starts, ends], axis=1)
        return tokens, ids, spans

    def _most_steps(self, sample: Sample) -> int:
        """Return an upper bound on the number of training steps for the words of a sample."""
        return len(sample.ids) // self.rules.batch_words + 2

    def _call(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        donate: tuple[int, ...] = (),
        **static: Any,
    ) -> Any:
        """Compile a function of JAX arrays, run it on the device, and return its result.

        The function is compiled once for each combination of array shapes and of constants.

        Parameters
        ----------
        function
            A function of JAX arrays.
        arguments
            Its arguments, which are sent to the device.
        donate
            The positions of arguments whose memory may be reused for the result.
        static
            Keyword arguments that are constants of the compiled program.
        """
        arguments = jax.device_put(arguments)
        return self._compile(function, arguments, donate, static)(*arguments)

    def _compile(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        donate: tuple[int, ...],
        static: dict[str, Any],
    ) -> Any:
        """Compile a function for the shapes of its arguments and for some constants.

        Return the compiled program. Later calls with the same function, shapes and constants return
        the same program.

        Parameters
        ----------
        function
            A function of JAX arrays.
        arguments
            Its arguments.
        donate
            The positions of arguments whose memory may be reused for the result.
        static
            Keyword arguments that are constants of the compiled program.

        Raises
        ------
        InputError
            The device has too little free memory for the program.
        """
        shapes = tuple(leaf.shape for leaf in jax.tree.leaves(arguments))
        key = function.__name__, shapes, tuple(static.items())
        if key not in self._programs:
            start = time.perf_counter()
            lowered = jax.jit(partial(function, **static), donate_argnums=donate).lower(*arguments)
            program = lowered.compile(COMPILER_OPTIONS)
            self.compile_seconds += time.perf_counter() - start
            size = program.memory_analysis()
            if size is not None:
                new = size.output_size_in_bytes - size.alias_size_in_bytes
                self._require(size.temp_size_in_bytes + new, "a step")
            self._programs[key] = program
        return self._programs[key]

    def _compile_ahead(self) -> None:
        """Compile the program that trains on a shard (part of the text) with the usual size."""
        array: Any = jax.ShapeDtypeStruct
        texts = array((1,), np.int32), array((1,), np.int32), array((1, 2), np.int32)
        draw = partial(self._draw, capacity=round(self.shard_words * (1 + SPARE)))
        sample = jax.eval_shape(draw, *texts, self.tables, array((2,), np.uint32))
        course = array((self._most_steps(sample),), np.float32)
        number = array((), np.int32)
        arguments = self.vectors, self._state, sample, course, number, number
        self._compile(self._train, arguments, (0, 1), {})

    def _free_memory(self) -> int | None:
        """Return the free memory of the device in bytes; None if the device does not report it."""
        stats = self.device.memory_stats() or {}
        if "bytes_limit" not in stats:
            return None
        return int(stats["bytes_limit"]) - int(stats["bytes_in_use"])

    def _require(self, need: int, what: str) -> None:
        """Raise `InputError` if the device reports less than `need` bytes of free memory.

        `what` is what needs the memory, for the message.
        """
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
        """Sub-sample the documents of a shard, and draw noise words, on the device.

        A shard is a part of the text. The `order` of the sample is computed as well: for each
        training step, the permutation that sorts its gradients by the vector that they update.

        Parameters
        ----------
        tokens : int32
            An integer for each token, equal for equal tokens.
        ids : int32
            Element t is the vocabulary id of the tokens that are t; -1 outside the vocabulary.
        spans : int32 (documents, 2)
            The start and end of each document in `tokens`.
        tables, key
            The lookup tables and the key of the random numbers.
        capacity
            An upper limit on the number of tokens in all documents together. It determines the
            lengths of the arrays in the result, which are fixed when the program is compiled.
        """
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
        if len(tables.last):
            numbers = jnp.arange((capacity + width) // SHARED * NOISE)
            noise = noise_words(tables, draws_evenly(key, NOISE_WORDS, numbers, NOISE))
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
        """Run `steps` training steps of `size` center words each, on the device.

        `rates` has the learning rate of each step. Return the updated vectors, the updated arrays
        of the optimizer, and float32 (n, 2) with n = len(rates): for each step, the loss summed
        over its pairs, before the update, and the summed weight of these pairs. Rows beyond the
        last step are zero.
        """

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
        """Return, for each step, the summed loss and the summed weight of its pairs; do not train.

        Parameters
        ----------
        tallies : float32 (n, 2)
            Zeros; the array to fill and return, with n at least the number of steps.
        steps, size
            The number of steps, and the number of center words per step.
        """

        def step(number: Array, tallies: Array) -> Array:
            batch = self._batch(sample, number, size)
            return tallies.at[number].set(self.steps.loss(vectors, batch))

        result: Array = lax.fori_loop(0, steps, step, tallies)
        return result

    def _batch(self, sample: Sample, number: Array, size: Array | int) -> Batch:
        """Return the words of training step `number`, where each step has `size` center words."""
        first, width, m = number * size, self.steps.width, self.window
        cut = partial(lax.dynamic_slice_in_dim, start_index=first, slice_size=width + 2 * m)
        documents = cut(sample.documents)
        centers = jnp.where(jnp.arange(width) < size, documents[m : m + width], -1)
        noise = sample.noise
        if len(noise):
            drawn = width // SHARED * NOISE
            noise = lax.dynamic_slice_in_dim(noise, first // SHARED * NOISE, drawn)
        order = sample.order[number] if len(sample.order) else sample.order
        return Batch(cut(sample.ids), documents, centers, noise, order)


class NegativeSamplingSteps:
    """Training step of negative sampling in JAX. The NumPy version is `NegativeSamplingStep`."""

    def __init__(self, rules: NegativeSamplingStep, product: Product) -> None:
        self.width = rules.batch_words
        self.size = len(rules.model.outside)
        self.window = rules.window
        self.band = rules.band
        self.share = np.float32(rules.negatives / NOISE)
        self.product = product
        # For a score s, a pair has the loss log(1 + exp(−s)), and a noise word log(1 + exp(s)).
        is_pair = np.arange(rules.pairs + NOISE) < rules.pairs
        self.sign = np.where(is_pair, -1, 1).astype(np.float32)
        tiles = rules.batch_words // CENTERS
        self.windows = CENTERS * np.arange(tiles)[:, None] + np.arange(rules.pairs)

    def rows(self, ids: Array, noise: Array) -> Array:
        """Return, for each gradient of a step, the index of the row that it updates: int32 (n,).

        Center vectors have the indices 0 to V - 1, outside vectors V to 2 V - 1. The gradients of
        center vectors come first. Then come those of outside vectors, tile by tile (a tile is
        `CENTERS` consecutive center words): of the words in and around the tile, then of its
        `NOISE` noise words. `SHARED` / `CENTERS` consecutive tiles have the same noise words, but
        each tile has gradients of its own for them.

        Parameters
        ----------
        ids : int32 (m + width + m,)
            The vocabulary ids of ``width`` center words, of the m words before and of the m words
            after them; m is the window size.
        noise : int32 (width / SHARED * NOISE,)
            The noise words, `NOISE` for every `SHARED` center words.
        """
        centers, rows = self._words(ids, noise)
        return jnp.concatenate([centers.reshape(-1), self.size + rows.reshape(-1)])

    def loss(self, vectors: Vectors, batch: Batch) -> Array:
        """Return the summed loss of a batch and the summed weight of its pairs, float32 (2,)."""
        _, _, S, weights = self._scores(vectors, batch)
        return self._tally(S, weights)

    def update(
        self, vectors: Vectors, state: State, batch: Batch, rate: Array
    ) -> tuple[Vectors, State, Array]:
        """Return the model after a training step on a batch, and the batch's loss before the step.

        The second element of the result is `state`, unchanged: this loss has no optimizer arrays.
        The last has the summed loss and the summed weight of the pairs, float32 (2,).
        """
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
        """Return the center words of each tile, and the output words that they are scored with.

        A tile is `CENTERS` consecutive center words. Its output words are the words in and around
        it, then its noise words. The shapes are (tiles, CENTERS) and (tiles, output words).

        Parameters
        ----------
        ids : int32 (m + width + m,)
            The vocabulary ids of ``width`` center words, of the m words before and of the m words
            after them; m is the window size.
        noise : int32 (width / SHARED * NOISE,)
            The noise words. Every `SHARED` center words, which are several tiles, share `NOISE`.
        """
        words = ids[self.windows]
        of_tiles = jnp.repeat(noise.reshape(-1, NOISE), SHARED // CENTERS, axis=0)
        rows = jnp.concatenate([words, of_tiles], axis=1)
        return words[:, self.window : self.window + CENTERS], rows

    def _scores(self, vectors: Vectors, batch: Batch) -> tuple[Array, Array, Array, Array]:
        """Compute the scores of the center vectors and output vectors of each tile.

        A tile is a number of consecutive center words. Its output vectors are those of the words in
        and around it, then those of its noise words.

        Returns
        -------
        C, R
            The center vectors and the output vectors, one matrix per tile.
        S
            Their dot products, negated except for noise words, so that the loss of each is its
            weight times log(1 + exp(S)).
        weights
            The weight of each score in the loss.
        """
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
    """Training step of the exact softmax in JAX. The NumPy version is `SoftmaxStep`.

    Weights of pairs are summed as integer multiples of the smallest weight, so that the sums do not
    depend on the order of summation.
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
        """Return an empty array instead of the index of the row that each gradient updates.

        These indices are needed only to add up gradients of the same row. In the exact softmax, a
        step has only one gradient for each row.
        """
        return jnp.zeros(0, jnp.int32)

    def loss(self, vectors: Vectors, batch: Batch) -> Array:
        """Return the summed loss of a batch and the summed weight of its pairs, float32 (2,)."""
        _, count, pairs, tile = self._tiles(vectors, batch)

        def add(number: Array, loss: Array) -> Array:
            added: Array = loss + tile(number)[0]
            return added

        loss: Array = lax.fori_loop(0, -(-count // self.tile), add, jnp.float32(0))
        return jnp.stack([loss, pairs])

    def update(
        self, vectors: Vectors, state: State, batch: Batch, rate: Array
    ) -> tuple[Vectors, State, Array]:
        """Return the model and the optimizer's arrays after a training step on a batch.

        The last element of the result has the summed loss before the step and the summed weight of
        the pairs, float32 (2,).
        """
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
        """Group the pairs of a batch by distinct center word, and cut these words into tiles.

        A tile is a number of distinct center words whose logits are in memory at the same time.

        Returns
        -------
        centers : int32
            The distinct center words that have pairs, in ascending order, padded with V, the size
            of the vocabulary.
        count
            The number of these words.
        pairs
            The summed weight of all pairs.
        tile
            A function of a tile's number. It returns the summed loss of the tile's center words,
            their vectors C, all outside vectors U (padded with zeros), and the gradient of the loss
            with respect to the scores C Uᵀ.
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
            # Made to depend on the tile: otherwise XLA would make the zeros once and copy them.
            zeros = jnp.full((self.tile, self.columns), jnp.minimum(number, 0), jnp.int32)
            counts = zeros.at[at].add(ranks, mode="drop")
            N = counts.astype(jnp.float32) * self.unit
            S = self.product("id,wd->iw", C, U)
            S = jnp.where(jnp.arange(self.columns) < self.size, S, -jnp.inf)
            top = S.max(axis=1, keepdims=True)
            z = jnp.exp(S - top).sum(axis=1, keepdims=True)
            log_z = jnp.log(z) + top
            of_row = cut(n)[:, None]
            # The padding beyond the vocabulary has no pairs, but 0 · ∞ would be NaN.
            met = jnp.where(counts > 0, N * S, 0).sum()
            return (of_row * log_z).sum() - met, C, U, jnp.exp(S - top) * (of_row / z) - N

        return centers, present.sum(), jnp.multiply(self.unit, ranks.sum()), tile


def float32_product(subscripts: str, a: Array, b: Array) -> Array:
    """Compute an einsum of two float32 arrays, in full float32 precision even on a GPU."""
    result: Array = jnp.einsum(subscripts, a, b, precision=lax.Precision.HIGHEST)
    return result


def make_product(precision: str, device: jax.Device) -> Product:
    """Return a function that multiplies matrices at a given precision, and accumulates in float32.

    The function takes the subscripts of an einsum and two float32 arrays.

    Parameters
    ----------
    precision
        What factors are rounded to: ``float32`` (no rounding), ``tf32`` or ``bfloat16``.
    device
        The device that computes the products.

    Raises
    ------
    InputError
        The device does not support the precision.
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
    """Return 64 random bits for each of n counters, as two uint32 arrays (n,).

    The bits are a function of the key, the purpose and the counter, and equal those of
    `w2v.sampling.draw`.

    Parameters
    ----------
    key : uint32 (2,)
        The key of the draws.
    purpose
        A constant that makes the bits for one use independent of those for another.
    numbers : (n,)
        The counters.
    """
    numbers = numbers.astype(jnp.uint32)
    bits = threefry_2x32(key, jnp.concatenate([numbers, jnp.full_like(numbers, purpose)]))
    return bits[: len(numbers)], bits[len(numbers) :]


def draws_evenly(key: Array, purpose: int, numbers: Array, parts: int) -> Array:
    """Return a random uint32 for each counter; the results for a group are evenly spaced.

    A group is `parts` consecutive counters that begin at a multiple of `parts`. The results for
    successive counters of a group are 2**32 // `parts` apart, modulo 2**32. All results equal those
    of `w2v.sampling.draw_evenly`.

    Parameters
    ----------
    key : uint32 (2,)
        The key of the draws.
    purpose
        A constant that makes the results for one use independent of those for another.
    numbers
        The counters.
    parts
        The number of counters in a group, at least 2.
    """
    start, _ = draws(key, purpose, jnp.zeros(1))
    groups, places = jnp.divmod(numbers.astype(jnp.uint32), np.uint32(parts))
    return start + groups * SPACING // np.uint32(parts) + places * np.uint32(2**32 // parts)


def noise_words(tables: DrawTables, numbers: Array) -> Array:
    """Convert uint32 random numbers to noise words, as `NoiseDistribution.words` does."""
    return jnp.searchsorted(tables.last, numbers, method="scan_unrolled").astype(jnp.int32)


def descend(
    vectors: Vectors,
    rows: Array,
    order: Array,
    gradients: Array,
    curvature: Array,
    rate: Array,
) -> Vectors:
    """Make one step of gradient descent for each row, with a bounded step size.

    The gradients of a row are added up. Its step size is the learning rate, but at most 2 / h,
    where h is the sum of the row's curvatures. Return the updated model.
    `w2v.engines.inputs.descend` is the NumPy version.

    Parameters
    ----------
    vectors
        The model.
    rows : int32 (n,)
        The row that each gradient updates: 0 to V - 1 for center vectors, V to 2 V - 1 for outside
        vectors.
    order : int32 (n,)
        The permutation that sorts `rows`.
    gradients : float32 (n, d)
    curvature : float32 (n,)
        For each gradient, a bound on the curvature of the loss along its row.
    rate
        The learning rate.
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
    """Add up the gradients, and curvatures, of each row in a fixed order, even on a GPU.

    A scatter operation would add in the order in which the threads of the GPU happen to run. Here
    the entries (a gradient and a curvature each), which are sorted by row, are cut into groups.
    Within each group, the entries of each row are added up, for gradients by a product with a 0/1
    matrix. The row with which a group begins may also have entries in earlier groups. The sums of
    these first rows are therefore the entries of a second level, which is cut into groups and added
    up in the same way, and so on until a level has only one group.

    Parameters
    ----------
    rows : int32 (n,)
        The row of each entry, ascending.
    gradients : float32 (n, d)
    curvature : float32 (n,)
    none
        A number above all rows, which marks entries to be ignored.

    Returns
    -------
    list of (rows, gradients, curvature)
        One element per level. The total of a row is the sum of its entries over all levels. Within
        a level, each row occurs at most once; entries to be ignored have the row `none`.
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
    """Return a copy of `array` with `values` added to the rows with the indices `rows`.

    Indices beyond the end of `array` are ignored. The other indices must be distinct.
    """
    return array.at[rows].add(values, mode="drop", unique_indices=True)


def scale_rows(
    state: State, name: str, gradients: Array, words: Array, count: Array | int
) -> tuple[State, Array]:
    """Divide each row's gradient by about the root mean square of the row's gradients so far.

    This is a variant of Adagrad; `w2v.engines.softmax.RowScale` is the NumPy version, and has the
    exact formula.

    Parameters
    ----------
    state
        The optimizer's arrays.
    name
        ``center`` or ``outside``: the matrix that the rows belong to.
    gradients : float32 (n, d)
    words : int32 (n,)
        The row of each gradient. The rows are distinct, but for padding: row numbers beyond the
        vocabulary, which are ignored.
    count
        The number of elements of `words` that are not padding.

    Returns
    -------
    state, gradients
        The optimizer's new arrays, and the scaled gradients.
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
    """Return a `Tally` with the losses and the weights of pairs summed over all steps.

    Parameters
    ----------
    words
        The number of tokens read that are words of the vocabulary, before sub-sampling.
    tallies : (steps, 2)
        The summed loss of each step and the summed weight of its pairs.
    setup_seconds
        The time spent on preparation.
    """
    loss, pairs = np.asarray(tallies).sum(axis=0, dtype=np.float64).tolist()
    return Tally(words, pairs, loss, setup_seconds)


def power_of_two(number: int) -> int:
    """Return the smallest power of two that is at least `number`."""
    return 1 << max(0, number - 1).bit_length()
