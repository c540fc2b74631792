"""The settings of the measurements of speed: `Complexity` and `Benchmark`.

`Complexity` is for the training time per pair at several vocabulary sizes and several numbers of
noise words; `Benchmark` is for the speed of several engines on the corpus.
"""

from dataclasses import dataclass

from w2v.engines import ENGINES, can_train, check_objective
from w2v.limits import Limit, at_least, some_of
from w2v.objectives import Objective
from w2v.settings import Settings, setting


@dataclass(frozen=True)
class Measure(Settings):
    """Settings common to all measurements of speed."""

    name: str = setting("the kind of timing", default="")
    repeats: int = setting("how often everything is timed", at_least(1), 3)


def _numbers(least: int) -> Limit:
    return Limit(
        f"three numbers or more, each at least {least}",
        lambda values: len(set(values)) >= 3 and min(values) >= least,
    )


@dataclass(frozen=True)
class Complexity(Measure):
    """Settings for measuring the time per pair at several vocabulary sizes and values of K.

    A pair consists of a center word and an outside word, or, with CBOW, of a predicted word and its
    context. K is the number of noise words per pair.
    """

    over_vocabulary: list[int] = setting(
        "sizes of the vocabulary", _numbers(2), [1000, 2000, 4000, 8000, 16000, 32000, 64000]
    )
    over_negatives: list[int] = setting("values of K", _numbers(1), [1, 2, 5, 8, 16, 32, 64])
    at_vocabulary: int = setting("size of the vocabulary while K changes", default=8000)
    at_negatives: int = setting("K while the vocabulary changes", default=5)
    seconds: float = setting(
        "each timing is repeated until it has taken this long, in seconds", at_least(0), 0.2
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.at_vocabulary not in self.over_vocabulary:
            self.refuse("at_vocabulary", "one of measure.over_vocabulary")
        if self.at_negatives not in self.over_negatives:
            self.refuse("at_negatives", "one of measure.over_negatives")


@dataclass(frozen=True)
class Benchmark(Measure):
    """Settings for comparing the speed of training engines on the corpus."""

    engines: list[str] = setting(
        "the engines", some_of(ENGINES, least=1), ["numba", "numpy", "gensim"]
    )
    threads: list[int] | None = setting(
        "numbers of threads to time with; null: engine.threads",
        Limit("numbers of at least 1", lambda values: bool(values) and min(values) >= 1),
        None,
    )

    def able(self, objective: Objective) -> list[str]:
        """Return which of `self.engines` can train an objective; raise `InputError` if none can."""
        names = [name for name in self.engines if can_train(name, objective)]
        if not names:
            check_objective(self.engines[0], objective)
        return names


MEASURES = {"complexity": Complexity, "benchmark": Benchmark}
"""For the name of each kind of measurement, the class of its settings."""
