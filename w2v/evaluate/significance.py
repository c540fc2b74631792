"""Test whether two configurations differ significantly in a score.

Each configuration is trained with several seeds, and all runs are evaluated on the same items: word
pairs or analogy questions. Seeds and items are both treated as random samples (Obuchowski and
Rockette). The difference of the two scores is averaged over the seeds. The estimated variance of
this mean is the sum of two parts: one due to the choice of seeds, the other due to the choice of
items. The difference is significant if its absolute value exceeds the square root of the sum (the
standard error) times a critical value.

All pairs of configurations are compared, so the critical values are those of the studentized range
(Tukey), or of Student's t for two configurations. The degrees of freedom are Satterthwaite's. With
two configurations or two seeds, these would give too many false positives, so a more cautious
critical value is used (Cochran).

Configurations with identical results, such as two that differ only in the number of threads, count
as one. The README of this folder reports simulations of the test.

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
"""The result of comparing two configurations by a score, or why they cannot be compared.

- ``better``, ``worse``: the first is significantly better or worse than the second.
- ``no difference shown``: the difference is not significant.
- ``one seed``: the two have fewer than two seeds in common. If their vectors were given, not
  trained, one seed in common is enough for a comparison.
- ``too few pairs``: there are too few word pairs or questions (`MIN_PAIRS`), or the same word pair
  occurs in too many of them (`MAX_SHARE`).
- ``undefined``: a score is not a finite number, such as the loss of a training that diverged.
- ``no spread``: the scores differ, but the estimated variance of the difference is 0, so that its
  true variance is unknown.
"""

LEVEL = 0.05
"""The significance level: the probability of any false positive in a table of comparisons."""

POWER = 0.8
"""The statistical power for which `Difference.detectable` is computed."""

MIN_PAIRS = 10
"""The smallest number of different word pairs, and of questions of an analogy benchmark, on which
configurations are compared (`Benchmark.units`)."""

MAX_SHARE = 0.4
"""Configurations are compared only if at most this fraction of combinations of items is dependent.

