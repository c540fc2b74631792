"""What is recorded, in real stores: SQLite, a real server, a real model server."""

import dataclasses
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow.data
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from pipeline.config.schema import TrackingConfig
from pipeline.tracking import tracker as tracking
from pipeline.tracking.models import model_folder, save_model
from pipeline.tracking.tracker import MlflowTracker, git_tags, make_store, open_experiment, track
from tests.servers import mlflow_server
from w2v import WordVectors
from w2v.errors import InputError
from w2v.training.train import Epoch, Point

ROOT = Path(__file__).parents[1]

CONFIG = TrackingConfig(
    name="mlflow", uri=None, experiment="w2v", system_metrics=False, model=False, register=None
)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without an experiment of ours."""
    folder = tmp_path_factory.mktemp("store")
    make_store(folder / "mlflow.db", folder / "mlartifacts")
    return folder


@pytest.fixture
def outputs(fresh: Path, tmp_path: Path) -> Path:
    shutil.copy(fresh / "mlflow.db", tmp_path)
    return tmp_path


def recorded(outputs: Path, query: str, *values: Any) -> list[Any]:
    with sqlite3.connect(outputs / "mlflow.db") as database:
        return database.execute(query, values).fetchall()


def words(folder: Path, seed: int = 0) -> WordVectors:
    """Vectors of some words, saved."""
    names = ["cat", "dog", "king", "queen", "null", "naïve"]
    vectors = np.random.default_rng(seed).normal(size=(len(names), 4)).astype(np.float32)
    made = WordVectors(names, vectors, np.arange(len(names), 0, -1))
    made.save(folder)
    return made


def training(points: int, epochs: int) -> tuple[list[Point], list[Epoch]]:
    """A history: so many points, in epochs of equal length."""
    each = points // epochs
    pieces = [
        Point(1 + i // each, 20_000 * (i + 1), 3 / (i + 1), 0.025 / (i + 1), 0.01 * (i + 1))
        for i in range(points)
    ]
    ends = [
        Epoch(number, 3 / number, None, 0.025, 20_000 * each, 10 * each, 0.01 * each)
        for number in range(1, epochs + 1)
    ]
    return pieces, ends


# The store


def test_a_store_is_made_by_one_that_is_killed_or_not_at_all(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    program = (
        "from pathlib import Path\nfrom pipeline.tracking.tracker import make_store\n"
        f"make_store(Path({str(database)!r}), Path({str(tmp_path / 'artifacts')!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) as process:
        aside = tmp_path / ".mlflow.db.part"
        until = time.monotonic() + 60
        while not (aside.exists() and aside.stat().st_size > 50_000):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert aside.exists()
    assert not database.exists()
    client, experiment = open_experiment(f"sqlite:///{database}", "w2v", tmp_path)
    assert client.get_experiment(experiment).name == "w2v"
    assert not aside.exists()


def test_a_store_has_the_schema_that_mlflow_wants(fresh: Path) -> None:
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{fresh}/mlflow.db"]
    before = recorded(fresh, "select sql from sqlite_master order by name")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert recorded(fresh, "select sql from sqlite_master order by name") == before
    assert len(before) > 50
    with sqlite3.connect(fresh / "mlflow.db") as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_artifacts_lie_under_outputs(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = outputs / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    client, experiment = open_experiment(f"sqlite:///{outputs}/mlflow.db", "mine", outputs)
    wanted = (outputs / "mlartifacts").as_uri()
    assert client.get_experiment(experiment).artifact_location == wanted
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("content", [b"no database\n" * 1000, b"\0" * 4096])
def test_what_is_no_store_is_refused(tmp_path: Path, content: bytes) -> None:
    store = tmp_path / "mlflow.db"
    store.write_bytes(content)
    with pytest.raises(InputError, match=r"^tracking.uri=sqlite:.*: cannot be used \("):
        open_experiment(f"sqlite:///{store}", "w2v", tmp_path)
    assert store.read_bytes()[:11] == content[:11]


def test_a_deleted_experiment_is_refused(outputs: Path) -> None:
    store = f"sqlite:///{outputs}/mlflow.db"
    client, experiment = open_experiment(store, "w2v", outputs)
    client.delete_experiment(experiment)
    with pytest.raises(InputError, match=r"^tracking.experiment=w2v: is deleted; restore it"):
        open_experiment(store, "w2v", outputs)


def test_telemetry_is_off() -> None:
    program = (
        "import pipeline.tracking.tracker, mlflow.telemetry\n"
        "print(mlflow.telemetry.get_telemetry_client())"
    )
    inherited = {key: value for key, value in os.environ.items() if "TELEMETRY" not in key}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=inherited, capture_output=True, text=True
    )
    assert done.stdout == "None\n"


# Histories


def test_ten_thousand_points_in_few_batches(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    log_batch = MlflowClient.log_batch

    def counted(client: Any, run_id: str, **batch: Any) -> Any:
        sizes.append(sum(map(len, batch.values())))
        return log_batch(client, run_id, **batch)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    points, epochs = training(10_000, 5)
    with track(CONFIG, outputs, "long", {"model.dim": 100}, {}) as tracker:
        tracker.tag({"stage.train": "0" * 16})
        tracker.history(points, epochs)
    assert max(sizes) <= 1000
    assert len(sizes) < 2 * 20_010 / 900
    query = "select step, value from metrics where key = ? order by step"
    assert recorded(outputs, query, "train/loss") == [(p.words, p.loss) for p in points]
    assert recorded(outputs, query, "train/lr") == [(p.words, p.lr) for p in points]
    ends = [(40_000_000 * epoch.epoch, epoch.loss) for epoch in epochs]
    assert recorded(outputs, query, "epoch/loss") == ends
    assert recorded(outputs, query, "epoch/heldout_loss") == []


def test_live_and_afterwards_the_same_metrics_on_the_same_axes(outputs: Path) -> None:
    points, epochs = training(30, 3)
    with track(CONFIG, outputs, "live", {}, {}) as tracker:
        for point in points:
            tracker.point(point)
            if point.words % 200_000 == 0:
                epoch = epochs[point.epoch - 1]
                tracker.epoch(epoch, epoch.words * epoch.epoch)
    with track(CONFIG, outputs, "cached", {}, {}) as tracker:
        tracker.history(points, epochs)
    query = (
        "select key, step, value, timestamp from metrics join runs using (run_uuid) "
        "where name = ? order by key, step"
    )
    live, cached = recorded(outputs, query, "live"), recorded(outputs, query, "cached")
    assert [row[:3] for row in live] == [row[:3] for row in cached]
    assert len(live) == 2 * 30 + 2 * 3
    for rows in (live, cached):  # time is that of training, to the millisecond
        first = min(row[3] for row in rows)
        for key, step, _, when in rows:
            assert when - first == pytest.approx(step / 20_000 * 10 - 10, abs=1.01), key


def test_tags_wait_for_the_end_at_most(outputs: Path) -> None:
    def fail() -> None:
        with track(CONFIG, outputs, "failed", {}, {"loss": "softmax"}) as tracker:
            tracker.tag({"stage.tokenize": "1" * 16})
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    tags = dict(recorded(outputs, "select key, value from tags"))
    assert tags["stage.tokenize"] == "1" * 16
    assert tags["loss"] == "softmax"
    assert recorded(outputs, "select status from runs") == [("FAILED",)]


# Where a run comes from


def test_tags_tell_what_ran_and_not_where(outputs: Path) -> None:
    with track(CONFIG, outputs, "tagged", {}, {}):
        pass
    tags = dict(recorded(outputs, "select key, value from tags"))
    assert tags["environment.python"] == ".".join(map(str, sys.version_info[:3]))
    assert tags["environment.numpy"] == np.__version__
    assert tags["environment.mlflow"] == mlflow.__version__
    assert tags["mlflow.source.name"] == "pipeline/run.py"
    assert os.uname().nodename not in " ".join(tags.values()).split()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_commit_of_a_checkout_and_of_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.invalid")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert git_tags(tmp_path) == {}
    git("init", "-q")
    assert git_tags(tmp_path) == {}  # no commit yet
    (tmp_path / "file").write_text("one")
    (tmp_path / "below").mkdir()
    git("add", ".")
    git("commit", "-qm", "one")
    commit = git("rev-parse", "HEAD")
    clean = {"mlflow.source.git.commit": commit, "git.changed": "false"}
    assert git_tags(tmp_path) == clean
    assert git_tags(tmp_path / "below") == {}
    (tmp_path / "new").write_text("not added")
    assert git_tags(tmp_path) == clean
    (tmp_path / "file").write_text("two")
    assert git_tags(tmp_path) == {**clean, "git.changed": "true"}
    monkeypatch.setenv("PATH", "")
    assert git_tags(tmp_path) == {}


@pytest.mark.parametrize(
    ("origin", "kind", "source"),
    [
        ("http://example.invalid/a.zip", "http", {"url": "http://example.invalid/a.zip"}),
        ("text.txt", "local", {"uri": "text.txt"}),
        ("s3://bucket/text.gz", "s3", {"uri": "s3://bucket/text.gz"}),
        (["numpy", "scipy"], "code", {"tags": {"sources": "numpy, scipy"}}),
    ],
)
def test_the_text_is_an_input_that_mlflow_understands(
    outputs: Path, origin: Any, kind: str, source: dict[str, Any]
) -> None:
    with track(CONFIG, outputs, "read", {}, {}) as tracker:
        tracker.dataset("sst", "0123456789abcdef", origin, {"documents": 7})
    client = MlflowClient(f"sqlite:///{outputs}/mlflow.db")
    assert tracker.run_id is not None
    inputs: Any = client.get_run(tracker.run_id).inputs
    (found,) = inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest) == ("sst", "0123456789abcdef")
    assert json.loads(found.dataset.profile) == {"documents": 7}
    assert [(tag.key, tag.value) for tag in found.tags] == [("mlflow.data.context", "training")]
    read = mlflow.data.get_source(found.dataset)
    assert (read._get_source_type(), read.to_dict()) == (kind, source)


def test_jobs_that_read_the_same_text_at_the_same_moment(outputs: Path) -> None:
    store = f"sqlite:///{outputs}/mlflow.db"
    _, experiment = open_experiment(store, "w2v", outputs)
    jobs, texts = 6, 15
    together = threading.Barrier(jobs)

    def job(number: int) -> str:
        client = MlflowClient(store)
        run = client.create_run(experiment)
        tracker = MlflowTracker(client, run)
        for text in range(texts):
            together.wait(60)
            tracker.dataset("sst", f"{text:016}", "text.txt", {"documents": number})
        return tracker.run_id

    with ThreadPoolExecutor(jobs) as pool:
        runs = list(pool.map(job, range(jobs)))
    client = MlflowClient(store)
    for run in runs:
        inputs: Any = client.get_run(run).inputs
        found = {one.dataset.digest for one in inputs.dataset_inputs}
        assert found == {f"{text:016}" for text in range(texts)}
    assert recorded(outputs, "select count(*) from datasets") == [(texts,)]


def test_a_table_with_the_neighbours_in_a_cell(outputs: Path, tmp_path: Path) -> None:
    csv = tmp_path / "neighbours.csv"
    csv.write_text("word,rank,neighbour\nnull,1,nan\nnull,2,b\na,1,null\n")
    with track(CONFIG, outputs, "table", {}, {}) as tracker:
        tracker.table(csv, "tables/n.json", ("word", "neighbour"))
    (path,) = outputs.glob("mlartifacts/*/artifacts/tables/n.json")
    table = json.loads(path.read_bytes())
    assert table == {"columns": ["word", "neighbour"], "data": [["null", "nan, b"], ["a", "null"]]}


# System metrics


def test_system_metrics_are_a_setting(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "SYSTEM_SECONDS", 0.1)
    with track(dataclasses.replace(CONFIG, system_metrics=True), outputs, "watched", {}, {}):
        until = time.monotonic() + 60
        query = "select value from metrics where key = 'system/cpu_utilization_percentage'"
        while not recorded(outputs, query) and time.monotonic() < until:
            time.sleep(0.05)
    assert recorded(outputs, query)
    assert recorded(outputs, "select status from runs") == [("FINISHED",)]


def test_without_psutil_no_run_is_begun(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    config = dataclasses.replace(CONFIG, system_metrics=True)
    with (
        pytest.raises(InputError, match=r"^tracking.system_metrics=true: needs psutil; pip"),
        track(config, outputs, "watched", {}, {}),
    ):
        pass
    assert recorded(outputs, "select * from runs") == []


# Models


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WordVectors]:
    """An MLflow model on disk and its vectors."""
    from mlflow.models import Model

    folder = tmp_path_factory.mktemp("model")
    made = words(folder / "vectors")
    save_model(folder / "vectors", folder / "words", Model())
    return folder / "words", made


def test_a_model_is_code_and_data(model: tuple[Path, WordVectors]) -> None:
    folder, made = model
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"serving.py", "artifacts/vectors.npy", "artifacts/vocabulary.tsv"} <= files
    assert {Path(name).suffix for name in files} <= {
        *("", ".py", ".npy", ".tsv", ".txt", ".yaml", ".json", ".md")
    }
    assert (folder / "requirements.txt").read_text().split() == [
        f"mlflow=={mlflow.__version__}",
        f"numpy=={np.__version__}",
    ]
    loaded = mlflow.pyfunc.load_model(str(folder))
    assert loaded.metadata.signature.inputs.input_names() == ["word", "a", "b"]
    assert loaded.input_example.to_dict("list") == {"word": ["cat", "dog"]}
    (first, second) = loaded.predict(loaded.input_example)
    np.testing.assert_array_equal(first["vector"], made["cat"])
    np.testing.assert_array_equal(second["vector"], made["dog"])


@pytest.fixture(scope="module")
def endpoint(model: tuple[Path, WordVectors], tmp_path_factory: Any) -> Iterator[str]:
    """The address of a real model server, where the project is not on the path."""
    command = ["models", "serve", "-m", str(model[0]), "--env-manager", "local"]
    with mlflow_server(command, tmp_path_factory.mktemp("endpoint")) as address:
        yield f"{address}/invocations"


def ask(endpoint: str, **body: Any) -> Any:
    data = json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(endpoint, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)["predictions"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["message"]


def test_a_served_model_answers(endpoint: str, model: tuple[Path, WordVectors]) -> None:
    made = model[1]
    rows = [{"word": word} for word in ("cat", "null", "Cat", "")]
    assert ask(endpoint, dataframe_records=rows) == [
        {"word": "cat", "unknown": [], "vector": pytest.approx(made["cat"].tolist())},
        {"word": "null", "unknown": [], "vector": pytest.approx(made["null"].tolist())},
        {"word": "Cat", "unknown": ["Cat"], "vector": None},
        {"word": "", "unknown": [""], "vector": None},
    ]
    near = {"task": "neighbours", "k": 2}
    wanted = [{"word": w, "cosine": pytest.approx(c)} for w, c in made.nearest("naïve", 2)]
    assert ask(endpoint, dataframe_records=[{"word": "naïve"}, {"word": "x"}], params=near) == [
        {"word": "naïve", "unknown": [], "neighbours": wanted},
        {"word": "x", "unknown": ["x"], "neighbours": None},
    ]
    columns = {"columns": ["a", "b", "word"]}
    alike = {"task": "analogy", "k": 1}
    data = [["king", "queen", "cat"], ["king", "x", "y"]]
    solved = made.analogy("king", "queen", "cat", 1)
    wanted = [{"word": w, "cosine": pytest.approx(c)} for w, c in solved]
    assert ask(endpoint, dataframe_split={**columns, "data": data}, params=alike) == [
        {"word": "cat", "unknown": [], "neighbours": wanted},
        {"word": "y", "unknown": ["x", "y"], "neighbours": None},
    ]
    assert len(ask(endpoint, inputs={"word": ["cat", "dog"]})) == 2


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"params": {"task": "sing"}}, "task=sing: must be vector, neighbours or analogy"),
        ({"params": {"task": "neighbours", "k": 0}}, "k=0: must be at least 1"),
        ({"params": {"task": "analogy"}}, "task=analogy: the column a is missing"),
        ({"dataframe_records": [{"word": None}]}, "word of row 0: None is no word"),
    ],
)
def test_a_served_model_refuses(endpoint: str, body: dict[str, Any], line: str) -> None:
    status, message = ask(endpoint, **{"dataframe_records": [{"word": "cat"}], **body})
    assert status == 400
    assert line in message


def test_a_model_brings_its_code_along(model: tuple[Path, WordVectors], tmp_path: Path) -> None:
    program = (
        "import mlflow.pyfunc, pandas as pd, sys\n"
        f"found = mlflow.pyfunc.load_model({str(model[0])!r})\n"
        "print(found.predict(pd.DataFrame({'word': ['dog']}))[0]['unknown'])\n"
        "print(sys.modules['w2v'].__file__)\n"
        "print([m for m in ('numba', 'scipy', 'hydra', 'pipeline') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    unknown, code, heavy = done.stdout.split("\n")[:3]
    assert unknown == "[]"
    assert Path(code) == model[0] / "code" / "w2v" / "__init__.py"
    assert "pipeline" not in heavy
    assert "numba" not in heavy


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("words", r"^words: must be models:/name@alias, models:/name/version or models:/id$"),
        ("models:/words@", r"^models:/words@: must be models:"),
        ("models:/words@best", r"^models:/words@best: not found in sqlite:.*mlflow.db \("),
        ("models:/words/1", r"^models:/words/1: not found in sqlite:.*mlflow.db \("),
        ("models:/m-1", r"^models:/m-1: not found in sqlite:.*mlflow.db \("),
    ],
)
def test_no_such_model(outputs: Path, name: str, line: str) -> None:
    with pytest.raises(InputError, match=line):
        model_folder(name, outputs=outputs)


def test_no_store_is_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mlflow.db: no such store; give uri or outputs$"):
        model_folder("models:/words@best", outputs=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_alias_follows_the_newest_run(outputs: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, model=True, register="words@best")
    for seed in (0, 1):
        made = words(tmp_path / f"vectors{seed}", seed)
        with track(config, outputs, f"run {seed}", {"seed": seed}, {}) as tracker:
            tracker.model(tmp_path / f"vectors{seed}")
    loaded = WordVectors.load(model_folder("models:/words@best", outputs=outputs))
    np.testing.assert_array_equal(loaded.vectors, made.vectors)
    old = WordVectors.load(model_folder("models:/words/1", outputs=outputs))
    np.testing.assert_array_equal(old.vectors, words(tmp_path / "again", 0).vectors)
    assert isinstance(tracker, MlflowTracker)
    (output,) = tracker.client.get_run(tracker.run_id).outputs.model_outputs
    logged = tracker.client.get_logged_model(output.model_id)
    assert (logged.name, logged.params["seed"]) == ("words", "1")
    assert model_folder(f"models:/{output.model_id}", outputs=outputs).is_dir()


# A server instead of SQLite


@pytest.fixture(scope="module")
def server(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(fresh / "mlflow.db", folder)
    command = ["server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--serve-artifacts"]
    with mlflow_server(command, folder) as address:
        yield address


def test_a_run_on_a_server(server: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on the mat and the dog on the rug\n" * 50)
    command = [sys.executable, str(ROOT / "pipeline" / "run.py"), f"tracking.uri={server}"]
    command += ["tracking.model=true", "tracking.register=served@best", "corpus=files"]
    command += ["corpus.path=text.txt", "vocab.min_count=1", "model.dim=4", "train.epochs=2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"compare   {server}" in done.stdout
    assert not (tmp_path / "outputs" / "mlflow.db").exists()
    assert not (tmp_path / "outputs" / "mlartifacts").exists()
    (path,) = tmp_path.glob("outputs/runs/*/*/summary.json")
    summary = json.loads(path.read_bytes())
    client = MlflowClient(server)
    run = client.get_run(summary["mlflow_run_id"])
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    assert run.data.params["model.dim"] == "4"
    assert run.data.tags["stage.train"] == summary["stages"]["train"]["key"]
    fingerprint = run.data.tags["corpus.fingerprint"]
    inputs: Any = run.inputs
    assert [found.dataset.digest for found in inputs.dataset_inputs] == [fingerprint]
    history = client.get_metric_history(run.info.run_id, "epoch/loss")
    assert [m.step for m in history] == [summary["train"]["words"] // 2, summary["train"]["words"]]
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"config.yaml", "summary.json", "plots", "tables", "vectors"} <= names
    loaded = WordVectors.load(model_folder("models:/served@best", server))
    trained = WordVectors.load(tmp_path / summary["stages"]["train"]["path"])
    assert loaded.words == trained.words
    np.testing.assert_array_equal(loaded.vectors, trained.vectors)
    with pytest.raises(InputError, match=r"^models:/served/7: not found in http:"):
        model_folder("models:/served/7", server)


def test_a_frame_is_answered_in_order(model: tuple[Path, WordVectors]) -> None:
    loaded = mlflow.pyfunc.load_model(str(model[0]))
    frame = pd.DataFrame({"word": ["dog", "x", "cat"]}, index=[5, 3, 5])
    assert [row["word"] for row in loaded.predict(frame)] == ["dog", "x", "cat"]
