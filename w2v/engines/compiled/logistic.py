"""Compiled code for sums of logistic terms: loss, gradient and curvature, given the scores.

Negative sampling and the hierarchical softmax are both such sums.
"""

from typing import Any

from w2v.engines.compiled.functions import inner
from w2v.engines.compiled.simd import (
    LANES,
    add,
    divide,
    greater,
    load,
    multiply,
    multiply_add,
    polynomial,
    power_of_two,
    select,
    splat,
    store,
    subtract,
    sum_lanes,
    to_floats,
    to_ints,
)

# Coefficients of near-minimax fits with relative error 3e-9: 2**x for |x| <= 1/2, and
# 2 artanh(z) / z as a function of z**2 up to 1/9.
EXP2 = (1.0, 0.69314721, 0.24022651, 0.055503272, 0.0096180256, 0.0013400432, 0.00015469732)
ARTANH = (2.0, 0.66666316, 0.40024854, 0.27961419, 0.28174657)


@inner
def logistic(scores: int, weights: int, curvature: int, vectors: Any) -> float:
    """Compute the logistic loss of scores, its derivative for each score, and curvature bounds.

    A score s, the dot product of an input and an output vector, has a weight w, positive for a pair
    and negative for a noise word. Its loss is ``|w| log(1 + exp(x))``, where x is -s for a pair and
    s for noise. The negative derivative is ``w σ(x)``. The bound on the curvature (second
    derivative) is ``|w| / (2 max(2, |s|))`` (``w2v/README.md``, "Kept stable").

    For the hierarchical softmax, no weight is negative, and the caller corrects the results for
    branches of code 1.

    Parameters
    ----------
    scores
        The address of the scores, which are replaced by the negative derivatives.
    weights, curvature
        The address of the weights, and the one to which the curvature bounds are written.
    vectors
        The number of SIMD vectors of scores.

    Returns
    -------
    float32
        The summed loss.
    """
    zero, half, one, two, huge = splat(0), splat(0.5), splat(1), splat(2), splat(1e30)
    total = zero
    for k in range(0, vectors * LANES, LANES):
        score, weight = load(scores, k), load(weights, k)
        is_pair = greater(weight, zero)
        x = select(is_pair, subtract(zero, score), score)
        size = select(is_pair, weight, subtract(zero, weight))
        is_positive = greater(x, zero)
        a = select(is_positive, x, subtract(zero, x))
        # exp(-a) is a power of two whose integer part goes into the exponent's bits.
        t = multiply(a, splat(-1.4426950408889634))
        t = select(greater(t, splat(-125)), t, splat(-125))
        integer = to_ints(subtract(t, half))
        fraction = subtract(t, to_floats(integer))
        e = multiply(polynomial(fraction, EXP2), power_of_two(integer))
        # One division inverts the product of three denominators: 1 + e for the derivative,
        # max(2, |s|) for the bound, and 2 + e for the loss, which is log(1 + exp(x)) =
        # max(x, 0) + 2 artanh(e / (2 + e)).
        q, r = add(one, e), add(two, e)
        largest = select(greater(a, two), select(greater(a, huge), huge, a), two)
        qr = multiply(q, r)
        every = divide(one, multiply(qr, largest))
        inverse = multiply(every, largest)
        z = multiply(multiply(e, q), inverse)
        log = multiply(z, polynomial(multiply(z, z), ARTANH))
        sigma = multiply(multiply(r, inverse), select(is_positive, one, e))
        loss = multiply_add(half, add(a, x), log)
        total = multiply_add(size, loss, total)
        store(multiply(weight, sigma), scores, k)
        store(multiply(multiply(half, size), multiply(every, qr)), curvature, k)
    loss_sum: float = sum_lanes(total)
    return loss_sum