A combination (i, j) of two of the n items is dependent if they have a word pair in common. If the
items are all analogy questions that ten word pairs give, 0.38 of the n² combinations are dependent;
with fewer word pairs, the fraction is larger. It is 1 if one word pair is in all questions; then
nothing is known of the variance of the score.
"""

ROUNDING = 1e-12
"""The relative size of rounding errors. `spread_over_seeds` subtracts from each score the mean
effects of its configuration and of its seed. A residual is set to 0 if its absolute value is below
this fraction of the largest absolute score. The standard error of a difference between
configurations is taken as 0 if it is at most this fraction of the difference."""

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

        `family` says which comparisons are corrected together. The variance of the difference is
        `seeds` (due to the choice of seeds) plus `items` (due to the choice of benchmark items). If
        the variance is 0, the result is 0.

        If `careful` is false, the result is the critical value for Satterthwaite's degrees of
        freedom of the sum. If `careful` is true, the critical values for the degrees of freedom of
        `seeds` and of `items` are averaged, with the weights `seeds` and `items` (Cochran).
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

    The two are compared over the seeds that both have. If they cannot be compared, `verdict` says
    why, and most other attributes are None.
    """

    a: int
    """The index of the first configuration."""

    b: int
    """The index of the second configuration."""

    difference: float
    """The mean score of `a` minus the mean score of `b`, over the seeds that both have; NaN without
    such seeds, or if a score is NaN. A benchmark that skips unknown words uses only items whose
    words are known to the runs of both configurations with these seeds."""

    verdict: Verdict
    """``better`` or ``worse`` if `a` is significantly better or worse than `b`, otherwise ``no
    difference shown``; or the reason why the two cannot be compared (see `Verdict`)."""

    low: float | None = None
    """The lower end of the confidence interval of the difference. The intervals of all compared
    differences hold at once with a probability of 95 %. The interval excludes 0 if the verdict is
    ``better`` or ``worse``. None if the configurations cannot be compared."""

    high: float | None = None
    """The upper end of the confidence interval whose lower end is `low`; None if `low` is None."""

    alone_low: float | None = None
    """The lower end of the 95 % confidence interval for this difference alone, which is valid if no
    other comparison was planned. None if the configurations cannot be compared."""

    alone_high: float | None = None
    """The upper end of the confidence interval whose lower end is `alone_low`; None if `alone_low`
    is None."""

    p: float | None = None
    """The p-value, corrected for the number of comparisons; below 0.05 exactly if the verdict is
    ``better`` or ``worse``. None if the configurations cannot be compared."""

    seeds: int = 0
    """The number of seeds that were used; both configurations have runs with them."""

    items: int | None = None
    """The number of word pairs or questions that were used; None for a score without items, such as
    a loss, or if the configurations have no seed in common."""

    detectable: float | None = None
    """The smallest true difference between the two configurations that is significant with
    probability 0.8 in a test with `seeds` seeds. None if the configurations cannot be compared,
    or if the estimated variance of the difference is 0, as when they have identical results."""

    size: float | None = None
    """The difference for which `seeds_needed` is computed: `Comparison.size` or, if this is None or
    0, the absolute value of `difference`. None if the configurations cannot be compared."""

    seeds_needed: int | None = None
    """The number of seeds with which a true difference of `size` is significant with probability
    0.8. None if more than `MAX_SEEDS` are needed, if the configurations cannot be compared, or if
    the vectors were given, not trained: other seeds would then change nothing."""


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

        A family is all pairwise comparisons of some configurations by one score. The p-value is
        below `whole`, the significance level of all families together, exactly if `shown` is true.
        The degrees of freedom are not known, because `critical` may be a mean of two critical
        values. They are computed as those for which this family's critical value is `critical`.

        Parameters
        ----------
        ratio
            The absolute value of the difference, in standard errors.
        critical
            The value that `ratio` must exceed to be significant; at most the critical value for one
            degree of freedom.
        shown
            Whether `ratio` exceeds `critical`.
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
        # Sidak's correction for other families: p equals `whole` where it equals `level` before.
        power = math.log1p(-self.whole) / math.log1p(-self.level)
        p = min(1.0, -math.expm1(power * math.log1p(-p))) if p < 1 else 1.0
        # Critical values are interpolated, and their small errors must not contradict `shown`.
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

    A family compares some configurations by one score: the objective, which was chosen before there
    were results, or another score. `objective` and `others` are the numbers of families that
    compare by the objective and by other scores. The result has the level of each family, those for
    the objective first.

    A family has the level 1 - (1 - LEVEL)^s. The exponent s is 1 / (2 `objective`) for the
    objective, and 1 / (2 `others`) for other scores. If all families are of one kind, s is 1
    divided by their number. If the families are independent, the probability of any false positive
    is `LEVEL`.
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
        The score of each configuration and seed. NaN (no run) and infinite scores are left out.

    Returns
    -------
    variances : (settings,)
        The variance of each configuration; NaN if it has fewer than two seeds, or if no other
        configuration has a run.
    mean : float
        The variance pooled over all configurations; NaN if `freedom` is 0.
    freedom : float
        The degrees of freedom of `mean`.
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
    # Without missing runs, (settings - 1) (seeds - 1) are left.
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
        For each configuration, the score of each run, by its seed.
    family
        The `Family` for multiple-testing correction: number of configurations, significance level.
    benchmark, answers
        The items (word pairs or questions) of the score, and the answers of each configuration's
        runs to them. `benchmark` is None for a score without items, such as a loss.
    size
        The difference for which `Difference.seeds_needed` is computed; None: the observed one.
    fixed
        Whether the vectors are given, such as downloaded ones, and not trained with several seeds.
        Then only one run of each configuration is used, and only items are a random sample.
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

        `a` and `b` are the indices of the configurations, and `seeds` are the seeds that both have.

        Returns
        -------
        difference : float
            The mean score of `a` minus the mean score of `b`; NaN without seeds or if a score is
            NaN.
        noise : Noise or None
            The estimated variance of `difference`. None if there are fewer than two seeds. (If
            `fixed` is true, seeds are not a random sample, and one is enough.) For a score with
            items, also None if `few` is true or `difference` is not finite.
        items : int or None
            The number of items (word pairs or questions) used; None without seeds, or for a score
            without items. Items with unknown words may be skipped. A score that is a mean over
            several sets of word pairs leaves out sets with too few usable pairs (`MeanOfSets`).
        few : bool
            Whether fewer than `MIN_PAIRS` items or distinct word pairs are used, or more than the
            fraction `MAX_SHARE` of all combinations of two used items share a word pair.
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
        # The variance q over items is a sum of products e_i e_j, where e_i is the contribution of
        # item i to the difference, and i and j depend on each other. The n contributions sum to 0,
        # as if their mean had been subtracted, whose variance is q / n². This makes each product
        # too small by about q / n². `lost` is the share of the n² products that are in the sum, so
        # q is divided by 1 - lost. For all questions that u word pairs give, this removes the bias.
        lost = self.benchmark.variances((used / items)[None])[:, 0]
        few = bool(lost.max() > MAX_SHARE)
        if within is None or few or not math.isfinite(found):
            return found, None, items, few
        mean = parts.mean(0)
        estimates = self.benchmark.variances(mean[None])[:, 0]
        if len(gaps) > 1:
            # The mean contributions also vary because of the seeds. `noise` estimates the part of
            # q due to seeds. It is in `within`, too, and is subtracted to count once. With few
            # seeds, `within` may happen to be smaller; then only as much is subtracted.
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

        `a` and `b` are the indices of the configurations, and `gaps` has the difference of their
        scores for each seed that both have. If there are no other distinct configurations, the
        variance is estimated from `gaps`. Otherwise, it is estimated from the spread over seeds of
        `a` and `b`, or of all configurations if this is larger, because few `gaps` may vary far too
        little by chance. If `a` and `b` have identical results, the variance is 0.

        Returns
        -------
        variance : float or None
            The variance of the mean of `gaps`; None for fewer than two seeds.
        freedom : float
            The degrees of freedom of `variance`, at least 1; without meaning if `variance` is None
            or 0.
        """
        if len(gaps) < 2:
            return None, 1.0
        if self.distinct.settings == 2:
            return float(gaps.var(ddof=1)) / len(gaps), len(gaps) - 1
        # A configuration whose runs are all equal to runs of another is replaced by the other.
        a, b = self._originals[a], self._originals[b]
        if a == b:
            return 0.0, 1.0
        variances, mean, freedom = self._spread
        # The larger one is used: `own` may be too small by chance, and `typical` is too small if
        # the two configurations vary more than others.
        own, typical = variances[a] + variances[b], 2 * mean
        if not own > typical:
            return typical / len(gaps), freedom
        # Satterthwaite's degrees of freedom times `share`, because removing the effects of seeds
        # makes the two variances depend on each other. They are at least those of the variance
        # with fewer seeds, and at most those of `mean`.
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
