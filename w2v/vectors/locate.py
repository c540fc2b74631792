"""Find the files of vectors on disk, given a run of the pipeline, a folder or a file."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w2v.errors import InputError
from w2v.files import local_path
from w2v.vectors.formats import (
    FORMATS,
    NGRAMS,
    OUTSIDE,
    SUBWORDS,
    VECTORS,
    VOCABULARY,
    parquet_parts,
)

SWEEP = "sweep.json"
"""A folder with this file is the folder of a sweep, which is several runs of the pipeline."""

SUMMARY = "summary.json"
"""The file in which a run of the pipeline writes its results and the path of its vectors."""


def find_vectors(path: str | Path) -> Path:
    """Find the word vectors that a path leads to; return a path that `WordVectors.load` accepts.

    Parameters
    ----------
    path
        The folder of a pipeline run or its ``summary.json``; a folder written by
        `WordVectors.save`, or one of the files in it; a folder with a file that
        `WordVectors.export` wrote; a file of word2vec, fastText, GloVe or Parquet; or a folder of
        Parquet files, such as a model of Spark.

    Raises
    ------
    InputError
        There are no vectors at the path, or it cannot be read.
    """
    path = local_path(path)
    try:
        holds_vectors = (path / VECTORS).is_file()
    except OSError as error:  # too long a name, or a folder that may not be entered
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if holds_vectors:
        return path
    if (path / SUMMARY).is_file():
        return find_vectors(path / SUMMARY)
    if (
        path.name in (VECTORS, VOCABULARY, OUTSIDE, SUBWORDS, NGRAMS)
        and (path.parent / VECTORS).is_file()
    ):
        return path.parent
    for format in FORMATS.values():
        if (path / format.name).is_file():
            return path / format.name
    if path.suffix == ".json" and path.is_file():
        return find_vectors(_vectors_of_run(path))
    if path.is_file() or parquet_parts(path):
        return path
    problem = "holds no vectors" if path.exists() else "no such file or folder"
    raise InputError(
        f"{path}: {problem}; give a run's folder or its {SUMMARY}, a folder with {VECTORS} and "
        f"{VOCABULARY}, a file of word2vec (text or binary), fastText (.vec or .bin), GloVe or "
        "Parquet, or a folder of Parquet files"
    )


def find_runs(path: str | Path) -> list[Path]:
    """Return the paths of the vectors of all runs of a sweep over seeds, or of one run.

    Parameters
    ----------
    path
        The folder of a sweep whose runs differ only in the seed and in settings that do not change
        vectors; or any path that `find_vectors` accepts.

    Returns
    -------
    list of Path
        Paths that `WordVectors.load` accepts, one for each training. Runs that differ only in how
        the vectors are evaluated can share a training.

    Raises
    ------
    InputError
        There are no vectors at the path, it cannot be read, or the runs differ in a setting that
        changes vectors, other than the seed.
    """
    folder = local_path(path)
    is_sweep = os.path.isfile(folder / SWEEP)  # noqa: PTH113 (Path.is_file can raise an error)
    found = folder.glob(f"[0-9]*/{SUMMARY}") if is_sweep else ()
    jobs = sorted(found, key=lambda job: (len(job.parts[-2]), job))
    if not jobs:
        return [find_vectors(path)]
    settings: dict[str, set[str]] = {}
    for job in jobs:
        try:
            config = json.loads(job.read_bytes())["config"]
            groups = {key: config[key] for key in ("corpus", "tokenizer", "vocab", "model", "loss")}
            groups |= {
                "engine": without(config["engine"], "threads"),
                "cluster": without(config.get("cluster", {}), "processes", "text"),
                "train": without(config["train"], "checkpoint_every", "checkpoint_words"),
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"{job}: is no summary of a run with vectors") from None
        for key, value in groups.items():
            settings.setdefault(key, set()).add(json.dumps(value, sort_keys=True))
    if differ := [key for key, values in settings.items() if len(values) > 1]:
        raise InputError(
            f"{path}: its jobs differ in more than the seed (in {', '.join(differ)}); name the "
            "folder of one job, or of a sweep over seeds only"
        )
    # Jobs that differ in their evaluation have the vectors of one training.
    return list(dict.fromkeys(find_vectors(job) for job in jobs))


def without(settings: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return a copy of `settings` without the settings that are called `names`.

    `find_runs` uses it to leave out settings that do not change vectors.
    """
    return {name: value for name, value in settings.items() if name not in names}


def _vectors_of_run(summary: Path) -> Path:
    """Return the path of the vectors of a pipeline run, given its ``summary.json``.

    Raises
    ------
    InputError
        The file names no vectors, or the vectors are no longer there.
    """
    try:
        target = Path(json.loads(summary.read_bytes())["files"]["vectors"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{summary}: is no summary of a run with vectors") from None
    # Paths in a summary may be relative to the folder in which the run was started. After the
    # outputs have been moved, the vectors are in cache/train/<key>/ above the summary.
    moved = Path(*target.parts[-4:])
    parents = summary.absolute().parents
    for place in (target, *(parent / path for path in (target, moved) for parent in parents)):
        if os.path.exists(place):  # noqa: PTH110 (Path.exists can raise an error)
            return place
    raise InputError(f"{summary}: the vectors of that run, {target}, are not there any more")


def vector_files(path: Path, use: str = "v") -> list[Path]:
    """Return the files from which `WordVectors.load` makes the word vectors for a path.

    With ``v``, the file of outside vectors is left out: `load` reads it, too, but the word vectors
    do not depend on it.

    Parameters
    ----------
    path
        A path that `find_vectors` has returned.
    use
        ``v``: center vectors; ``v+u``: sums of center and outside vectors.

    Raises
    ------
    InputError
        `use` is ``v+u`` and there are no outside vectors.
    """
    if use == "v+u" and not (path / OUTSIDE).is_file():
        raise InputError(f"{path}: has no {OUTSIDE} beside it, which use=v+u needs; give use=v")
    if path.is_file():
        return [path]
    if not (path / VECTORS).is_file() and (parts := parquet_parts(path)):
        return parts
    subwords = [name for name in (SUBWORDS, NGRAMS) if use == "v" and (path / name).is_file()]
    return [path / name for name in (VECTORS, VOCABULARY, *[OUTSIDE] * (use == "v+u"), *subwords)]
