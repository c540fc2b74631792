"""Test that vectors are found from the folder of a run, another folder or a file."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.test_text_paths import ordinary_user
from w2v.errors import InputError
from w2v.vectors import (
    OUTSIDE,
    VECTORS,
    VOCABULARY,
    Use,
    WordVectors,
    find_runs,
    find_vectors,
    vector_files,
)


def vectors_of_five_words() -> WordVectors:
    array = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    return WordVectors(["the", "naïve", "世界", '"quoted"', "it's"], array, np.arange(5, 0, -1))


def find(path: Path, use: Use = "v") -> WordVectors:
    found = find_vectors(path)
    vector_files(found, use)
    return WordVectors.load(found, use)


def finished_run(tmp_path: Path) -> Path:
    """Make the folder of a run whose summary has the path of its vectors; return the folder."""
    vectors_of_five_words().save(tmp_path / "outputs" / "cache" / "train" / "key")
    run = tmp_path / "outputs" / "runs" / "today"
    run.mkdir(parents=True)
    summary = {"files": {"vectors": f"outputs/cache/train/key/{VECTORS}"}}
    (run / "summary.json").write_text(json.dumps(summary))
    return run


def test_a_run_is_found_from_any_working_folder(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    folder = tmp_path / "outputs" / "cache" / "train" / "key"
    for path in (run, run / "summary.json", folder, folder / VECTORS, folder / VOCABULARY):
        found = find(path)
        assert WordVectors.load(path).words == found.words
        assert found.words == vectors_of_five_words().words
        np.testing.assert_array_equal(found.vectors, vectors_of_five_words().vectors)


@pytest.mark.parametrize("folder", ["", "x" * 300])  # to ask for the latter is an error
def test_the_vectors_of_a_run_are_found_after_the_outputs_have_been_moved(
    tmp_path: Path, folder: str
) -> None:
    run = finished_run(tmp_path)
    vectors = tmp_path / folder / "outputs" / "cache" / "train" / "key" / VECTORS
    (run / "summary.json").write_text(json.dumps({"files": {"vectors": str(vectors)}}))
    (tmp_path / "outputs").rename(tmp_path / "moved")
    assert find(tmp_path / "moved" / "runs" / "today").words == vectors_of_five_words().words


def test_a_file_of_another_tool_is_found(tmp_path: Path) -> None:
    vectors_of_five_words().export(tmp_path, ["glove-text"])
    file = tmp_path / "vectors.glove.txt"
    assert find(file).words == vectors_of_five_words().words
    assert vector_files(find_vectors(file)) == [file]
    assert find_vectors(tmp_path) == file


def test_outside_vectors_are_added_on_request(tmp_path: Path) -> None:
    vectors = vectors_of_five_words()
    vectors.save(tmp_path)
    with pytest.raises(
        InputError, match=r"has no outside_vectors\.npy beside it, which use=v\+u needs"
    ):
        find(tmp_path, "v+u")
    outside = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    np.save(tmp_path / OUTSIDE, outside)
    np.testing.assert_array_equal(find(tmp_path, "v+u").vectors, vectors.vectors + outside)
    np.testing.assert_array_equal(find(tmp_path).vectors, vectors.vectors)
    files = vector_files(find_vectors(tmp_path), "v+u")
    assert [file.name for file in files] == ["vectors.npy", "vocabulary.tsv", OUTSIDE]


def test_a_path_without_vectors_is_refused(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    (run / "other.json").write_text("[]")
    (tmp_path / "empty").mkdir()
    cases = {
        tmp_path / "nowhere": "no such file or folder; give a run's folder",
        tmp_path / "empty": "holds no vectors; give a run's folder",
        run / "other.json": "is no summary of a run with vectors",
    }
    for path, message in cases.items():
        with pytest.raises(InputError, match=message) as caught:
            find(path)
        assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("find", [find_vectors, find_runs])
@pytest.mark.parametrize("path", ["locked", "locked/vectors.txt"])
def test_a_folder_that_may_not_be_entered_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    find: Callable[[str], Path | list[Path]],
    path: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "locked").mkdir(0o400)
    with ordinary_user(tmp_path, tmp_path / "locked"), pytest.raises(InputError) as refusal:
        find(path)
    assert str(refusal.value) == f"{path}: cannot be read (Permission denied)"


def test_a_run_whose_vectors_were_deleted_is_refused(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    (tmp_path / "outputs" / "cache").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="are not there any more"):
        find(run)
