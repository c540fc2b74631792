"""Save and load the answers of runs to benchmark items, so that configurations can be compared.

An item is a word pair or an analogy question. A run's answer to a word pair is the cosine of the
vectors of the two words, NaN if one has no vector. Its answer to a question is saved as the rank
of the right word, an integer as defined by `w2v.evaluate.answer_ranks`.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.evaluate.influence import AnalogyBenchmark, Benchmark, SimilarityBenchmark
from w2v.files import written_aside

ANSWERS = "answers.npz"
"""The name of the file of a run's answers, in the folder of its evaluation."""

ITEMS = "items-"
"""The beginning of the name of each file with the items of a benchmark."""


class Answers(NamedTuple):
    """A benchmark and the answers of one run to its n items.

    Attributes
    ----------
    benchmark
        The word pairs or analogy questions.
    given : (n,)
        The run's cosine for each pair, NaN if a word has no vector; or the rank that the run gives
        to the right word for each question, from `w2v.evaluate.answer_ranks`.
    """

    benchmark: SimilarityBenchmark | AnalogyBenchmark
    given: NDArray[Any]


class Given(NamedTuple):
    """The answers of one run to the n items of a benchmark, which is identified by a hash.

    Attributes
    ----------
    digest
        The SHA-256 of the benchmark's items and of how it treats unknown words.
    given : (n,)
        The run's cosine for each pair, NaN if a word has no vector; or the rank that the run gives
        to the right word for each question, from `w2v.evaluate.answer_ranks`.
    """

    digest: str
    given: NDArray[Any]


def save_answers(path: Path, answers: Mapping[str, Answers]) -> None:
    """Save what one run answered to the items of several benchmarks, as a compressed NumPy file.

    For a word pair, the cosine of the two word vectors is saved; for an analogy question, the rank
    of the right word. The items of each benchmark are saved in a separate file in the same folder
    (`items_file`), unless this file exists already.

    Parameters
    ----------
    path
        The file for the answers.
    answers
        The answers by the name of the score, such as ``similarity/wordsim353/spearman``.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name, (benchmark, given) in answers.items():
        asked = {key: value for key, value in vars(benchmark).items() if key in ASKED}
        digest = hashlib.sha256()
        for key, value in asked.items():
            digest.update(key.encode() + np.asarray(value).tobytes())
        if "pairs" in asked:  # consecutive questions have consecutive pairs: steps compress well
            asked["pairs"] = np.diff(asked["pairs"], axis=0, prepend=0).T.astype(np.int32)
        items = items_file(path, digest.hexdigest())
        if not items.exists():
            _save(items, asked)
        small = given.astype(np.int8 if given.dtype.kind == "i" else np.float32)
        arrays |= {f"{name}:given": small, f"{name}:digest": np.array(digest.hexdigest())}
    _save(path, arrays)


def items_file(path: Path, digest: str) -> Path:
    """Return the path of the file with a benchmark's items, in the same folder as the answers.

    Parameters
    ----------
    path
        The file of a run's answers.
    digest
        The hash of the benchmark (`Given.digest`).
    """
    return path.with_name(f"{ITEMS}{digest[:16]}.npz")


def _save(path: Path, arrays: Mapping[str, Any]) -> None:
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **arrays)


ASKED = ("people", "words", "pairs", "oov", "content")
"""The attributes of `SimilarityBenchmark` and `AnalogyBenchmark` that `save_answers` saves."""


def load_answers(path: Path, benchmarks: dict[str, Benchmark]) -> dict[str, Given]:
    """Load the answers of one run from a file that `save_answers` wrote.

    Parameters
    ----------
    path
        The file.
    benchmarks
        Benchmarks by their hash (`Given.digest`). If a benchmark of the answers is missing here, it
        is loaded from the file of its items, which `save_answers` wrote into the folder of `path`,
        and added to this dict.

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
                benchmarks[digest] = _load_items(items_file(path, digest))
            given = file[f"{name}:given"]
            if given.dtype.kind == "f":
                given = given.astype(np.float64)
            found[name] = Given(digest, given)
    return found


def _load_items(path: Path) -> Benchmark:
    with np.load(path, allow_pickle=False) as file:
        oov: Any = str(file["oov"])
        if "people" in file.files:
            return SimilarityBenchmark(file["people"], file["words"], oov)
        pairs = np.cumsum(file["pairs"].T, axis=0, dtype=np.int64)
        return AnalogyBenchmark(pairs, oov, str(file["content"]))
