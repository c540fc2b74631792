"""``engine=jax``: train by programs that JAX compiles, on a GPU or on the CPU.

The engine trains skip-gram without subwords, by negative sampling or the exact softmax. The text is
trained in parts, called shards. For each shard, one program does the sub-sampling and draws the
noise words. Another program runs all training steps in a loop, so that no step waits for Python.

Random numbers and updates are computed as in `w2v.engines.numpy`, but a step of negative sampling
may have more center words (`STEP_WORDS`). Equal seeds give bit-identical vectors on devices of the
same kind.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.engines.jax_functions import (
    DrawTables,
    State,
    Vectors,
    draws,
    draws_evenly,
    make_product,
    noise_words,
)
from w2v.engines.jax_steps import Batch, NegativeSamplingSteps, SoftmaxSteps, Steps
from w2v.engines.negative_sampling import NegativeSamplingStep
from w2v.engines.softmax import SoftmaxStep
from w2v.engines.step import NOISE_WORDS, SUBSAMPLING, step_rate
from w2v.engines.tiles import NOISE, SHARED, step_words
from w2v.errors import InputError
from w2v.losses import NegativeSampling
from w2v.sampling import draw_key, keep_thresholds
from w2v.text.tokens import Text

STEP_WORDS = 8192
"""The largest number of center words in a step of negative sampling, on any device. It is larger
than `tiles.MAX_STEP_WORDS`, the limit for ``engine=numpy`` and ``engine=numba``, because such short
steps would not keep a GPU busy."""

SHARD_WORDS = 1 << 22
"""For negative sampling: the most tokens that a shard, a part of the text, should have (the upper
limit of `JaxEngine.shard_words`). For a shard of this size, the overhead of calling a compiled
program is negligible."""

SPARE = 1 / 8
"""The arrays for a shard, a part of the text, have room for `JaxEngine.shard_words` tokens and this
fraction more. For a longer shard, the programs are compiled again, with longer arrays."""

MIN_SHARD_WORDS = 1 << 16
"""The fewest tokens that a shard, a part of the text, should have (the lower limit of
`JaxEngine.shard_words`)."""

MAX_TEXT_BYTES = 1 << 30
"""If a device does not report its free memory, a text up to this size is copied to it as a whole. A
larger text is copied part by part, that is, shard by shard."""

COMPILER_OPTIONS: dict[str, Any] = {
    "xla_gpu_exclude_nondeterministic_ops": True,
    # At other levels, XLA times several kernels and takes the fastest, which can vary between runs.
    # That made none of these programs faster.
    "xla_gpu_autotune_level": 0,
}


class Sample(NamedTuple):
    """A sub-sampled shard (part of the text), with the noise words drawn for it.

    Attributes
    ----------
    ids, documents : int32 (length,)
        The vocabulary id and the document number of each word that was kept, beginning at index m,
        the window size. Before and after these words is padding: 0 in `ids`, -1 in `documents`.
    noise : int32
        `NOISE` noise words for every `SHARED` center words; empty for a loss without noise words.
    order : int32 (steps or more, gradients per step)
        Row i is the permutation that sorts the gradients of training step i by the vector that they
        update; without columns for the exact softmax.
    counts : int32 (2,)
        The number of tokens that are in the vocabulary, before and after sub-sampling.
    """

    ids: Array
    documents: Array
    noise: Array
    order: Array
    counts: Array


class JaxEngine:
    """An engine that trains on the first device that JAX finds: usually a GPU, or else the CPU.

    The engine keeps the model in the device's memory. Reading the attribute `task` copies the model
    back to the arrays of the training task that the engine was made for.

    Attributes
    ----------
    device_name
        JAX's name of the device, for example "NVIDIA H100 80GB HBM3" or "cpu".
    compile_seconds
        Seconds spent on compiling programs, or on loading them from JAX's compilation cache.

    Raises
    ------
    InputError
        JAX finds no device; the device has too little memory, or does not support the precision of
        the training task; or the window is too large for the exact softmax.
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
            self.shard_words = min(SHARD_WORDS, max(MIN_SHARD_WORDS, task.words // 8))
        else:
            self.rules = SoftmaxStep(task)
            self.steps = SoftmaxSteps(self.rules, product)
            kept = float(keep.astype(np.float64) @ task.counts) / float(task.counts.sum()) / 2**32
            # A shard has the words of a batch, but not more than the text.
            words = min(task.words, self.rules.batch_words / max(kept, 1e-12))
            self.shard_words = max(MIN_SHARD_WORDS, round(words))
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

        `rates` has the learning rate at the start and at the end of the shard, and `random`
        generates all random numbers. The result has the number of tokens that are in the
        vocabulary, before sub-sampling; the summed weight of the (center, outside) pairs; and the
        weighted sum of their losses, each computed before the training step of the pair. The weight
        of a pair is 1 or, with the setting `dynamic_window`, (m - j + 1) / m at distance j, for a
        window size of m.
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
        """Return the arrays of a shard, a part of the text, that are passed to a compiled program.

        The tokens of the whole text are copied to the device once, and returned by every call, if
        they fit into its memory and are fewer than 2**31. Otherwise, only the tokens of the shard
        are returned, padded with zeros to the length `capacity`.

        Returns
        -------
        tokens : int32
            The type of each token, as a number (equal tokens have the same type).
        ids : int32 (types,)
            The vocabulary id of each type; -1 if it is not in the vocabulary.
        spans : int32 (documents, 2)
            The start and end of each document of the shard in `tokens`. Empty documents are added,
            so that the number of all documents is a power of two, and never falls between calls.
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
        """Return an upper bound on the number of training steps for a sub-sampled shard.

        It is computed from the length of the arrays of `sample`, which is known when a program is
        compiled. The number of words that sub-sampling has kept is not known then.
        """
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
        """Compile the training program before the first shard (part of the text) is given.

        Too little memory on the device is thus reported at once. The program fits all shards of up
        to about ``shard_words`` words.
        """
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
        """Sub-sample the documents of a shard (part of the text), and draw its noise words.

        Parameters
        ----------
        tokens : int32
            The type of each token, as a number (equal tokens have the same type).
        ids : int32 (types,)
            The vocabulary id of each type; -1 if it is not in the vocabulary.
        spans : int32 (documents, 2)
            The start and end of each document in `tokens`.
        tables
            Tables that turn random numbers into sub-sampling decisions and noise words.
        key
            The key from which the random numbers are computed.
        capacity
            The largest number of tokens for which the arrays of the result have room; a constant of
            the compiled program.
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

        `sample` has the words of the sub-sampled shard, `state` the arrays of the optimizer, and
        `rates` the learning rate of each step. Return the updated vectors, the updated arrays of
        the optimizer, and an array float32 (n, 2), where n is len(rates). It has a row for each
        step: the loss summed over its pairs, before the update, and the summed weight of these
        pairs. Rows beyond the last step are zero.
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
        """Compute the loss of a sub-sampled text, batch by batch, without training.

        The text is cut into `steps` batches of `size` center words each; the last batch may have
        fewer.

        Parameters
        ----------
        tallies : float32 (n, 2)
            Zeros, with at least as many rows as there are batches.

        Returns
        -------
        float32 (n, 2)
            The filled array `tallies`. Row i has two numbers for batch i: the loss summed over its
            pairs, and the summed weight of these pairs. Rows beyond the last batch are zero.
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


def tally(words: int, tallies: Array, setup_seconds: float = 0.0) -> Tally:
    """Return a `Tally` with the losses and the weights of pairs summed over all steps.

    Parameters
    ----------
    words
        The number of tokens read that are words of the vocabulary, before sub-sampling.
    tallies : (steps, 2)
        The summed loss of each step and the summed weight of its pairs.
    setup_seconds
        The time spent on compiling, which does not count as training time.
    """
    loss, pairs = np.asarray(tallies).sum(axis=0, dtype=np.float64).tolist()
    return Tally(words, pairs, loss, setup_seconds)


def power_of_two(number: int) -> int:
    """Return the smallest power of two that is at least `number`."""
    return 1 << max(0, number - 1).bit_length()
