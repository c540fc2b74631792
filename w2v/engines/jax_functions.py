"""The JAX functions that training steps are made of: products, random draws, and updates of rows.

All are called inside programs that JAX compiles (`w2v.engines.jax`).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.extend.random import threefry_2x32

from w2v.errors import InputError
from w2v.sampling import SPACING

Product = Callable[[str, Array, Array], Array]
"""A function that multiplies two float32 arrays, given the subscripts of an einsum."""

State = dict[str, Array]
"""The arrays of the optimizer, by name; empty for negative sampling."""

GROUP = 32
"""If `sum_equal_rows` gets more than `LAST_GROUP` gradients, it cuts them into groups of this size.

In each group, the gradients that belong to the same row of the model are added up, by a product
with a square 0/1 matrix of this size. A larger size takes more multiplications; a smaller one
leaves more sums that must be added up afterwards."""

LAST_GROUP = 1024
"""The largest number of gradients that `sum_equal_rows` processes by a single matrix product, which
adds up those of the same row. If there are more, they are cut into groups of `GROUP`."""


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
    """Return the noise word for each random uint32, as its vocabulary id, int32.

    Each word has an interval of the uint32 numbers, which ends with the word's element of
    ``tables.last``. The results equal those of `w2v.sampling.NoiseDistribution.words`.
    """
    return jnp.searchsorted(tables.last, numbers, method="scan_unrolled").astype(jnp.int32)


def descend(
    vectors: Vectors,
    rows: Array,
    order: Array,
    gradients: Array,
    curvature: Array,
    rate: Array,
) -> Vectors:
    """Make one step of gradient descent for each row that has gradients; return the new model.

    The gradients of a row are added up. Its step size is the learning rate, but at most 2 / h,
    where h is the sum of the row's curvature bounds. `w2v.engines.inputs.descend` is the NumPy
    version.

    Parameters
    ----------
    rows : int32 (n,)
        The row that each gradient updates: 0 to V - 1 for center vectors, V to 2 V - 1 for outside
        vectors.
    order : int32 (n,)
        The permutation that sorts `rows`.
    gradients : float32 (n, d)
        The gradients of the loss with respect to the rows.
    curvature : float32 (n,)
        The curvature bound of each gradient: an upper bound on the second derivative of the loss
        with respect to the row, in any direction.
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
    """Add up the gradients, and the curvature bounds, of each row of a matrix in a fixed order.

    The sums are therefore bit-identical in every run. A scatter operation on a GPU would add in the
    order in which the threads happen to run.

    Parameters
    ----------
    rows : int32 (n,)
        The row index of each entry, ascending. An entry is a gradient with a curvature bound.
    gradients : float32 (n, d)
        The gradient of each entry.
    curvature : float32 (n,)
        The curvature bound of each entry: an upper bound on the second derivative of the loss.
    none
        A number above all row indices, which marks entries to be ignored.

    Returns
    -------
    list of (rows, gradients, curvature)
        Partial sums, as new entries. The total of a row is the sum of its entries in the whole
        list. In each element of the list, a row occurs at most once; entries to be ignored have the
        index `none`.
    """
    levels = []
    # Entries of equal rows are added up in each group. The sum of a group's first row, which may
    # have entries in earlier groups, becomes an entry of the next level.
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

    This is a variant of Adagrad; `w2v.engines.softmax.RowScale` has the formula.

    Parameters
    ----------
    state
        The optimizer's arrays.
    name
        ``center`` or ``outside``: the matrix that the rows belong to.
    gradients : float32 (n, d)
    words : int32 (n,)
        The row of each gradient. The rows are distinct, except for padding: row numbers beyond the
        vocabulary, which are ignored.
    count
        The number of elements of `words` that are not padding; 0 for a batch without pairs.

    Returns
    -------
    state, gradients
        The new arrays, and the scaled gradients.
    """
    squares, steps = state[f"{name}_squares"], state[f"{name}_steps"]
    squares = add_once(squares, words, (gradients**2).mean(axis=1))
    # A batch without pairs is no step. It has no mean, and nothing to scale.
    steps = add_once(steps, words, jnp.full(len(words), count > 0, jnp.float32))
    mean = squares.at[words].get(mode="fill", fill_value=0)
    mean = mean / jnp.maximum(steps.at[words].get(mode="fill", fill_value=1), 1)
    scale = jnp.sqrt(mean + mean.sum() / jnp.maximum(count, 1) + 1e-30)
    state = {**state, f"{name}_squares": squares, f"{name}_steps": steps}
    return state, gradients / scale[:, None]
