"""Test whether two configurations differ significantly in a score.

Each configuration is trained with several seeds, and all runs are evaluated on the same items: word
pairs or analogy questions. A difference is significant if it cannot be explained by the choice of
seeds and items. Both are treated as random samples, as in a study in which several readers judge
the same cases (Obuchowski and Rockette). `w2v.evaluate.influence` computes how much each item
contributes to a score.

The test works as follows. The difference of the two scores is averaged over the seeds. The variance
of this mean is estimated as a sum of two: the variance due to the choice of seeds, and that due to
the choice of items. The square root of the sum is the standard error. The difference is significant
if its absolute value exceeds the standard error times a critical value.

For the seeds s = 1 ... S, let d_s be the difference of the two scores with seed s, and e_s the
vector of the differences of the items' contributions. The variance of the mean of d_s is estimated
by

    seeds + items,   seeds = var(d_s) / S,   items = max(0, q(mean of e_s) - min(noise, seeds)).

Here, q(e) estimates the variance, over random samples of items, of a difference to which the items
contribute e. It is the sum of e_i e_j over all items i and j that depend on each other, such as two
questions with a word pair in common. If all items are independent, it is the sum of the squares of
e. On average, this sum is too small. Each q is therefore divided by a factor, which the notes below
derive.

The vector (mean of e_s) also varies because of the seeds. ``noise`` estimates the part of
q(mean of e_s) that is due to them: it is the sum of q(e_s - mean of e_s) over the seeds, divided by
S (S - 1). ``seeds`` contains this part, too. To count it once only, ``noise`` is subtracted. With
few seeds, however, the estimate ``seeds`` may happen to be smaller than ``noise``, or even 0. Then
only ``seeds`` is subtracted: hence min(noise, seeds). The sum seeds + items is thus never below
q(mean of e_s), the variance over items if the trained vectors are taken as given.

With few seeds, var(d_s) is not reliable. With more than two configurations, the larger one of
v_a + v_b and 2 v is therefore used in place of var(d_s). Here, v_a and v_b are the variances over
seeds of the scores of the two configurations, and v is the mean of such variances over all
configurations (`spread_over_seeds`).

If a setting does not change the result of training, as with the number of threads, several
configurations have equal runs: the same scores, and the same answers to all items. They count as
one configuration, both in the mean v and its degrees of freedom, and in the number of
configurations that are compared.

The test is corrected for comparing all pairs of configurations at once. Critical values are those
of the studentized range (Tukey's test), or of Student's t for two configurations. The degrees of
freedom are Satterthwaite's. With two configurations or two seeds, Satterthwaite's test would find
too many differences. There are then two critical values, one for the degrees of freedom of
``seeds`` and one for those of ``items``. Their mean is used, weighted by ``seeds`` and ``items``
(Cochran). The README of this folder reports simulations.

Notes
-----
Each q is divided by 1 - q(1/n). Here, q(1/n) is the sum above with 1/n in place of each e_i. It is
the fraction of the n² products e_i e_j that q adds up.

The sum is too small because the contributions of the n items sum to 0, as if their mean had been
subtracted from each. Let V be the variance that q should estimate. The subtracted mean has the
variance V / n², so each product e_i e_j is smaller by about V / n² on average. There are n² q(1/n)
products in the sum. Its expected value is therefore about V - q(1/n) V = (1 - q(1/n)) V. For the
u (u - 1) analogy questions that can be made of u word pairs, the factor is
(u - 2) (u - 3) / (u (u - 1)), and the corrected estimate has no bias.

References
----------
Obuchowski, Rockette (1995), Hypothesis testing of diagnostic accuracy for multiple readers and
multiple tests. Satterthwaite (1946), An approximate distribution of estimates of variance
components. Cochran (1964), Approximate significance levels of the Behrens-Fisher test. Tukey
(1953), The problem of multiple comparisons.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.evaluate.influence import Benchmark, Scores
from w2v.evaluate.statistics import studentized_range_sf

Verdict = Literal[
    "better", "worse", "no difference shown", "one seed", "too few pairs", "undefined", "no spread"
]

LEVEL = 0.05
"""The significance level: the probability of any false positive in a table of comparisons."""

POWER = 0.8
"""The statistical power for which `Difference.detectable` is computed."""

MIN_PAIRS = 10
"""The smallest number of different word pairs, and of questions of an analogy benchmark, on which
configurations are compared (`Benchmark.units`)."""

MAX_SHARE = 0.4
"""Configurations are compared only if at most this fraction of combinations of items is dependent.

