"""Settings of the stage that evaluates vectors: benchmarks, neighbors, maps of words, exports."""

import os
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from w2v.errors import InputError
from w2v.evaluate.metrics import METRICS
from w2v.evaluate.metrics.base import EvaluationSettings
from w2v.evaluate.projection import NAMES
from w2v.hashes import FileHashes, content_sha256
from w2v.limits import at_least, between, some_of
from w2v.settings import setting
from w2v.vectors import Use, find_runs, find_vectors, vector_files
from w2v.vectors.formats import FORMATS

MAX_MAPPED = 20_000
"""The most words on one map: a browser still draws this many smoothly."""


@dataclass(frozen=True)
class Evaluate(EvaluationSettings):
    """Settings of the evaluation: vectors, benchmarks, plots and export formats."""

    vectors: str | None = setting(
        "evaluate these vectors, made by any tool, instead of the run's; with stages=[evaluate]",
        default=None,
    )
    counts: str | None = setting(
        "with vectors that have no counts: a file of words and their counts", default=None
    )
    encoding: str = setting("of the words in a text or binary file of vectors", default="utf-8")
    neighbours: int = setting("neighbours listed for each probe word", at_least(1), 10)
    probes: list[str] | None = setting(
        "words whose neighbours are listed; null: the corpus's own, or chosen from the vocabulary",
        default=None,
    )
    export: list[str] = setting("formats to write the vectors in", some_of(FORMATS), [])
    map: list[str] = setting(
        "methods that place the words of the map; [] for none; umap needs umap-learn",
        some_of(NAMES),
        ["pca"],
    )
    map_words: int = setting(
        "words on map.html, the most frequent ones", between(1, MAX_MAPPED), 3000
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.counts is not None and self.vectors is None:
            self.refuse("counts", "null, or given with evaluate.vectors")
        if "umap" in self.map and find_spec("umap") is None:
            self.refuse(
                "map", "without umap while umap-learn is not installed (pip install umap-learn)"
            )

    def check_paths(self) -> None:
        """Check the paths in the settings `vectors`, `counts` and `compare`.

        Raises
        ------
        InputError
            One of these holds:

            - the file of counts does not exist;
            - the vectors that `vectors` or `compare` names do not exist or cannot be read;
            - `compare` names the folder of a sweep whose runs differ in a setting, other than the
              seed, that changes vectors.
        """
        self.vectors_path()
        self.compared_path()
        # Path.is_file raises an error for long names.
        if self.counts is not None and not os.path.isfile(self.counts):  # noqa: PTH113
            raise InputError(f"counts={self.counts}: no such file of words and counts")

    def vectors_path(self) -> Path | None:
        """Return the path of the vectors that the setting `vectors` names; None if it is not set.

        Raises
        ------
        InputError
            There are no such vectors, or they cannot be read.
        """
        return None if self.vectors is None else self._locate("vectors", self.vectors)

    def compared_path(self) -> Path | None:
        """Return the path of the vectors that the setting `compare` names; None if it is not set.

        If it names the folder of a sweep, the path is that of the vectors of the first run.

        Raises
        ------
        InputError
            There are no such vectors, or they cannot be read. Or `compare` names the folder of a
            sweep whose runs differ in a setting, other than the seed, that changes vectors.
        """
        return None if self.compare is None else self._locate("compare", self.compare)

    def contents(self, hashes: FileHashes | None = None) -> dict[str, Any]:
        """Return hashes of the content of the files that the settings name, by setting.

        The values for ``vectors``, ``compare`` and ``counts`` are None if the setting is None. If
        `compare` names a sweep, only the vectors of its first run are hashed. The value for a
        metric, such as ``similarity``, is a dict of the hashes of its benchmarks by name. `hashes`
        is a cache of the hashes of unchanged files; without it, every file is read.

        Raises
        ------
        InputError
            A file is not there or cannot be read.
        """
        content = partial(content_sha256, hashes=hashes)
        path, other, use = self.vectors_path(), self.compared_path(), cast(Use, self.use)
        return {
            "vectors": content(vector_files(path, use)) if path else None,
            "compare": content(vector_files(other, use)) if other else None,
            "counts": content([Path(self.counts)]) if self.counts else None,
            **{
                metric.section: {
                    name: content([path]) for name, path in metric.benchmarks(self).items()
                }
                for metric in METRICS
            },
        }

    def _locate(self, name: str, path: str) -> Path:
        try:
            found = find_runs(path)[0] if name == "compare" else find_vectors(path)
            vector_files(found, cast(Use, self.use))
        except InputError as error:
            raise InputError(f"{name}={error}") from None
        return found
