"""Save and load the answers of runs to benchmark items, so that configurations can be compared.

An item is a word pair or an analogy question.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.evaluate.influence import AnalogyBenchmark, Benchmark, SimilarityBenchmark

ANSWERS = "answers.npz"
"""The name of the file of a run's answers, in the folder of its evaluation."""


class Answers(NamedTuple):
    """A benchmark and the answers of one run to its n items.

    Attributes
    ----------
    benchmark
        The word pairs or analogy questions.
    given : (n,)
        The answers: the cosine of each pair, or the rank of the correct answer to each question.
    """

    benchmark: SimilarityBenchmark | AnalogyBenchmark
    given: NDArray[Any]


class Given(NamedTuple):
    """The answers of one run to the n items of a benchmark, which is identified by its hash.

    Attributes
    ----------
    digest
        The hash of the benchmark's items.
    given : (n,)
        The answers: the cosine of each pair, or the rank of the correct answer to each question.
    """

    digest: str
    given: NDArray[Any]


def save_answers(path: Path, answers: Mapping[str, Answers]) -> None:
    """Save the answers of one run to several benchmarks in a compressed NumPy file.

    Parameters
    ----------
    path
        The file to write.
    answers
        The answers by the name of the score, such as ``similarity/wordsim353/spearman``.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name, (benchmark, given) in answers.items():
        asked = {key: value for key, value in vars(benchmark).items() if key in ASKED}
        digest = hashlib.sha256(str(asked["oov"]).encode())
        for key in ASKED[:-1]:
            if key in asked:
                digest.update(key.encode() + asked[key].tobytes())
        if "pairs" in asked:  # consecutive questions have consecutive pairs: steps compress well
            asked["pairs"] = np.diff(asked["pairs"], axis=0, prepend=0).T.astype(np.int32)
        small = given.astype(np.int8) if given.dtype.kind == "i" else given
        found = {**asked, "given": small, "digest": digest.hexdigest()}
        arrays |= {f"{name}:{key}": np.asarray(value) for key, value in found.items()}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


ASKED = ("people", "words", "pairs", "oov")
"""The fields of benchmarks that `save_answers` saves."""


def load_answers(path: Path, benchmarks: dict[str, Benchmark]) -> dict[str, Given]:
    """Load the answers of one run from the file that `save_answers` wrote.

    Parameters
    ----------
    path
        The file.
    benchmarks
        Benchmarks by their hash. Those in the file are added to it.

    Returns
    -------
    dict
        The answers by the name of the score, such as ``similarity/wordsim353/spearman``.
    """
    found = {}
    with np.load(path, allow_pickle=False) as file:
        for name in {key.rpartition(":")[0]: None for key in file.files}:
            digest = str(file[f"{name}:digest"])
            if digest not in benchmarks:
                oov: Any = str(file[f"{name}:oov"])
                if f"{name}:people" in file.files:
                    asked = file[f"{name}:people"], file[f"{name}:words"]
                    benchmarks[digest] = SimilarityBenchmark(*asked, oov)
                else:
                    pairs = np.cumsum(file[f"{name}:pairs"].T, axis=0, dtype=np.int64)
                    benchmarks[digest] = AnalogyBenchmark(pairs, oov)
            found[name] = Given(digest, file[f"{name}:given"])
    return found
