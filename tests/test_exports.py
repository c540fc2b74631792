"""Vectors as files: every kind is found and read, and what is written can be read again."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.stages import exports
from pipeline.stages.exports import EXPORTS, Judged, digest, export
from w2v.errors import InputError
from w2v.vectors import OUTSIDE, VECTORS, Use, WordVectors


def vectors_of(size: int = 5, dimensions: int = 3, counts: bool = True) -> WordVectors:
    array = np.random.default_rng(0).standard_normal((size, dimensions)).astype(np.float32)
    words = ["the", "naïve", "世界", '"quoted"', "it's", *(f"w{i}" for i in range(size))][:size]
    return WordVectors(words, array, np.arange(size, 0, -1) if counts else None)


def assert_same(a: WordVectors, b: WordVectors) -> None:
    assert a.words == b.words
    assert a.vectors.tobytes() == b.vectors.tobytes()


def found(path: Path, use: Use = "v") -> WordVectors:
    return Judged.find("evaluate.vectors", str(path), use).open()


FILES = {
    "word2vec-text": "vectors.txt",
    "word2vec-binary": "vectors.bin",
    "glove-text": "vectors.glove.txt",
    "parquet": "vectors.parquet",
}


@pytest.mark.parametrize("counts", [False, True])
def test_what_is_exported_can_be_judged(tmp_path: Path, counts: bool) -> None:
    vectors = vectors_of(counts=counts)
    export(tmp_path, vectors, list(EXPORTS))
    assert set(EXPORTS) - set(FILES) == {"tensorboard"}
    for file in FILES.values():
        assert_same(found(tmp_path / file), vectors)
    back = found(tmp_path / "vectors.parquet").counts
    assert (back is not None) == counts
    if back is not None:
        np.testing.assert_array_equal(back, vectors.counts)


def test_nothing_is_exported_unasked(tmp_path: Path) -> None:
    export(tmp_path / "exports", vectors_of(), [])
    assert not (tmp_path / "exports").exists()


@pytest.mark.parametrize("counts", [False, True])
def test_the_projectors_files_have_a_line_a_word(tmp_path: Path, counts: bool) -> None:
    vectors = vectors_of(counts=counts)
    export(tmp_path, vectors, ["tensorboard"])
    folder = tmp_path / "tensorboard"
    rows = [line.split("\t") for line in (folder / "vectors.tsv").read_text().splitlines()]
    np.testing.assert_array_equal(np.array(rows, np.float32), vectors.vectors)
    lines = (folder / "metadata.tsv").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    if counts:
        assert lines[:2] == ["word\tcount", "the\t5"]
    assert len(lines) == 5 + counts
    assert [line.split("\t")[0] for line in lines[counts:]] == list(vectors.words)


def test_parquet_is_a_plain_table(tmp_path: Path) -> None:
    vectors = vectors_of()
    export(tmp_path, vectors, ["parquet"])
    table = pd.read_parquet(tmp_path / "vectors.parquet")
    assert table["word"].tolist() == list(vectors.words)
    np.testing.assert_array_equal(np.stack(table["vector"].tolist()), vectors.vectors)


def test_a_parquet_of_others_may_hold_plain_lists_and_doubles(tmp_path: Path) -> None:
    table = pd.DataFrame({"word": ["a", "b"], "vector": [[1.0, 2.0], [3.0, 4.5]]})
    table.to_parquet(tmp_path / "x.parquet")
    assert found(tmp_path / "x.parquet")["b"].tolist() == [3.0, 4.5]


@pytest.mark.parametrize(
    "columns",
    [
        {"word": ["a", "b"]},
        {"word": ["a", "b"], "vector": [[1.0, 2.0], [3.0]]},
        {"word": ["a", "b", "c"], "vector": [[1.0], [2.0, 3.0], [4.0, 5.0, 6.0]]},
        {"word": ["a", None], "vector": [[1.0], [3.0]]},
        {"word": ["a", "b"], "vector": [[1.0], None]},
        {"word": ["a", "b"], "vector": [[1.0], [None]]},
        {"word": ["a", "b"], "vector": ["x", "y"]},
    ],
)
def test_other_parquet_files_are_refused(tmp_path: Path, columns: dict[str, list[object]]) -> None:
    pd.DataFrame(columns).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError, match="the columns word and vector are needed") as caught:
        found(tmp_path / "x.parquet")
    assert "\n" not in str(caught.value)


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    export(tmp_path, vectors_of(), ["parquet"])
    whole = (tmp_path / "vectors.parquet").read_bytes()
    for content in (b"", b"PAR1", whole[:-5], whole[20:]):
        (tmp_path / "vectors.parquet").write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            found(tmp_path / "vectors.parquet")


def run_of(tmp_path: Path) -> Path:
    """A run's folder whose summary names the vectors as seen from where the run was started."""
    vectors_of().save(tmp_path / "outputs" / "cache" / "train" / "key")
    run = tmp_path / "outputs" / "runs" / "today"
    run.mkdir(parents=True)
    summary = {"files": {"vectors": f"outputs/cache/train/key/{VECTORS}"}}
    (run / "summary.json").write_text(json.dumps(summary))
    return run


