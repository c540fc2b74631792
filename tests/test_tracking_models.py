"""Test word vectors as MLflow models: saved, registered, loaded, and served by MLflow."""

import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from pipeline.config.settings import Tracking
from pipeline.tracking import track
from pipeline.tracking.models import model_folder, save_model
from tests.servers import mlflow_server
from w2v import WordVectors
from w2v.errors import InputError

ROOT = Path(__file__).parents[1]


def save_words(folder: Path, seed: int = 0) -> WordVectors:
    """Save random vectors of six words in a folder, and return them."""
    words = ["cat", "dog", "king", "queen", "null", "naïve"]
    vectors = np.random.default_rng(seed).normal(size=(len(words), 4)).astype(np.float32)
    made = WordVectors(words, vectors, np.arange(len(words), 0, -1))
    made.save(folder)
    return made


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WordVectors]:
    folder = tmp_path_factory.mktemp("vectors")
    return folder, save_words(folder)


@pytest.fixture(scope="module")
def model(vectors: tuple[Path, WordVectors], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save the vectors as an MLflow model, and return its folder."""
    folder = tmp_path_factory.mktemp("model") / "words"
    save_model(vectors[0], folder, Model())
    return folder


@pytest.fixture(scope="module")
def loaded(model: Path) -> Any:
    """Load the MLflow model with `mlflow.pyfunc`."""
    return mlflow.pyfunc.load_model(str(model))


# The model in a folder


def test_a_model_consists_of_code_and_data(
    vectors: tuple[Path, WordVectors], tmp_path: Path
) -> None:
    model = tmp_path / "words"  # not that of other tests: to load a model adds compiled code to it
    save_model(vectors[0], model, Model())
    files = {str(path.relative_to(model)) for path in model.rglob("*") if path.is_file()}
    assert {"serving.py", "artifacts/vectors.npy", "artifacts/vocabulary.tsv"} <= files
    assert {Path(name).suffix for name in files} <= {
        *("", ".py", ".npy", ".tsv", ".txt", ".typed", ".yaml", ".json", ".md"),
        *(".html", ".css", ".js", ".ipynb"),  # pages of the library, and its notebook
    }
    assert (model / "requirements.txt").read_text().split() == [
        f"mlflow=={mlflow.__version__}",
        f"numpy=={np.__version__}",
    ]


def test_a_model_answers_its_own_example(loaded: Any, vectors: tuple[Path, WordVectors]) -> None:
    assert loaded.metadata.signature.inputs.input_names() == ["word", "a", "b"]
    assert loaded.input_example.to_dict("list") == {"word": ["cat", "dog"]}
    first, second = loaded.predict(loaded.input_example)
    np.testing.assert_array_equal(first["vector"], vectors[1]["cat"])
    np.testing.assert_array_equal(second["vector"], vectors[1]["dog"])


def test_rows_are_answered_in_order(loaded: Any) -> None:
    frame = pd.DataFrame({"word": ["dog", "x", "cat"]}, index=[5, 3, 5])
    assert [row["word"] for row in loaded.predict(frame)] == ["dog", "x", "cat"]


@pytest.mark.parametrize(
    ("rows", "params", "message"),
    [
        ([{"word": "cat"}], {"task": "sing"}, "task=sing: must be vector, neighbours or analogy"),
        ([{"word": "cat"}], {"task": "neighbours", "k": 0}, "k=0: must be at least 1"),
        ([{"word": "cat"}], {"task": "analogy"}, "task=analogy: the column a is missing"),
        ([{"word": None}], {}, "word of row 0: None is no word"),
    ],
)
def test_a_model_refuses_bad_input(
    loaded: Any, rows: list[dict[str, Any]], params: dict[str, Any], message: str
) -> None:
    with pytest.raises(MlflowException, match=f"^{message}$"):
        loaded.predict(pd.DataFrame(rows), params)


def test_a_model_contains_the_code_that_it_runs(model: Path, tmp_path: Path) -> None:
    program = (
        "import mlflow.pyfunc, pandas as pd, sys\n"
        f"loaded = mlflow.pyfunc.load_model({str(model)!r})\n"
        "print(loaded.predict(pd.DataFrame({'word': ['dog']}))[0]['unknown'])\n"
        "print(sys.modules['w2v'].__file__)\n"
        "print([m for m in ('numba', 'hydra', 'pipeline') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["[]", str(model / "code/w2v/__init__.py"), "[]"]


# The model of a run


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("words", r"^words: must be models:/name@alias, models:/name/version or models:/id$"),
        ("models:/words@", r"^models:/words@: must be models:"),
        ("models:/words@best", r"^models:/words@best: not found in sqlite:.*mlflow.db \("),
        ("models:/words/1", r"^models:/words/1: not found in sqlite:.*mlflow.db \("),
        ("models:/m-1", r"^models:/m-1: not found in sqlite:.*mlflow.db \("),
    ],
)
def test_a_model_that_does_not_exist_is_refused(outputs: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        model_folder(name, outputs=outputs)


def test_looking_for_a_model_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mlflow.db: no such store; give uri or outputs$"):
        model_folder("models:/words@best", outputs=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_alias_moves_to_the_newest_run_or_a_chosen_one(outputs: Path, tmp_path: Path) -> None:
    config = Tracking(model=True, register="words@best")
    made, runs = [], []
    for seed in (0, 1):
        made.append(save_words(tmp_path / f"vectors{seed}", seed))
        with track(config, outputs, f"run {seed}", {"seed": seed}, {}) as tracker:
            tracker.model(tmp_path / f"vectors{seed}")
        assert tracker.run_id is not None
        runs.append(tracker.run_id)

    def check(model: str, expected: WordVectors) -> None:
        found = WordVectors.load(model_folder(model, outputs=outputs))
        np.testing.assert_array_equal(found.vectors, expected.vectors)

    check("models:/words@best", made[1])
    check("models:/words/1", made[0])
    client = MlflowClient(f"sqlite:///{outputs}/mlflow.db")
    outputs_of_run: Any = client.get_run(runs[1]).outputs
    (output,) = outputs_of_run.model_outputs
    logged = client.get_logged_model(output.model_id)
    assert (logged.name, logged.params["seed"]) == ("words", "1")
    check(f"models:/{output.model_id}", made[1])
    with track(config, outputs, "sweep", {}, {}) as tracker:
        tracker.choose_model(runs[0])
    check("models:/words@best", made[0])


# Servers


def ask(endpoint: str, **body: Any) -> Any:
    data = json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(endpoint, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)["predictions"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["message"]


@pytest.mark.long
def test_a_model_server_answers(
    model: Path, vectors: tuple[Path, WordVectors], tmp_path: Path
) -> None:
    made = vectors[1]
    command = ["models", "serve", "-m", str(model), "--env-manager", "local"]
    with mlflow_server(command, tmp_path) as server:
        endpoint = f"{server.address}/invocations"
        rows = [{"word": word} for word in ("cat", "null", "Cat", "")]
        assert ask(endpoint, dataframe_records=rows) == [
            {"word": "cat", "unknown": [], "vector": pytest.approx(made["cat"].tolist())},
            {"word": "null", "unknown": [], "vector": pytest.approx(made["null"].tolist())},
            {"word": "Cat", "unknown": ["Cat"], "vector": None},
            {"word": "", "unknown": [""], "vector": None},
        ]
        near = {"task": "neighbours", "k": 2}
        expected = [{"word": w, "cosine": pytest.approx(c)} for w, c in made.nearest("naïve", 2)]
        rows = [{"word": "naïve"}, {"word": "x"}]
        assert ask(endpoint, dataframe_records=rows, params=near) == [
            {"word": "naïve", "unknown": [], "neighbours": expected},
            {"word": "x", "unknown": ["x"], "neighbours": None},
        ]
        split = {
            "columns": ["a", "b", "word"],
            "data": [["king", "queen", "cat"], ["king", "x", "y"]],
        }
        solved = made.analogy("king", "queen", "cat", 1)
        expected = [{"word": w, "cosine": pytest.approx(c)} for w, c in solved]
        assert ask(endpoint, dataframe_split=split, params={"task": "analogy", "k": 1}) == [
            {"word": "cat", "unknown": [], "neighbours": expected},
            {"word": "y", "unknown": ["x", "y"], "neighbours": None},
        ]
        assert len(ask(endpoint, inputs={"word": ["cat", "dog"]})) == 2
        status, message = ask(endpoint, dataframe_records=[{"word": None}])
        assert status == 400
        assert "word of row 0: None is no word" in message


@pytest.mark.long
def test_a_run_is_recorded_on_a_tracking_server(empty_store: Path, tmp_path: Path) -> None:
    shutil.copy(empty_store, tmp_path / "server.db")
    (tmp_path / "text.txt").write_text("the cat sat on the mat and the dog on the rug\n" * 50)
    command = ["server", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
    command += ["--artifacts-destination", str(tmp_path / "artifacts"), "--serve-artifacts"]
    with mlflow_server(command, tmp_path) as server:
        run_on_server(server.address, tmp_path)


def run_on_server(server: str, folder: Path) -> None:
    """Run an experiment that is tracked on an MLflow server, and check what is on the server."""
    command = [sys.executable, str(ROOT / "pipeline" / "run.py"), f"tracking.uri={server}"]
    command += ["tracking.model=true", "tracking.register=served@best", "corpus=files"]
    command += ["corpus.path=text.txt", "vocab.min_count=1", "model.dim=4", "train.epochs=2"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"compare   {server}" in done.stdout
    assert not (folder / "outputs" / "mlflow.db").exists()
    assert not (folder / "outputs" / "mlartifacts").exists()
    (path,) = folder.glob("outputs/runs/*/*/summary.json")
    summary = json.loads(path.read_bytes())
    client = MlflowClient(server)
    run = client.get_run(summary["mlflow_run_id"])
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    assert run.data.params["model.dim"] == "4"
    assert run.data.tags["stage.train"] == summary["stages"]["train"]["key"]
    inputs: Any = run.inputs
    digests = [found.dataset.digest for found in inputs.dataset_inputs]
    assert digests == [run.data.tags["corpus.fingerprint"]]
    history = client.get_metric_history(run.info.run_id, "epoch/loss")
    assert [m.step for m in history] == [summary["train"]["words"] // 2, summary["train"]["words"]]
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"config.yaml", "summary.json", "plots", "tables", "vectors"} <= names
    found = WordVectors.load(model_folder("models:/served@best", server))
    trained = WordVectors.load(folder / summary["stages"]["train"]["path"])
    assert found.words == trained.words
    np.testing.assert_array_equal(found.vectors, trained.vectors)
    with pytest.raises(InputError, match=r"^models:/served/7: not found in http:"):
        model_folder("models:/served/7", server)
