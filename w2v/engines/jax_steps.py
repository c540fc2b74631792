"""The training steps of ``engine=jax``: one class for each loss. JAX compiles their methods."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from w2v.engines.jax_functions import Product, State, Vectors, add_once, descend, scale_rows
from w2v.engines.negative_sampling import NegativeSamplingStep
from w2v.engines.softmax import SoftmaxStep
from w2v.engines.tiles import CENTERS, NOISE, SHARED
from w2v.errors import InputError


class Batch(NamedTuple):
    """The words of one training step.

    Attributes
    ----------
    ids, documents : int32 (m + width + m,)
        The vocabulary ids and document numbers of consecutive words of a sub-sampled shard (part of
        the text). m is the window size, and ``width`` the largest number of center words in a step.
        The first center word has the index m. Where the shard has no word, the id is 0 and the
        document number -1.
    centers : int32 (width,)
        The document numbers of the center words; -1 after the last one.
    noise : int32 (width / SHARED * NOISE,)
        The vocabulary ids of `NOISE` noise words for every `SHARED` center words; empty for a loss
        without noise words.
    order : int32 (gradients,)
        The permutation that sorts the step's gradients by the vector that they update; empty for
        the exact softmax.
    """

    ids: Array
    documents: Array
    centers: Array
    noise: Array
    order: Array


class Steps(Protocol):
    """Interface of the training step of a loss for ``engine=jax``; JAX compiles its methods.

    A training step is one update of the model by one batch. Each loss has a class of its own.
    """

    width: int
    """The largest number of center words in a step."""

    def rows(self, ids: Array, noise: Array) -> Array:
        """Return, for each gradient of a step, the index of the row that it updates: int32 (n,).

        Center vectors have the indices 0 to V - 1, outside vectors V to 2 V - 1. The indices
        serve to add up the gradients of each row. For the exact softmax, this method returns an
        empty array, because a step computes only one gradient for each row.

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
        center vectors come first. The gradients of outside vectors follow by tile (`CENTERS`
        consecutive center words): first of the words in and around the tile, then of its `NOISE`
        noise words.

        Parameters
        ----------
        ids : int32 (m + width + m,)
            The vocabulary ids of ``width`` center words, with m words on either side; m is the
            window size.
        noise : int32 (width / SHARED * NOISE,)
            The noise words: `NOISE` in common for every `SHARED` / `CENTERS` consecutive tiles.
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
        # These are matrix products with a single column, for which sums are faster.
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
            The vocabulary ids of ``width`` center words, with m words on either side; m is the
            window size.
        noise : int32 (width / SHARED * NOISE,)
            The noise words: `NOISE` in common for every `SHARED` / `CENTERS` consecutive tiles.
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
            The scores: the dot products of center and output vectors. Except for noise words, they
            are negated, so that the loss of each is its weight times log(1 + exp(S)).
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

    A pair of a center word and a context word at distance j has a weight in the loss: with a
    dynamic window of maximum size m, it is (m - j + 1) / m; otherwise, it is 1. All weights are
    thus integer multiples of the smallest one. Sums of weights are computed from these integers, so
    that the order of summation does not matter.
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
        """Return an empty array, because the exact softmax needs no row indices.

        For negative sampling, the method of this name returns, for each gradient of a step, the
        index of the row that it updates. These indices serve to add up the gradients of the same
        row. In the exact softmax, a step has only one gradient for each row. `ids` and `noise` are
        not used.
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
            rows = jnp.where(count > 0, self.size, 0)
            state, dU = scale_rows(state, "outside", dU, jnp.arange(self.size), rows)
        rate = rate * np.float32(self.rules.step_scale)
        center = add_once(vectors.center, centers, -rate * dC)
        return Vectors(center, vectors.outside - rate * dU), state, jnp.stack([loss, pairs])

    def _tiles(
        self, vectors: Vectors, batch: Batch
    ) -> tuple[Array, Array, Array, Callable[..., Any]]:
        """Cut the distinct center words of a batch into tiles; one tile's logits fit into memory.

        Returns
        -------
        centers : int32
            The vocabulary ids of the distinct center words that have pairs, ascending. The array is
            padded at its end with V, the size of the vocabulary.
        count
            The number of distinct center words that have pairs.
        pairs
            The summed weight of all pairs.
        tile
            A function of the index of a tile, from 0. It returns four values: the summed loss of
            the tile's center words; their vectors C; all outside vectors U, with rows of zeros at
            the end; and the gradient of the loss with respect to the logits C Uᵀ.
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
            # The zeros depend on the tile; otherwise XLA would make them once and copy them.
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