def test_a_run_is_found_from_anywhere(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    folder = tmp_path / "outputs" / "cache" / "train" / "key"
    for path in (run, run / "summary.json", folder, folder / VECTORS):
        assert_same(found(path), vectors_of())


def test_sums_with_the_outside_vectors(tmp_path: Path) -> None:
    vectors = vectors_of()
    vectors.save(tmp_path)
    with pytest.raises(InputError, match=r"evaluate\.use=v\+u: .* has no outside_vectors\.npy"):
        found(tmp_path, "v+u")
    outside = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    np.save(tmp_path / OUTSIDE, outside)
    np.testing.assert_array_equal(found(tmp_path, "v+u").vectors, vectors.vectors + outside)
    np.testing.assert_array_equal(found(tmp_path).vectors, vectors.vectors)
    names = [path.name for path in Judged.find("x", str(tmp_path), "v+u").files()]
    assert names == ["vectors.npy", "vocabulary.tsv", "outside_vectors.npy"]
    np.save(tmp_path / OUTSIDE, outside[1:])
    with pytest.raises(InputError, match=r"has the shape \(4, 3\); the vectors have \(5, 3\)"):
        found(tmp_path, "v+u")
    (tmp_path / OUTSIDE).write_bytes(b"\x93NUMPY")
    with pytest.raises(InputError, match=r"outside_vectors\.npy: cannot be read"):
        found(tmp_path, "v+u")


def test_what_holds_no_vectors_is_refused(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    (run / "other.json").write_text("[]")
    (tmp_path / "empty").mkdir()
    cases = {
        tmp_path / "nowhere": "no such file or folder; give a run's folder",
        tmp_path / "empty": "holds no vectors; give a run's folder",
        run / "other.json": "is no summary of a run with vectors",
    }
    for path, message in cases.items():
        with pytest.raises(InputError, match=message) as caught:
            found(path)
        assert str(caught.value).startswith(f"evaluate.vectors={path}: ")
    for file in (tmp_path / "outputs" / "cache" / "train" / "key").iterdir():
        file.unlink()
    (tmp_path / "outputs" / "cache" / "train" / "key").rmdir()
    with pytest.raises(InputError, match="are not there any more"):
        found(run)


def test_digests_change_with_bytes_and_names(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_text("one")
    seen = {digest([tmp_path / "a"]), digest([tmp_path / "a" / "x.txt"])}
    (tmp_path / "a" / "x.txt").write_text("two")
    seen.add(digest([tmp_path / "a"]))
    (tmp_path / "a" / "x.txt").rename(tmp_path / "a" / "y.txt")
    seen.add(digest([tmp_path / "a"]))
    assert len(seen) == 4
    with pytest.raises(InputError, match="nowhere: cannot be read"):
        digest([tmp_path / "nowhere"])


def test_exports_survive_other_csv_readers(tmp_path: Path) -> None:
    vectors = vectors_of()
    export(tmp_path, vectors, ["tensorboard"])
    with (tmp_path / "tensorboard" / "metadata.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert [row[0] for row in rows[1:]] == list(vectors.words)


def test_every_kind_that_messages_offer_is_read() -> None:
    assert all(kind in exports.KINDS for kind in ("word2vec", ".vec", "GloVe", "Parquet"))
