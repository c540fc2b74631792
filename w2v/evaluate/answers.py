"""What runs answered to each pair and question, in a file, so that settings can be compared."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.evaluate.influence import AnalogyBenchmark, Benchmark, SimilarityBenchmark

ANSWERS = "answers.npz"
"""The file of a run, in the folder of its evaluation."""


class Answers(NamedTuple):
    """A benchmark, and the answers of one run to it, (n,); see `Benchmark.scores`."""

    benchmark: SimilarityBenchmark | AnalogyBenchmark
    given: NDArray[Any]


class Given(NamedTuple):
    """The answers of one run to a benchmark that is known by its digest."""

    digest: str
    given: NDArray[Any]


def save_answers(path: Path, answers: Mapping[str, Answers]) -> None:
    """Write the answers of one run to several benchmarks, by the names of the scores."""
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
"""The fields of benchmarks that are written down."""


def load_answers(path: Path, benchmarks: dict[str, Benchmark]) -> dict[str, Given]:
    """Read the answers of one run, by the names of the scores.

    Benchmarks that are not yet in `benchmarks`, by digest, are added to it.
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