A combination (i, j) of two of the n items is dependent if they have a word pair in common. Of the
n² combinations, the fraction that is dependent is q(1/n) in the module's docstring. It is 0.38 for
all analogy questions that ten word pairs give, and larger with fewer word pairs. It is 1 if one
word pair is in all questions; then nothing is known of the variance of the score.
"""

ROUNDING = 1e-12
"""The relative size of rounding errors. In `spread_over_seeds`, what is left of a score after the
mean effects of its configuration and of its seed are removed counts as 0 if it is below this
fraction of the largest absolute score. The standard error of a difference between configurations
counts as 0 if it is at most this fraction of the difference."""

MAX_SEEDS = 1000
"""The largest possible value of `Difference.seeds_needed`."""


class Noise(NamedTuple):
    """The variance of the difference between two mean scores, split by cause: seeds and items.

    Attributes
    ----------
    seeds, seeds_freedom
        The estimated variance due to the choice of seeds, and the degrees of freedom of the
        estimate.
    items, items_freedom
        The same for the choice of items (word pairs or questions). A score without items, such as a
        loss, has the variance 0 with 1 degree of freedom here.
    careful
        Whether to use Cochran's critical value, which is more cautious than Satterthwaite's. True
        if the comparison is of two configurations only, or if the two have only two seeds in
        common.
    """

    seeds: float
    seeds_freedom: float
    items: float
    items_freedom: float
    careful: bool = True

    @property
    def error(self) -> float:
        """The standard error of the difference between two mean scores, due to seeds and items."""
        return math.sqrt(self.seeds + self.items)

    def critical(self, family: "Family") -> float:
        """Return how many standard errors a difference must exceed to be significant.

        The result is a critical value for `family`, the comparisons that are corrected together. A
        critical value depends on the degrees of freedom of the estimated variance of the
        difference. This variance is the sum of two variances: one is due to seeds (`seeds`), the
        other to benchmark items, which are word pairs or questions (`items`).

        If the attribute `careful` is true, a critical value is computed for each of the two
        variances, from its own degrees of freedom. The result is the mean of the two critical
        values, weighted by the variances (Cochran). If `careful` is false, the result is the
        critical value for the degrees of freedom of the sum (Satterthwaite). If the sum is 0, the
        result is 0.
        """
        if not self.error:
            return 0.0
        weights = self.seeds, self.items
        freedoms = self.seeds_freedom, self.items_freedom
        if not self.careful:
            parts = sum(weight**2 / one for weight, one in zip(weights, freedoms, strict=True))
            return family.critical(min(sum(weights) ** 2 / parts, MAX_FREEDOM))
        found = [family.critical(freedom) for freedom in freedoms]
        return float(np.average(found, weights=weights))

    def with_seeds(self, seeds: int, wanted: int) -> "Noise":
        """Return the variance of the difference between two mean scores for `wanted` seeds.

        The result is a `Noise`: the variance, split by cause. The variance due to seeds falls with
        their number. The variance due to benchmark items (word pairs or questions) stays. `seeds`
        is the number of seeds of each configuration, at least 2, from which this object was
        estimated.
        """
        freedom = self.seeds_freedom * (wanted - 1) / (seeds - 1)
        return self._replace(seeds=self.seeds * seeds / wanted, seeds_freedom=freedom)


@dataclass(frozen=True)
class Difference:
    """The difference between two configurations in one score, with its significance.

    Attributes
    ----------
    a, b
        The indices of the two configurations.
    difference
        The mean score of `a` minus that of `b`, over the seeds that both have; NaN if it is
        undefined. For a benchmark that skips unknown words, only items are used whose words are
        known to all runs of both configurations with these seeds.
    verdict
        ``better`` or ``worse`` if `a` differs significantly from `b`, or else ``no difference
        shown``. If the two cannot be compared, the verdict is the reason:

        - ``one seed``: the two have fewer than two seeds in common;
        - ``too few pairs``: there are two possible reasons. (1) The items contain fewer than
          `MIN_PAIRS` different word pairs; or, in an analogy benchmark, there are fewer than
          `MIN_PAIRS` questions. (2) Items i and j depend on each other in more than the fraction
          `MAX_SHARE` of the n² combinations (i, j) of the n items, too many to estimate the
          variance. Two items depend on each other if they are the same word pair, or are questions
          with a word pair in common;
        - ``undefined``: the score of a run is NaN, such as the loss of a training that diverged;
        - ``no spread``: the scores differ, but the estimated variance of the difference is 0, so
          that its true variance is unknown. One case: the vectors were given, not trained
          (`Comparison.fixed`), and the score has no items, as a loss. Then nothing varies.
    low, high
        The confidence interval of the difference. It is so wide that the intervals of all compared
        differences hold at once with a probability of 95 %. It excludes 0 if the verdict is
        ``better`` or ``worse``. These and all later attributes, except `seeds` and `items`, are
        None if the two cannot be compared.
    alone_low, alone_high
        The 95 % confidence interval for this difference alone, which is valid if no other
        comparison was planned.
    p
        The p-value, corrected for the number of comparisons; below 0.05 exactly if the verdict is
        ``better`` or ``worse``.
    seeds, items
        The number of seeds that both have, and the number of pairs or questions that were used.
        `items` is None for a score without items, or if no seed is in common.
    detectable
        The smallest true difference that is significant with probability 0.8, given this number of
        seeds; None if the estimated variance is 0, as when `a` and `b` have equal runs.
    size
        The difference for which `seeds_needed` is computed: `Comparison.size`, or, if
        `Comparison.size` is None or 0, the absolute value of `difference`.
    seeds_needed
        The number of seeds with which a true difference of this size is significant with
        probability 0.8. It is None if `MAX_SEEDS` seeds are not enough, or if the vectors were
        given, not trained (`Comparison.fixed`), because other seeds would then change nothing.
    """

    a: int
    b: int
    difference: float
    verdict: Verdict
    low: float | None = None
    high: float | None = None
    alone_low: float | None = None
    alone_high: float | None = None
    p: float | None = None
    seeds: int = 0
    items: int | None = None
    detectable: float | None = None
    size: float | None = None
    seeds_needed: int | None = None


@dataclass(frozen=True)
class Family:
    """A family of comparisons: those of all pairs of some configurations by one score.

    There may be other families, for other scores or other configurations.

    Attributes
    ----------
    settings
        The number of configurations that are compared with each other.
    level
        The accepted probability of any false positive in this family. It determines the critical
        values.
    whole
        The accepted probability of any false positive in all families together; equal to `level` if
        there is only one family. p-values are corrected for all families together: a difference
        that is exactly at the critical value of this family gets the p-value `whole`.
    """

    settings: int
    level: float = LEVEL
    whole: float = LEVEL

    def critical(self, freedom: float) -> float:
        """Return how many standard errors a difference must exceed to be significant at `level`.

        `freedom` is the degrees of freedom of the estimate of the standard error.
        """
        if self.settings == 2:
            from scipy.special import stdtrit

            return -float(stdtrit(freedom, self.level / 2))
        return math.exp(_critical_values(self.settings, self.level)(1 / freedom)) / math.sqrt(2)

    def p_value(self, ratio: float, critical: float, shown: bool) -> float:
        """Return the p-value of a difference, corrected for all comparisons by all scores.

        This object is the family of the difference: the comparisons of all pairs of some
        configurations by one score. Other families use other scores or other configurations. The
        p-value is found from the test's critical value, so that both lead to the same verdict.
        The degrees of freedom are not passed, because the critical value may be a mean of two
        critical values, each with its own degrees of freedom (`Noise.critical`). The steps are:

        1. Find the degrees of freedom with which the method `critical` of this class returns the
           argument `critical`.
        2. Compute the p-value of `ratio`, corrected for the comparisons of this family only, with
           these degrees of freedom. The distribution is that of the studentized range or, for two
           configurations, Student's t.
        3. Correct the p-value for the other families (Sidak). A difference at the critical value
           gets the p-value `whole`, an attribute: the accepted probability of any false positive in
           all families together.
        4. Critical values are interpolated, so the p-value has a small error. If `shown` is true
           but the p-value is not below `whole`, replace it by the largest float below `whole`. If
           `shown` is false but the p-value is below `whole`, replace it by `whole`.

        Parameters
        ----------
        ratio
            The absolute value of the difference, in standard errors.
        critical
            The value that `ratio` must exceed to be significant. It must not be larger than the
            critical value for one degree of freedom.
        shown
            Whether the difference is significant: whether `ratio` exceeds `critical`.
        """
        low, high = 1.0, MAX_FREEDOM
        while high / low > 1 + 1e-9:
            middle = math.sqrt(low * high)
            low, high = (middle, high) if self.critical(middle) > critical else (low, middle)
        if self.settings == 2:
            from scipy.special import stdtr

            p = 2 * float(stdtr(high, -ratio))
        else:
            q = np.array([ratio * math.sqrt(2)])
            p = float(studentized_range_sf(q, self.settings, high)[0])
        # Sidak's correction: p equals `whole` where it equals `level` before.
        power = math.log1p(-self.whole) / math.log1p(-self.level)
        p = min(1.0, -math.expm1(power * math.log1p(-p))) if p < 1 else 1.0
        return min(p, math.nextafter(self.whole, 0)) if shown else max(p, self.whole)


ALONE = Family(2)
"""The family of one planned comparison of two configurations, for intervals without correction."""

MAX_FREEDOM = 1e5
"""Larger degrees of freedom are replaced by this number, which does not change printed digits."""


@cache
def _critical_values(settings: int, level: float) -> "np.polynomial.Chebyshev":
    """Return a polynomial from which critical values of the studentized range are computed.

    The polynomial is a function of 1 / freedom, where freedom is the number of degrees of freedom.
    Its value is the logarithm of the critical value, with an error of at most about 1e-3. It
    interpolates between ten values that are computed from `studentized_range_sf`.

    Parameters
    ----------
    settings
        The number of configurations that are compared with each other.
    level
        The probability with which a range exceeds the critical value by chance.
    """
    from scipy.optimize import brentq

    def exceeds(log_q: float, freedom: float) -> float:
        return float(studentized_range_sf(np.exp([log_q]), settings, freedom)[0]) - level

    def log_q(inverse: NDArray[np.float64]) -> NDArray[np.float64]:
        freedoms = np.minimum(1 / inverse, MAX_FREEDOM).tolist()
        found = [brentq(exceeds, 0, 12, (one,), xtol=1e-4, rtol=1e-4) for one in freedoms]
        return np.array(found)

    return np.polynomial.Chebyshev.interpolate(log_q, 9, domain=[0, 1])


def levels(objective: int, others: int) -> list[float]:
    """Divide the significance level `LEVEL` among several families of comparisons (Sidak).

    A family (`Family`) compares a group of configurations by one score. One of the scores is the
    objective, which was chosen before there were results. The level of a family is
    1 - (1 - LEVEL)^s. If n families compare by the objective, s is 1/(2n) for each of them; if m
    compare by other scores, s is 1/(2m) for each of those. If there are families of only one kind,
    s is 1/n or 1/m. The exponents s sum to 1, so the probability of any false positive in all
    families is `LEVEL` if the families are independent.

    Parameters
    ----------
    objective
        The number of families that compare by the objective; usually 1.
    others
        The number of families that compare by other scores.

    Returns
    -------
    list of float
        The level of each family, those by the objective first.
    """
    shares = [1 / objective for _ in range(objective)] + [1 / others for _ in range(others)]
    if objective and others:
        shares = [share / 2 for share in shares]
    return [float(-np.expm1(share * math.log1p(-LEVEL))) for share in shares]


def spread_over_seeds(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
    """Estimate how much the scores of each configuration vary over seeds.

    A seed may raise the scores of all configurations alike. Such effects are removed first.

    Parameters
    ----------
    values : (settings, seeds)
        The score of each configuration and seed; NaN where a run is missing. Infinite scores are
        left out, too.

    Returns
    -------
    variances : (settings,)
        The variance of each configuration; NaN if it has fewer than two seeds, or if no other
        configuration has a run.
    mean : float
        The variance pooled over all configurations; NaN if `freedom` is 0.
    freedom : float
        The degrees of freedom of `mean`: (settings - 1) (seeds - 1) if no run is missing. It is
        above 0 if two configurations have two seeds in common.
    """
    from scipy.sparse.csgraph import connected_components

    known = np.isfinite(values)
    rest = np.where(known, values, 0.0)
    count_s, count_c = known.sum(0).clip(1), known.sum(1).clip(1)
    # Remove the means of settings and of seeds; one turn is exact if no run is missing.
    for _ in range(1 if known.all() else 100):
        rest = np.where(known, rest - (rest.sum(1) / count_c)[:, None], 0.0)
        rest = np.where(known, rest - rest.sum(0) / count_s, 0.0)
    rest[np.abs(rest) < ROUNDING * np.abs(np.where(known, values, 0.0)).max(initial=0.0)] = 0.0
    squares = (rest**2).sum(1)
    # Each mean takes one degree of freedom, except one mean in each connected part of the table.
    links = np.zeros((sum(values.shape),) * 2, bool)
    links[: len(values), len(values) :] = known
    parts, _ = connected_components(links, directed=False)
    freedom = float(known.sum() - len(links) + parts)
    own, settings = known.sum(1) - 1.0, known.any(1).sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (settings - 1) / settings
        variances = np.where(own > 0, squares / (own * share), np.nan)
        mean = float(squares.sum() / freedom) if freedom > 0 else math.nan
    return variances, mean, freedom


Runs = Sequence[Mapping[str, NDArray[Any]]]
"""For each configuration, a mapping from the seed of a run to its answers, an array (n,).

