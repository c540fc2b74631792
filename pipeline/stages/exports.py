"""Vectors as files: found wherever they lie, and written for other tools.

pyarrow is imported inside the functions: few runs need it here.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from w2v.errors import InputError
from w2v.files import written_aside
from w2v.vectors import OUTSIDE, VECTORS, VOCABULARY, Use, WordVectors

SUMMARY = "summary.json"

KINDS = (
    f"a run's folder or its {SUMMARY}, a folder with {VECTORS} and {VOCABULARY}, "
    "or a file of word2vec (text or binary), fastText (.vec), GloVe or Parquet"
)


@dataclass(frozen=True)
class Judged:
    """Vectors in files, of this project or of any tool.

    Attributes
    ----------
    path
        A folder as `WordVectors.save` writes it, or a file.
    use
        Which vectors of a folder: see `WordVectors.load`.
    """

    path: Path
    use: Use

    @classmethod
    def find(cls, setting: str, path: str, use: Use) -> "Judged":
        """Find vectors by what a person calls them.

        Raises
        ------
        InputError
            Nothing is there, or none of the kinds that can be read.
        """
        found = _followed(Path(path), f"{setting}={path}")
        if use == "v+u" and not (found / OUTSIDE).is_file():
            raise InputError(
                f"evaluate.use=v+u: {setting}={path} has no {OUTSIDE} beside it; "
                "evaluate.use=v judges the vectors alone"
            )
        return cls(found, use)

    def files(self) -> list[Path]:
        """All that the vectors are read from."""
        if self.path.is_file():
            return [self.path]
        return [
            self.path / name for name in (VECTORS, VOCABULARY, *[OUTSIDE] * (self.use == "v+u"))
        ]

    def open(self) -> WordVectors:
        """Open them, mapped into memory where the format allows it.

        Raises
        ------
        InputError
            Files that are damaged.
        """
        if self.path.suffix == ".parquet":
            return load_parquet(self.path)
        if self.path.is_file():
            return WordVectors.load_word2vec(self.path, header=None)
        return WordVectors.load(self.path, self.use)


def _followed(path: Path, said: str) -> Path:
    """The folder or file of the vectors that a path leads to, by way of a run's summary."""
    if path.is_dir() and (path / VECTORS).is_file():
        return path
    if path.is_dir() and (path / SUMMARY).is_file():
        return _followed(path / SUMMARY, said)
    if path.name == VECTORS and path.is_file():
        return path.parent
    if path.suffix == ".json" and path.is_file():
        try:
            target = Path(json.loads(path.read_bytes())["files"]["vectors"])
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{said}: {path} is no summary of a run with vectors") from None
        # The summary's paths are of the folder that the run was started in.
        places = [target, *(parent / target for parent in path.absolute().parents)]
        found = next((place for place in places if place.exists()), None)
        if found is None:
            raise InputError(f"{said}: the vectors of that run, {target}, are not there any more")
        return _followed(found, said)
    if path.is_file():
        return path
    problem = "holds no vectors" if path.exists() else "no such file or folder"
    raise InputError(f"{said}: {problem}; give {KINDS}")


def digest(paths: Sequence[Path]) -> str:
    """The SHA-256 of some files' bytes; of a folder, of the names and bytes of all it holds.

    Raises
    ------
    InputError
        A file that cannot be read.
    """
    whole = hashlib.sha256()
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in inside:
            if path.is_dir():
                whole.update(file.relative_to(path).as_posix().encode())
            try:
                with file.open("rb") as opened:
                    whole.update(hashlib.file_digest(opened, "sha256").digest())
            except OSError as error:
                raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    return whole.hexdigest()


def save_parquet(vectors: WordVectors, path: Path) -> None:
    """Write the columns ``word``, ``count`` (where known) and ``vector`` (a list of float32)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = pa.array(np.ascontiguousarray(vectors.vectors).reshape(-1))
    columns: dict[str, Any] = {"word": pa.array(vectors.words, pa.string())}
    if vectors.counts is not None:
        columns["count"] = pa.array(vectors.counts)
    columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, vectors.dimensions)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        pq.write_table(pa.table(columns), aside)


def load_parquet(path: Path) -> WordVectors:
    """Read the columns ``word``, ``vector`` and, where there is one, ``count``.

    Raises
    ------
    InputError
        A file that cannot be read, or without these columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        words = table.column("word").cast(pa.string()).to_pylist()
        lists = table.column("vector").cast(pa.list_(pa.float32())).combine_chunks()
        counts = None
        if "count" in table.column_names:
            counts = table.column("count").cast(pa.int64()).to_numpy()
        if lists.null_count or lists.flatten().null_count or None in words:
            raise pa.ArrowInvalid("a word, a vector or a number is missing")
        if len(lists.value_lengths().unique()) != 1:
            raise pa.ArrowInvalid("the vectors have different lengths")
        array = lists.flatten().to_numpy().reshape(len(words), -1)
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: cannot be read ({reason}); the columns word and vector are needed"
        ) from None
    return WordVectors(words, array, counts)


EXPORTS: dict[str, Callable[[WordVectors, Path], None]] = {
    "word2vec-text": lambda vectors, folder: vectors.save_word2vec(folder / "vectors.txt"),
    "word2vec-binary": lambda vectors, folder: vectors.save_word2vec(folder / "vectors.bin", True),
    "glove-text": lambda vectors, folder: vectors.save_word2vec(
        folder / "vectors.glove.txt", header=False
    ),
    "parquet": lambda vectors, folder: save_parquet(vectors, folder / "vectors.parquet"),
    "tensorboard": lambda vectors, folder: vectors.save_projector(folder / "tensorboard"),
}
"""How each format that ``evaluate.export`` names is written into a folder."""


def export(folder: Path, vectors: WordVectors, formats: Sequence[str]) -> None:
    """Write the vectors into a folder, in each of some formats.

    Raises
    ------
    InputError
        A word that a format cannot hold.
    """
    for name in formats:
        EXPORTS[name](vectors, folder)
