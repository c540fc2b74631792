"""Compare all configurations of a sweep by the objective and by each benchmark score.

A configuration is a combination of settings without the seed; its runs differ in the seed only. The
objective is the score that was chosen for comparisons before there were results.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.evaluate.analogies import Question, answer_ranks, as_questions
from w2v.evaluate.answers import Given, load_answers
from w2v.evaluate.ensemble import HasVectors, vectors_of
from w2v.evaluate.influence import (
    AnalogyBenchmark,
    Benchmark,
    MeanOfSets,
    SimilarityBenchmark,
    analogy_benchmark,
    similarity_benchmark,
)
from w2v.evaluate.significance import MIN_PAIRS, Comparison, Difference, Family, levels
from w2v.evaluate.similarity import UNKNOWN, Unknown, as_pairs, pair_cosines
from w2v.evaluate.statistics import means_with_equal_seeds, nan_last
from w2v.settings import check_choice, check_positive
from w2v.vectors import WordVectors

MEAN_OF_SETS = "similarity/mean/spearman"

SHOWN = ("better", "worse")
NOT_SHOWN = "no difference shown"
NO_SPREAD = "no spread"

MAX_ALL_PAIRS = 12
"""All pairs of up to this many configurations are compared.

If there are more, each is compared only with one of them, the reference (see `Verdicts`).
"""


@dataclass(frozen=True)
class Setting:
    """A configuration (a combination of settings without the seed) and the results of its runs.

    Attributes
    ----------
    name
        The name shown in tables.
    scores
        The scores of each run by name, for each seed: ``scores[seed][name]``.
    answers
        For each seed, the file with the run's answers to benchmark items, which `save_answers`
        wrote. Seeds without such a file are left out.
    """

    name: str
    scores: Mapping[str, Mapping[str, float]]
    answers: Mapping[str, Path]


@dataclass(frozen=True)
class Judged:
    """The result of comparing configurations by one score.

    Attributes
    ----------
    score
        The name of the score.
    group
        The name of the group within which the score can be compared; "" if there are no groups.
    reference
        The index of the configuration with which all others are compared.
    settings
        The configurations.
    means
        The mean score of each configuration over its seeds.
    differences
        The comparisons, first those with the reference. Their `a` and `b` are indices of
        `settings`.
    larger_is_better
        Whether a larger score is better.
    seeds_alone
        Whether the score is of a benchmark, but only the variation between seeds is known, not that
        between word pairs or questions. The comparisons then hold for these very items only.
    largest
        The largest difference that two scores can have. Confidence intervals are cut to it.
    """

    score: str
    group: str
    reference: int
    settings: list[Setting]
    means: list[float]
    differences: list[Difference]
    larger_is_better: bool = True
    seeds_alone: bool = False
    largest: float = math.inf

    def against(self, name: str) -> Difference | None:
        """Return the comparison of the configuration called `name` with the reference.

        The reference is the configuration with which all others are compared. The result is None if
        `name` names the reference itself, or if no configuration has this name.
        """
        for one in self.differences:
            if one.b == self.reference and self.settings[one.a].name == name:
                return one
        return None

    def shows_nothing(self, one: Difference) -> bool:
        """Return whether a comparison has too few seeds to show any possible difference.

        This is so if ``one.detectable``, the smallest true difference that is likely to be
        significant with this number of seeds, is more than the attribute `largest`, the largest
        difference that two scores can have.
        """
        return one.detectable is not None and one.detectable > self.largest

    def rows(self) -> list[dict[str, Any]]:
        """Return a dict for each comparison, with the columns in `COLUMNS` and the keys a and b.

        ``a`` and ``b`` are the indices of the compared configurations in `settings`.
        """
        return [
            {
                **asdict(one),
                "score": self.score,
                "group": self.group,
                "setting": self.settings[one.a].name,
                "compared_with": self.settings[one.b].name,
                "difference": one.difference if math.isfinite(one.difference) else None,
                "detectable": None if self.shows_nothing(one) else one.detectable,
            }
            for one in self.differences
        ]


COLUMNS = {
    "score": "str",
    "group": "str",  # name of the group within which the score can be compared; "": everywhere
    "setting": "str",
    "compared_with": "str",
    "difference": "float64",  # the mean score of "setting" minus that of "compared_with"
    "low": "float64",  # 95 % interval of the difference, valid for all comparisons at once
    "high": "float64",
    "verdict": "str",  # see `Difference.verdict`
    "p": "float64",  # corrected for the number of comparisons
    "seeds": "int64",  # seeds that both configurations have
    "items": "int64",  # pairs or questions that all runs of both know
    # The true difference that these seeds show in 80 % of repetitions. It is missing if no variance
    # was observed, or if the score cannot have so large a difference.
    "detectable": "float64",
    "size": "float64",  # the observed or a given difference, for which "seeds_needed" is computed
    "seeds_needed": "int64",  # to show "size" in 80 % of repetitions; missing: more than 1,000
    "alone_low": "float64",  # 95 % interval of this difference alone
    "alone_high": "float64",
}
"""The types of the columns of `Judged.rows` (see `w2v.tables`)."""


class Verdicts:
    """Compares the configurations of a sweep by the objective and by benchmark scores.

    Within each group (see `group_of`), every configuration is compared with one of the group, the
    reference; all pairs are compared if it has up to `MAX_ALL_PAIRS` configurations. For the
    objective, the reference is the configuration with the best mean, estimated as if all had runs
    of the same seeds (`means_with_equal_seeds`). For other scores, it is the first that has the
    score.

    Parameters
    ----------
    settings
        The configurations.
    objective
        The score chosen for comparisons before there were results. It gets half of the significance
        level if there are other scores.
    group_of
        A function of a score and a configuration: the name of the group within which the score can
        be compared; "" for everywhere.
    smaller_is_better
        A function of a score's name: whether a smaller value is better.
    size
        A difference in a benchmark score. The comparisons say how many seeds are needed to show
        it. None: the observed difference.
    fixed
        Whether the vectors were given, not trained with several seeds. Then only benchmark items
        are a random sample, and scores without items, such as a loss, are not compared.
    """

    def __init__(
        self,
        settings: Sequence[Setting],
        objective: str,
        *,
        group_of: Callable[[str, Setting], str] = lambda _score, _setting: "",
        smaller_is_better: Callable[[str], bool] = lambda _score: False,
        size: float | None = None,
        fixed: bool = False,
    ) -> None:
        self.settings, self.objective, self.group_of = settings, objective, group_of
        self.smaller_is_better, self.size, self.fixed = smaller_is_better, size, fixed
        self._benchmarks: dict[str, Benchmark] = {}

    @cached_property
    def given(self) -> dict[str, dict[str, dict[str, Given]]]:
        """The answers of all runs to benchmark items, read from the files in `Setting.answers`.

        The keys are the name of the score, the name of the configuration and the seed of the run.
        The answer to a word pair is a cosine; the answer to an analogy question is the rank of the
        correct answer.
        """
        found: dict[str, dict[str, dict[str, Given]]] = {}
        for setting in self.settings:
            for seed, path in setting.answers.items():
                for score, given in load_answers(path, self._benchmarks).items():
                    found.setdefault(score, {}).setdefault(setting.name, {})[seed] = given
        return found

    @cached_property
    def judged(self) -> list[Judged]:
        """The comparisons: one `Judged` for each score and each group of configurations.

        A group has the configurations that have the score and can be compared by it (`group_of`).
        Groups of one configuration are left out. The scores are, in this order:

        - the objective, the score that was chosen for comparisons before there were results;
        - each benchmark score, if a run's answers to the benchmark's items (word pairs or analogy
          questions) were saved;
        - the mean over the similarity benchmarks, if a run has it.
        """
        names = [self.objective, *(n for n in self.given if n != self.objective)]
        mean = any(MEAN_OF_SETS in run for s in self.settings for run in s.scores.values())
        if mean and MEAN_OF_SETS not in names:
            names.append(MEAN_OF_SETS)
        found: list[tuple[str, str, list[Setting]]] = []
        for score in names:
            groups: dict[str, list[Setting]] = {}
            for setting in self.settings:
                if any(score in run for run in setting.scores.values()):
                    groups.setdefault(self.group_of(score, setting), []).append(setting)
            found += [(score, group, some) for group, some in groups.items() if len(some) > 1]
        of_objective = sum(score == self.objective for score, _, _ in found)
        shares = levels(of_objective, len(found) - of_objective)
        return [self._judge(*one, level) for one, level in zip(found, shares, strict=True)]

    def _judge(self, score: str, group: str, settings: list[Setting], level: float) -> Judged:
        values = [
            {seed: run[score] for seed, run in setting.scores.items() if score in run}
            for setting in settings
        ]
        if score == self.objective:
            sign = 1 if self.smaller_is_better(score) else -1
            equal = means_with_equal_seeds(values)
            order = sorted(
                range(len(settings)),
                key=lambda i: (*nan_last(sign * equal[i]), settings[i].name),
            )
            settings, values = [settings[i] for i in order], [values[i] for i in order]
        benchmark, answers = self._asked(score, settings)
        larger_is_better = not self.smaller_is_better(score)
        comparison = Comparison(
            values,
            Family(len(settings), level),
            benchmark,
            answers,
            larger_is_better=larger_is_better,
            size=self.size if "/" in score else None,
            fixed=self.fixed,
        )
        pairs = [(other, 0) for other in range(1, len(settings))]
        if len(settings) <= MAX_ALL_PAIRS:
            pairs += [(a, b) for b in range(1, len(settings)) for a in range(b + 1, len(settings))]
        means = [sum(runs.values()) / len(runs) for runs in values]
        largest = largest_difference(score)
        found = [within(one, largest) for one in comparison.differences(pairs)]
        alone = benchmark is None and "/" in score
        return Judged(score, group, 0, settings, means, found, larger_is_better, alone, largest)

    def _asked(
        self, score: str, settings: Sequence[Setting]
    ) -> tuple[Benchmark | None, list[dict[str, Any]]]:
        """Return the benchmark of a score, and the answers of runs to its items.

        If runs were evaluated on different versions of the benchmark, only the runs on the most
        common version are kept. If no answers were saved, as for a loss, None and an empty list are
        returned.

        Returns
        -------
        benchmark
            The word pairs or analogy questions of the score; for the mean over the similarity
            benchmarks, the pairs of all of them.
        answers
            For each of `settings`, a dict from the seed of a run to the run's answers, an array
            (n,) of cosines or ranks.
        """
        sets = [score]
        if score == MEAN_OF_SETS:
            sets = [
                name
                for name, found in self.given.items()
                if name.startswith("similarity/") and any(one.name in found for one in settings)
            ]
        every = [self.given.get(name, {}) for name in sets]
        digests: dict[tuple[str, ...], int] = {}
        answers: list[dict[str, Any]] = []
        for setting in settings:
            runs = [one.get(setting.name, {}) for one in every]
            seeds = [seed for seed in runs[0] if all(seed in run for run in runs)] if runs else []
            answers.append({})
            for seed in seeds:
                key = tuple(run[seed].digest for run in runs)
                digests[key] = digests.get(key, 0) + 1
                answers[-1][seed] = key, [run[seed].given for run in runs]
        if not digests:
            return None, []
        most = max(digests, key=lambda key: digests[key])
        asked = [self._benchmarks[digest] for digest in most]
        kept = [
            {seed: np.concatenate(found) for seed, (key, found) in runs.items() if key == most}
            for runs in answers
        ]
        if len(asked) == 1:
            return asked[0], kept
        return MeanOfSets([one for one in asked if isinstance(one, SimilarityBenchmark)]), kept


def largest_difference(score: str) -> float:
    """Return the largest difference between two values of a score that is given by its name.

    It is 2 for correlations, 1 for shares such as accuracies, and infinite for other scores.
    """
    if score.endswith(("/spearman", "/pearson")):
        return 2.0
    shares = score.startswith("analogy/") or score.endswith(("/coverage", "/overlap"))
    return 1.0 if shares else math.inf


def within(one: Difference, largest: float) -> Difference:
    """Return a comparison whose confidence intervals do not extend beyond possible differences.

    `largest` is the largest possible difference between two values of the score. Each end of an
    interval that is below -`largest` or above `largest` is replaced by that limit.
    """
    ends = {name: getattr(one, name) for name in ("low", "high", "alone_low", "alone_high")}
    known = {name: end for name, end in ends.items() if end is not None}
    return replace(one, **{name: min(max(end, -largest), largest) for name, end in known.items()})


def sentences(judged: Sequence[Judged]) -> list[str]:
    """Return English texts, one for each comparison of a configuration with the reference.

    Each item of `judged` has the comparisons by one score. Its reference is the configuration with
    which all others are compared (`Judged.reference`). A text begins with the name of the score. It
    then says how much better or worse than the reference the configuration is, that no difference
    is shown, or why nothing can be said. Comparisons without the reference are left out.
    """
    found = []
    for some in judged:
        name = f"{some.score} ({some.group})" if some.group else some.score
        found += [
            f"{name}: {sentence(some, one)}" for one in some.differences if one.b == some.reference
        ]
    return found


def sentence(judged: Judged, one: Difference) -> str:
    """Return one or two English sentences on the comparison of two configurations by a score.

    They say how much better or worse configuration ``one.a`` is than ``one.b``, that no difference
    is shown, or why nothing can be said. The score is not named.

    Parameters
    ----------
    judged
        All comparisons by this score, with the names of the configurations.
    one
        The comparison that the sentences are on, which is one of ``judged.differences``.
    """
    a, b = (judged.settings[index].name or "the default" for index in (one.a, one.b))
    if one.verdict == "one seed":
        seeds = "one seed" if one.seeds else "no seed"
        return f"{a} and {b} have {seeds} in common, so nothing can be said"
    if one.verdict == "undefined":
        return f"the score of {a} or {b} is undefined, so nothing can be said"
    if one.verdict == NO_SPREAD:
        chance = f"how much of the difference between {a} and {b} is chance is unknown"
        return f"{chance}, so nothing can be said"
    if one.verdict == "too few pairs":
        few = f"fewer than {MIN_PAIRS} independent word pairs or questions"
        return f"{a} and {b} have {few} in common, so nothing can be said"
    assert one.low is not None
    assert one.high is not None
    if one.detectable is None and not one.difference:
        return f"no difference shown: all runs of {a} and {b} have the same score"
    digits = digits_of(one.high - one.low)
    alone = "; over seeds alone, for these very pairs or questions" * judged.seeds_alone
    if one.verdict in SHOWN:
        way = "higher" if one.difference > 0 else "lower"
        gap, *ends = (f"{abs(value):.{digits}f}" for value in (one.difference, one.low, one.high))
        least, most = sorted(ends, key=float)
        text = f"{a} is {one.verdict} than {b}: {gap} {way}, at least {least} and at most {most}"
        return text + alone
    low, high = way_of(one.low, digits), way_of(one.high, digits)
    text = f"no difference shown: {a} may be from {low} to {high} than {b}{alone}"
    return f"{text}. {needed(one, digits, judged.largest)}"


def way_of(value: float, digits: int) -> str:
    """Describe a difference in words: -0.0512 with two decimals (`digits`) is ``0.05 lower``."""
    return f"{abs(value):.{digits}f} {'higher' if value > 0 else 'lower'}"


def needed(one: Difference, digits: int, largest: float) -> str:
    """Return a sentence on the smallest difference that the seeds of a comparison can show.

    An example is "3 seeds can show a difference of 0.05; one of 0.02 needs 9 more". Differences are
    rounded to `digits` decimals.

    In the example, 0.05 is ``one.detectable``. If ``one.detectable`` exceeds `largest`, the largest
    possible difference, the sentence begins with "3 seeds can show nothing here".

    In the example, 0.02 is ``one.size``, a given difference or the observed one. If it rounds to 0
    or needs no more seeds, the sentence ends before the semicolon. If ``one.seeds_needed`` is None,
    the sentence ends with "needs more pairs, not more seeds" if ``one.items`` is a number of word
    pairs or analogy questions, and with "needs over 1,000 seeds" if ``one.items`` is None.
    """
    possible = (one.detectable or 0) <= largest
    shown = f"a difference of {one.detectable:.{digits}f}" if possible else "nothing here"
    seen = f"{one.seeds} seed{'s' * (one.seeds > 1)} can show {shown}"
    some = "one" if possible else "a difference"
    size = f"{one.size or 0:.{digits}f}"
    if not float(size) or (one.size or 0) >= (one.detectable or 0):
        return seen
    if one.seeds_needed is None:
        more = "more pairs, not more seeds" if one.items else "over 1,000 seeds"
        return f"{seen}; {some} of {size} needs {more}"
    missing = one.seeds_needed - one.seeds
    return f"{seen}; {some} of {size} needs {missing:,} more" if missing > 0 else seen


def digits_of(width: float) -> int:
    """Return how many decimals, at most 8, show three significant digits of an interval's width.

    The result is 4 if the width is 0.
    """
    return int(np.clip(2 - math.floor(math.log10(width)), 0, 8)) if width > 0 else 4


def compare(
    settings: Mapping[str, Iterable[WordVectors | HasVectors]],
    asked: Sequence[tuple[str, str, float]] | Sequence[Question | tuple[str, str, str, str, str]],
    *,
    name: str = "score",
    oov: Unknown = "skip",
    vocabulary: int = 30_000,
    size: float | None = None,
) -> Judged:
    """Compare configurations by Spearman's correlation on word pairs, or accuracy on analogies.

    Analogies are answered by 3CosAdd. The word pairs or questions are treated as a random sample.
    The seeds are treated as another one, except if every configuration has a single run.

    Parameters
    ----------
    settings
        For the name of each configuration, the vectors or trained models of its runs. The first
        runs of all configurations must have one seed, the second runs another seed, and so on.
    asked
        Word pairs, each a `Pair` or another tuple of two words and a score; or analogy questions,
        each a `Question` or a tuple of a category and four words.
    name
        The name of the score in the result.
    oov
        ``skip`` leaves out items with unknown words; ``zero`` counts them as a cosine of 0 or as a
        wrong answer.
    vocabulary
        Only this many most frequent words may occur in analogy questions and answers.
    size
        A difference. The result says how many seeds are needed to show it. None: the observed
        difference.

    Returns
    -------
    Judged
        Comparisons of all pairs of configurations. The configurations are ordered by mean score,
        the best first. If some have fewer runs than others, these means are estimated as if all had
        runs with the same seeds (`means_with_equal_seeds`).

    Raises
    ------
    InputError
        There are fewer than two configurations, a configuration has no runs, `asked` is empty or a
        path, another argument is not allowed, or a vector that is used contains NaN or an infinity.
    """
    check_choice("oov", oov, UNKNOWN)
    if size is not None:
        check_positive("size", size, or_none=True)
    if not isinstance(settings, Mapping):
        raise InputError(
            f"settings={settings!r:.60}: must be a dict from names to lists of vectors, one for "
            "each run"
        )
    for label, some in settings.items():
        if isinstance(some, WordVectors | str) or not isinstance(some, Iterable):
            raise InputError(f"settings: {label!r:.40} must have a list of the vectors of its runs")
    every = {label: [vectors_of("settings", run) for run in s] for label, s in settings.items()}
    if len(every) < 2 or not all(every.values()):
        raise InputError("settings: must be at least two, each with the vectors of its runs")
    if isinstance(asked, str | Path):
        raise InputError(
            f"asked={str(asked)!r:.60}: must be pairs or questions; load_pairs and load_analogies "
            "read them from a file"
        )
    if isinstance(asked, Mapping) or not isinstance(asked, Iterable):
        raise InputError(f"asked={asked!r:.60}: must be pairs or questions, in a list")
    items: list[Any] = list(asked)
    if not items:
        raise InputError("asked: must be pairs or questions, and there are none")
    benchmark: SimilarityBenchmark | AnalogyBenchmark
    if isinstance(items[0], tuple | list) and len(items[0]) > 3:
        questions = as_questions("asked", items)
        benchmark = analogy_benchmark(questions, oov)

        def answer(vectors: WordVectors) -> NDArray[Any]:
            return answer_ranks(vectors, questions, vocabulary, ("3CosAdd",))["3CosAdd"]

    else:
        pairs = as_pairs("asked", items)
        benchmark = similarity_benchmark(pairs, oov)

        def answer(vectors: WordVectors) -> NDArray[Any]:
            return pair_cosines(vectors, pairs)

    answers: list[dict[str, NDArray[Any]]] = [
        {str(seed): answer(run) for seed, run in enumerate(runs)} for runs in every.values()
    ]
    values = [
        {
            seed: float(benchmark.scores(given[None], benchmark.known(given)).values[0])
            for seed, given in runs.items()
        }
        for runs in answers
    ]
    means = [float(np.mean([*runs.values()])) for runs in values]
    equal = means_with_equal_seeds(values)
    order = sorted(range(len(equal)), key=lambda index: nan_last(-equal[index]))
    names = [*every]
    comparison = Comparison(
        [values[index] for index in order],
        Family(len(order)),
        benchmark,
        [answers[index] for index in order],
        size=size,
        fixed=all(len(runs) == 1 for runs in every.values()),
    )
    pairs_of = [(a, b) for b in range(len(order)) for a in range(b + 1, len(order))]
    made = [
        Setting(names[index], {seed: {name: value} for seed, value in values[index].items()}, {})
        for index in order
    ]
    largest = 1.0 if isinstance(benchmark, AnalogyBenchmark) else 2.0
    found = [within(one, largest) for one in comparison.differences(pairs_of)]
    ordered = [means[index] for index in order]
    return Judged(name, "", 0, made, ordered, found, largest=largest)