The answers to the n items of a benchmark are cosines or ranks (`w2v.evaluate.answers`).
"""


@dataclass(frozen=True)
class Comparison:
    """A comparison of several configurations by one score.

    Attributes
    ----------
    values
        For each configuration, the scores of its runs, by seed.
    family
        A `Family`: the number of these configurations, and the significance level for the
        comparisons of all their pairs, which are corrected together for multiple testing. If two
        configurations have equal runs, both are counted here; the significance tests count them
        once (property `distinct`).
    benchmark, answers
        The items (word pairs or questions) that the score is computed from, and the answers of each
        configuration's runs to them. For a score without items, such as a loss, `benchmark` is
        None, and only the seeds are treated as a random sample.
    larger_is_better
        Whether a larger score is better.
    size
        The difference for which `Difference.seeds_needed` is computed; None: the observed
        difference.
    fixed
        Whether the vectors of each configuration are given, such as downloaded ones, and not
        trained with several seeds. Only the items are then treated as a random sample. Only one run
        of each configuration is used, because others, with other seeds, would be the same.
    """

    values: Sequence[Mapping[str, float]]
    family: Family
    benchmark: Benchmark | None = None
    answers: Runs = ()
    larger_is_better: bool = True
    size: float | None = None
    fixed: bool = False

    def differences(self, pairs: Sequence[tuple[int, int]]) -> list[Difference]:
        """Return the result of `difference` for each pair (a, b) of indices of configurations."""
        return [self.difference(a, b) for a, b in pairs]

    def difference(self, a: int, b: int) -> Difference:
        """Return the mean score of configuration `a` minus that of `b`, and how significant it is.

        `a` and `b` are indices of configurations. Only the seeds that both have are used.
        """
        family = self.distinct
        runs = self.values if self.benchmark is None else self.answers
        seeds = [seed for seed in runs[a] if seed in runs[b]]
        seeds = seeds[:1] if self.fixed else seeds
        found, noise, items, few = self._noise(a, b, seeds)
        if few:
            return Difference(a, b, found, "too few pairs", seeds=len(seeds), items=items)
        if seeds and not math.isfinite(found):
            return Difference(a, b, found, "undefined", seeds=len(seeds), items=items)
        if noise is None:
            return Difference(a, b, found, "one seed", seeds=len(seeds), items=items)
        if found and noise.error <= ROUNDING * abs(found):
            return Difference(a, b, found, "no spread", seeds=len(seeds), items=items)
        critical, error = noise.critical(family), noise.error
        alone = noise.critical(ALONE) * error
        shown = abs(found) > critical * error
        p = family.p_value(abs(found) / error, critical, shown) if error else 1.0
        verdict: Verdict = "no difference shown"
        if shown:
            verdict = "better" if (found > 0) == self.larger_is_better else "worse"
        size = self.size or abs(found)
        return Difference(
            a,
            b,
            found,
            verdict,
            found - critical * error,
            found + critical * error,
            found - alone,
            found + alone,
            p,
            len(seeds),
            items,
            _shown(family, noise) if error else None,
            size,
            None if self.fixed else self._seeds_needed(noise, len(seeds), size),
        )

    def _noise(
        self, a: int, b: int, seeds: Sequence[str]
    ) -> tuple[float, Noise | None, int | None, bool]:
        """Compute the difference between two configurations, and how precise it is.

        If the attribute `benchmark` is not None, the score has items, which are word pairs or
        analogy questions. Else, as for a loss, it has no items.

        Parameters
        ----------
        a, b
            The indices of the configurations.
        seeds
            The seeds that both configurations have.

        Returns
        -------
        difference : float
            The mean score of `a` minus that of `b`; NaN without seeds or if a score is NaN.
        noise : Noise or None
            The variance of the difference; None if it cannot be estimated. The estimate requires

            - at least two seeds; but one is enough if the attribute `fixed` is true (the vectors
              were given, not trained), because only the items are then a sample;
            - for a score with items, also that `difference` is finite and that the items are not
              too few (see `few` below).

            If `fixed` is true and the score has no items, the estimate is 0, because nothing is
            left that varies.
        items : int or None
            The number of items that were used. If the benchmark skips unknown words, an item is
            used if its words are known to the runs of both configurations with every one of
            `seeds`. If the score is a mean over several sets of items, the items of sets that the
            mean leaves out are not used. None without seeds, or for a score without items.
        few : bool
            Whether the n items that were used are too few to estimate the variance. This is so in
            two cases:

            - The items are fewer than `MIN_PAIRS` word pairs or questions, or they are questions
              that are made from fewer different word pairs (`Benchmark.units`).
            - Items i and j depend on each other in more than the fraction `MAX_SHARE` of the n²
              combinations (i, j). Two items depend on each other if they are the same word pair, or
              questions with a word pair in common.

            False for a score without items, or if `items` is None.
        """
        careful = self.distinct.settings == 2 or len(seeds) == 2
        if self.benchmark is None:
            gaps = np.array([self.values[a][seed] - self.values[b][seed] for seed in seeds])
            given = self.fixed and len(gaps) > 0
            within, freedom = (0.0, 1.0) if given else self._over_seeds(a, b, gaps)
            found = float(gaps.mean()) if len(gaps) else math.nan
            return (
                found,
                None if within is None else Noise(within, freedom, 0.0, 1.0, careful),
                None,
                False,
            )
        rows = [np.stack([self.answers[one][seed] for seed in seeds]) for one in (a, b) if seeds]
        if not rows:
            return math.nan, None, None, False
        used = self.benchmark.scored(np.all(self.benchmark.known(np.concatenate(rows)), axis=0))
        first, second = (
            self._scores(one, seeds, row, used) for one, row in zip((a, b), rows, strict=True)
        )
        gaps, parts = first.values - second.values, first.parts - second.parts
        units, items = self.benchmark.units(used), int(used.sum())
        found = float(gaps.mean())
        within, freedom = (0.0, 1.0) if self.fixed else self._over_seeds(a, b, gaps)
        if units < MIN_PAIRS:
            return found, None, items, True
        lost = self.benchmark.variances((used / items)[None])[:, 0]
        few = bool(lost.max() > MAX_SHARE)
        if within is None or few or not math.isfinite(found):
            return found, None, items, few
        mean = parts.mean(0)
        estimates = self.benchmark.variances(mean[None])[:, 0]
        if len(gaps) > 1:
            noise = self.benchmark.variances(parts - mean).sum(1) / (len(gaps) - 1) / len(gaps)
            estimates = estimates - np.minimum(noise, within * (1 - lost))
        over_items = max(0.0, float((estimates / (1 - lost)).max()))
        return found, Noise(within, freedom, over_items, units - 1, careful), items, False

    @cached_property
    def _known(self) -> dict[tuple[int, bytes, tuple[str, ...]], Scores]:
        return {}

    def _scores(
        self, one: int, seeds: Sequence[str], answers: NDArray[Any], used: NDArray[np.bool_]
    ) -> Scores:
        """Return the scores of a configuration's runs on the used items, cached for later calls.

        Parameters
        ----------
        one
            The index of the configuration.
        seeds
            The seeds of its runs.
        answers : (seeds, n)
            The answers of these runs to the n items: the cosine of each word pair, or the rank of
            the correct answer to each question (`w2v.evaluate.answers`).
        used
            Which items are used, bool (n,).
        """
        assert self.benchmark is not None
        key = one, used.tobytes(), tuple(seeds)
        if key not in self._known:
            if len(self._known) >= MAX_KEPT:
                self._known.clear()
            self._known[key] = self.benchmark.scores(answers, used)
        return self._known[key]

    @cached_property
    def _results(self) -> list[dict[str, tuple[str, bytes]]]:
        """For each configuration, a dict from seeds to values by which equal runs are recognized.

        The value for a seed is a pair: the score of the run as text, and a hash of the run's
        answers to the benchmark items. Two configurations have equal runs with a seed if their
        values for this seed are equal.
        """
        given = self.answers or [{}] * len(self.values)
        return [
            {
                seed: (repr(float(value)), _digest(answers.get(seed)))
                for seed, value in values.items()
            }
            for values, answers in zip(self.values, given, strict=True)
        ]

    @cached_property
    def distinct(self) -> Family:
        """A copy of `family` in which configurations with equal runs count as one configuration.

        The family describes the comparisons that are corrected together for multiple testing. Runs
        are equal if they have the same seed, the same score and the same answers to the benchmark
        items. If only one configuration would be left, the result counts two, because there are no
        critical values for one.
        """
        settings = len({frozenset(runs.items()) for runs in self._results})
        return replace(self.family, settings=max(2, settings))

    @cached_property
    def _originals(self) -> list[int]:
        """For each configuration, the index of the one of which it is a copy, or its own index.

        A configuration is a copy of another if each of its runs is equal to a run of the other, in
        seed, score and answers. A setting that does not change the scores makes such copies. A copy
        may have fewer runs than the other, because not all jobs of a sweep finished.
        """
        found = list(range(len(self.values)))
        having: dict[Any, list[int]] = {}  # the originals that have a run
        for index in sorted(found, key=lambda index: -len(self._results[index])):
            runs = self._results[index].items()
            near = having.get(next(iter(runs), None), [])
            found[index] = next((one for one in near if runs <= self._results[one].items()), index)
            if found[index] == index:
                for run in runs:
                    having.setdefault(run, []).append(index)
        return found

    @cached_property
    def _spread(self) -> tuple[dict[int, float], float, float]:
        """How much scores vary over seeds: the result of `spread_over_seeds`, without copies.

        A configuration is a copy if all of its runs are equal to runs of another (`_originals`).
        The three values are the variance of each remaining configuration, by its index; the
        variance pooled over them; and the degrees of freedom of the pooled variance.
        """
        seeds = list(dict.fromkeys(seed for runs in self.values for seed in runs))
        rows = sorted(set(self._originals))
        table = [[self.values[row].get(seed, math.nan) for seed in seeds] for row in rows]
        variances, mean, freedom = spread_over_seeds(np.array(table, np.float64))
        return dict(zip(rows, variances.tolist(), strict=True)), mean, freedom

    def _over_seeds(self, a: int, b: int, gaps: NDArray[np.float64]) -> tuple[float | None, float]:
        """Estimate the variance, over seeds, of the mean difference between two configurations.

        The two configurations are those with the indices `a` and `b`. A configuration is a copy of
        another if each of its runs is equal to a run of the other, in seed, score and answers
        (`_originals`). The other is then used in place of the copy. The estimate is V divided by
        the number of `gaps`. There are three cases:

        - The comparison (`self`) has only two different configurations (`distinct`). V is the
          variance of `gaps`, with one degree of freedom less than there are `gaps`.
        - It has more, and the two are the same one after this replacement. V is 0.
        - It has more, and the two differ. Effects of a seed on all configurations alike are removed
          from the scores first (`spread_over_seeds`). Let v_a and v_b be the variances over seeds
          of the scores of the two configurations, and v the variance pooled over all k
          configurations that are not copies. V is the larger one of v_a + v_b and 2 v. With few
          seeds, v_a + v_b may be far too small by chance; v, from more runs, guards against that.
          If the two vary more than other configurations, 2 v would be too small.

        In the third case, let f be the degrees of freedom of v, which `spread_over_seeds` returns.
        They are also those of 2 v. Let n_a and n_b be the numbers of seeds of the two
        configurations. The degrees of freedom of v_a + v_b are

            min(f, max(n_min, g (k - 1) / k)),   n_min = min(n_a, n_b) - 1,
            g = (v_a + v_b)² / (v_a² / (n_a - 1) + v_b² / (n_b - 1)).

        Here, g is Satterthwaite's value. The factor (k - 1) / k is there because the removed
        effects make v_a and v_b depend on each other. The lower bound n_min is the smaller one of
        the degrees of freedom of v_a and of v_b.

        Parameters
        ----------
        a, b
            The indices of the configurations.
        gaps
            The difference of their scores for each seed that both have.

        Returns
        -------
        variance : float or None
            The variance of the mean of `gaps`; None for fewer than two seeds.
        freedom : float
            The degrees of freedom of `variance`, at least 1. If `variance` is None or 0, this is 1
            and has no meaning.
        """
        if len(gaps) < 2:
            return None, 1.0
        if self.distinct.settings == 2:
            return float(gaps.var(ddof=1)) / len(gaps), len(gaps) - 1
        a, b = self._originals[a], self._originals[b]
        if a == b:
            return 0.0, 1.0
        variances, mean, freedom = self._spread
        own, typical = variances[a] + variances[b], 2 * mean
        if not own > typical:
            return typical / len(gaps), freedom
        share = (len(variances) - 1) / len(variances)
        each = [len(self.values[one]) - 1 for one in (a, b)]
        squares = sum(variances[one] ** 2 / n for one, n in zip((a, b), each, strict=True))
        return own / len(gaps), min(freedom, max(min(each), own**2 / squares * share))

    def _seeds_needed(self, noise: Noise, seeds: int, size: float) -> int | None:
        """Return how many seeds, at least two, would show a true difference of `size`.

        With so many seeds, the difference is significant with probability `POWER`. `noise` was
        estimated from `seeds` seeds. The result is None if `MAX_SEEDS` seeds are not enough.
        """
        if _shown(self.distinct, noise.with_seeds(seeds, MAX_SEEDS)) > size:
            return None
        low, high = 1, MAX_SEEDS
        while high - low > 1:
            middle = (low + high) // 2
            if _shown(self.distinct, noise.with_seeds(seeds, middle)) > size:
                low = middle
            else:
                high = middle
        return high


MAX_KEPT = 64
"""The most results of `Comparison._scores` that are cached."""


def _digest(answers: NDArray[Any] | None) -> bytes:
    """Return a hash of a run's answers to the items of a benchmark, to recognize equal runs.

    `answers` has the cosine of each word pair, or the rank of the correct answer to each question.
    If it is None, the hash is empty.
    """
    return b"" if answers is None else hashlib.sha256(answers.tobytes()).digest()


def _shown(family: Family, noise: Noise) -> float:
    """Return the smallest true difference between two mean scores that a test would show.

    If this is the true difference, the observed one is significant with probability `POWER`.

    Parameters
    ----------
    family
        The comparisons that are corrected together for multiple testing.
    noise
        The variance of the observed difference. If it is 0, the result is 0.
    """
    from scipy.special import stdtrit

    if not noise.error:
        return 0.0
    # The 80 % quantiles of t, for seeds and for items, are averaged like the critical values.
    freedoms = noise.seeds_freedom, noise.items_freedom
    weights = noise.seeds, noise.items
    power = float(np.average(stdtrit(freedoms, POWER), weights=weights))
    return (noise.critical(family) + power) * noise.error
