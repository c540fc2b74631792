"""Test whole runs of the command on small texts: their output, files and cache."""

import csv
import functools
import gzip
import hashlib
import html
import http.server
import json
import re
import shlex
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from omegaconf import OmegaConf

from pipeline import run as entry
from pipeline.sweeps.objective import figures_of, objective_names
from tests.commands import (
    BARE,
    ROOT,
    SMALL,
    TEXT,
    WITHOUT_SCORES,
    query,
    run,
    runs_in,
    start,
    summary_of,
    write_text,
)
from tests.test_config import settled
from w2v import WordVectors


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return write_text(tmp_path)


def test_a_tracked_run_and_the_same_again_from_the_cache(here: Path) -> None:
    first = run(*SMALL, cwd=here)
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    assert "epoch 2  loss" in first.stdout
    assert "mlflow ui --backend-store-uri sqlite:///outputs/mlflow.db" in first.stdout
    made = summary_of(here)
    assert set(made) == {
        *("run_dir", "mlflow_run_id", "config", "stages"),
        *("corpus", "vocab", "train", "evaluate", "files"),
    }
    assert not any(stage["cached"] for stage in made["stages"].values())
    assert made["corpus"]["documents"] == 120
    assert made["corpus"]["tokens"] == 30 * sum(len(line.split()) for line in TEXT)
    assert made["corpus"]["bytes"] == (here / "text.txt").stat().st_size
    assert made["train"]["words"] == sum(epoch["words"] for epoch in made["train"]["epochs"])
    assert {"spearman", "ci95", "pairs", "coverage"} <= set(
        made["evaluate"]["similarity"]["simlex999"]
    )
    assert {"accuracy", "semantic", "syntactic", "questions", "coverage", "vocabulary"} <= set(
        made["evaluate"]["analogy"]["google"]
    )
    figures, names = set(figures_of(made)), set(objective_names(settled(*SMALL)))
    assert figures <= names
    assert all("/" in name for name in names - figures)  # scores without a value
    vectors = WordVectors.load(here / Path(made["files"]["vectors"]).parent)
    assert vectors.vectors.shape == (made["vocab"]["size"], 8)
    assert (here / made["run_dir"] / "run.log").stat().st_size > 0
    assert (here / made["run_dir"] / ".hydra" / "config.yaml").is_file()

    second = run(*SMALL, cwd=here)
    again = summary_of(here)
    assert second.returncode == 0, second.stderr
    assert all(stage["cached"] for stage in again["stages"].values())
    assert again["train"] == made["train"]
    assert runs_in(here) == [("negsample w5 k5 d8 s0", "FINISHED")] * 2
    histories: dict[str, list[Any]] = {}
    sql = "select run_uuid, key, value, step from metrics order by key, step"
    for identity, *metric in query(here, sql):
        histories.setdefault(identity, []).append(metric)
    params = dict(query(here, "select key, value from params"))
    one, other = histories.values()
    assert one == other  # a cached run logs the whole history
    logged = {key for key, _, _ in one}
    assert {"train/loss", "train/lr", "epoch/heldout_loss", "analogy/google/accuracy"} <= logged
    steps = [step for key, _, step in one if key == "epoch/loss"]
    assert steps == [made["train"]["words"] // 2, made["train"]["words"]]
    assert params["model.dim"] == "8"
    assert params["loss.negatives"] == "5"
    artifacts = {
        str(path.relative_to(here / "outputs" / "mlartifacts" / again["mlflow_run_id"]))
        for path in (here / "outputs" / "mlartifacts").rglob("*")
        if again["mlflow_run_id"] in path.parts and path.is_file()
    }
    assert {
        "artifacts/config.yaml",
        "artifacts/summary.json",
        "artifacts/plots/loss.png",
        "artifacts/plots/map-pca.png",
        "artifacts/map.html",
        "artifacts/report.html",
        "artifacts/tables/neighbours.json",
        "artifacts/vectors/vectors.npy",
        "artifacts/vectors/vocabulary.tsv",
    } <= artifacts


def test_only_changed_stages_are_made_again(here: Path) -> None:
    def cached(*changes: str) -> list[str]:
        result = run("tracking=none", *SMALL, *BARE, *changes, cwd=here)
        assert result.returncode == 0, result.stderr
        return [name for name, stage in summary_of(here)["stages"].items() if stage["cached"]]

    assert cached() == []
    assert cached("loss=softmax", WITHOUT_SCORES) == ["tokenize", "vocab"]
    assert cached("vocab.min_count=31", WITHOUT_SCORES) == ["tokenize"]
    assert cached("evaluate.neighbours=3") == ["tokenize", "vocab", "train"]
    (here / "text.txt").write_text("\n".join(TEXT * 40) + "\n")
    assert cached(WITHOUT_SCORES) == []
    assert not (here / "outputs" / "mlflow.db").exists()


def test_the_same_command_makes_the_same_vectors(here: Path) -> None:
    vectors = []
    for outputs in ("one", "two"):
        result = run("tracking=none", f"outputs={outputs}", *SMALL, WITHOUT_SCORES, cwd=here)
        assert result.returncode == 0, result.stderr
        found = list((here / outputs).glob("cache/train/*/vectors.npy"))
        vectors.append(np.load(found[0], allow_pickle=False))
    np.testing.assert_array_equal(*vectors)


def test_stages_that_are_left_out_come_from_the_cache(here: Path) -> None:
    refused = run("tracking=none", *SMALL, "stages=[evaluate]", cwd=here)
    assert (refused.returncode, refused.stderr) == (
        2,
        "error: stages=[evaluate]: tokenize is left out, and the cache does not hold its result; "
        "add tokenize to stages\n",
    )
    assert run("tracking=none", *SMALL, "stages=[tokenize,vocab]", cwd=here).returncode == 0
    assert set(summary_of(here)["stages"]) == {"tokenize", "vocab"}
    assert run("tracking=none", *SMALL, "stages=[train]", cwd=here).returncode == 0
    assert set(summary_of(here)["stages"]) == {"tokenize", "vocab", "train"}


@pytest.mark.usefixtures("made_store")
def test_a_failed_run_is_closed_as_failed(here: Path) -> None:
    result = run(*SMALL, "vocab.min_count=1000000", cwd=here)
    assert result.returncode == 2
    assert runs_in(here) == [("negsample w5 k5 d8 s0", "FAILED")]


@pytest.mark.long
@pytest.mark.usefixtures("made_store")
@pytest.mark.parametrize(
    ("signum", "status", "engine"), [(signal.SIGINT, 130, "numpy"), (signal.SIGTERM, 143, "numba")]
)
def test_a_stopped_run_is_closed_as_killed(
    here: Path, signum: int, status: int, engine: str
) -> None:
    settings = ("train.epochs=20000", f"engine={engine}", "engine.threads=1")
    with start(*SMALL, *settings, cwd=here) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("  epoch 3"):
                process.send_signal(signum)
                break
        process.stdout.read()
        assert process.wait(60) == status
    assert runs_in(here) == [("negsample w5 k5 d8 s0", "KILLED")]
    assert [p for p in here.glob("outputs/cache/train/*") if p.suffix != ".lock"] == []


def test_runs_import_no_library_that_they_do_not_use(here: Path) -> None:
    probe = (
        "import sys, runpy\n"
        f"sys.argv = ['run.py', 'tracking=none', 'engine=numpy', {WITHOUT_SCORES!r}, *{SMALL!r}]\n"
        "try:\n"
        f"    runpy.run_path({str(ROOT / 'pipeline' / 'run.py')!r}, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "print({'mlflow', 'jax', 'numba'} & {*sys.modules})\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", probe], cwd=here, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("\nset()\n")


@pytest.mark.long
def test_identical_commands_at_once(here: Path) -> None:
    processes = [start(*SMALL, *BARE, "engine=numpy", cwd=here) for _ in range(3)]
    errors = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, errors
    assert runs_in(here) == [("negsample w5 k5 d8 s0", "FINISHED")] * 3
    summaries = [json.loads(p.read_bytes()) for p in here.glob("outputs/runs/*/*/summary.json")]
    assert len(summaries) == 3
    for stage in ("tokenize", "vocab", "train", "evaluate"):
        assert sum(not summary["stages"][stage]["cached"] for summary in summaries) == 1


def test_a_text_that_changes_while_it_is_read_is_refused(here: Path) -> None:
    (here / "intruding.py").write_text(
        "def tokens(text, first=[True]):\n"
        "    if first.pop() if first else False:\n"
        "        with open('text.txt', 'a') as file:\n"
        "            file.write('an intruder\\n')\n"
        "    return text.split()\n"
    )
    own = ("tokenizer.function=intruding.tokens", "tokenizer.workers=1", "stages=[tokenize]")
    changed = run("tracking=none", *SMALL, *own, cwd=here)
    assert (changed.returncode, changed.stderr) == (
        2,
        "error: text.txt: has changed while it was read; give the command again\n",
    )
    assert not list(here.glob("outputs/cache/tokenize/[0-9a-f]*"))


def test_a_sweep_whose_flag_stands_between_settings(here: Path) -> None:
    arguments = ("tracking=none", *SMALL, "-m", WITHOUT_SCORES, "loss=negsample,softmax")
    assert run(*arguments, cwd=here).returncode == 0
    paths = sorted(here.glob("outputs/sweeps/*/*/*/summary.json"))
    stages = [json.loads(path.read_bytes())["stages"] for path in paths]
    assert [one["tokenize"]["cached"] for one in stages] == [False, True]
    assert [one["train"]["cached"] for one in stages] == [False, False]


def test_help_lists_groups_and_settings() -> None:
    result = run("--help", cwd=ROOT)
    assert result.returncode == 0
    for word in ("negsample", "softmax", "pydocs", "corpus.path", "model.window", "mlflow ui"):
        assert word in result.stdout


# The measurements are tested in test_bench_benchmark.py and test_bench_complexity.py.
MEASURED = {"benchmark", "complexity"}
PLANNED = {p.stem for p in (ROOT / "conf/experiment").glob("*") if "params:" in p.read_text()}
EXPERIMENTS = {p.stem for p in (ROOT / "conf/experiment").glob("*")} - MEASURED - PLANNED


@pytest.mark.parametrize("experiment", sorted(EXPERIMENTS))
def test_every_experiment_runs(here: Path, experiment: str) -> None:
    result = run(
        f"experiment={experiment}",
        "tracking=none",
        "corpus=files",
        "corpus.path=text.txt",
        "vocab.min_count=1",
        "model.dim=4",
        "train.epochs=1",
        WITHOUT_SCORES,
        cwd=here,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.long
@pytest.mark.parametrize("experiment", sorted(PLANNED))
def test_every_planned_sweep_runs(here: Path, experiment: str) -> None:
    result = run(
        *("-m", f"experiment={experiment}", "corpus=files", "corpus.path=text.txt"),
        *("vocab.min_count=1", "model.dim=4", "train.epochs=1", "engine=numpy", "seed=0"),
        *("tracking=none", "search.objective=loss", WITHOUT_SCORES),
        cwd=here,
    )
    assert result.returncode == 0, result.stderr
    (path,) = here.glob("outputs/sweeps/*/*/summary.json")
    made = json.loads(path.read_bytes())
    assert list(made["counts"]) == ["finished"]
    assert made["counts"]["finished"] >= 3


def test_what_is_unusual_in_a_text_is_reported(here: Path) -> None:
    """A run reports overlong tokens, text without spaces, and words to drop if none occurs."""
    chinese = "今天天气很好我们去公园，大家都非常高兴\n"
    (here / "text.txt").write_text(chinese * 9 + f"the cat don’t don't {'x' * 70_000} cat\n" * 2)
    (here / "stop.txt").write_text("the 100\n")
    settings = ("tracking=none", WITHOUT_SCORES, *SMALL, "train.heldout=0", "model.subsample=0")
    for drop, line in {
        "stop.txt": "4 words, 86.7% of the tokens; 1 left out with more than 1,000 characters",
        "[The]": "5 words, 93.3% of the tokens; 1 left out with more than 1,000 characters; "
        "none of the words to drop occurs",
    }.items():
        result = run(*settings, "stages=[tokenize,vocab,train]", f"vocab.drop={drop}", cwd=here)
        assert result.returncode == 0, result.stderr
        assert line in result.stdout
        assert "60% of the tokens are long runs of a script" in result.stdout
    assert summary_of(here)["vocab"]["too_long"] == 1


def test_phrases_become_words(here: Path) -> None:
    wanted = ("tokenizer.phrases.passes=2", "tokenizer.phrases.threshold=0.2")
    settings = ("tracking=none", WITHOUT_SCORES, *SMALL, "stages=[tokenize,vocab]")
    assert run(*settings, cwd=here).returncode == 0
    plain = summary_of(here)
    assert "phrases" not in plain["corpus"]
    result = run(*settings, *wanted, "tokenizer.phrases.connectors=[to,the]", cwd=here)
    assert result.returncode == 0, result.stderr
    facts = summary_of(here)
    tokenized = Path(here / facts["stages"]["tokenize"]["path"])
    with (tokenized / "phrases.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["pass", "words", "phrase", "score", "occurrences", "joined"]
    assert ["1", "spoke to the queen", "spoke_to_the_queen"] in [row[:3] for row in rows]
    assert facts["corpus"]["phrases"] == len({row[2] for row in rows if row[5] != "0"})
    lost = sum(row[1].count(" ") * int(row[5]) for row in rows)
    assert facts["corpus"]["tokens_joined"] == lost > 0
    assert facts["corpus"]["tokens"] == plain["corpus"]["tokens"] - lost
    assert f"{facts['corpus']['phrases']} phrases" in result.stdout
    again = run(*settings, f"tokenizer.phrases.from={tokenized}", cwd=here)
    assert again.returncode == 0, again.stderr
    learnt = summary_of(here)
    assert learnt["corpus"] == facts["corpus"]
    assert learnt["stages"]["tokenize"]["path"] != facts["stages"]["tokenize"]["path"]
    result = run(*settings, "tokenizer.phrases.from=nowhere", cwd=here)
    assert result.returncode == 2
    assert result.stderr == (
        "error: tokenizer.phrases.from=nowhere: must be a folder with phrases.csv, or such a file "
        "(No such file or directory)\n"
    )


def test_sst_from_its_archive_over_http(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    with zipfile.ZipFile(site / "sst.zip", "w") as archive:
        rows = "".join(f"{i}\t{line}\n" for i, line in enumerate(TEXT * 30, start=1))
        archive.writestr("trees/datasetSentences.txt", f"sentence_index\tsentence\n{rows}")
        archive.writestr("../escaped.txt", "harmless")
    digest = hashlib.sha256((site / "sst.zip").read_bytes()).hexdigest()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/sst.zip"
        settings = ("tracking=none", "corpus=sst", f"corpus.url={url}", "model.dim=2")
        wrong = run(*settings, "stages=[tokenize]", f"corpus.sha256={'0' * 64}", cwd=tmp_path)
        assert wrong.returncode == 2
        assert ": the download failed (the file " in wrong.stderr
        assert not list((tmp_path / "outputs" / "corpora").glob("*.zip"))
        right = run(*settings, "stages=[tokenize]", f"corpus.sha256={digest}", cwd=tmp_path)
        assert right.returncode == 0, right.stderr
        server.shutdown()
    assert summary_of(tmp_path)["corpus"]["documents"] == 120
    offline = run(*settings, "stages=[tokenize]", f"corpus.sha256={digest}", cwd=tmp_path)
    assert offline.returncode == 0, "a second run does not download"
    assert not list(tmp_path.rglob("escaped.txt"))


@pytest.mark.long
def test_vectors_of_other_tools_are_evaluated_and_tracked(here: Path) -> None:
    (here / "pairs.csv").write_text("word1,word2,score\ncat,dog,9\nking,queen,8\ncat,paris,1\n")
    exported = "evaluate.export=[word2vec-binary,glove-text,parquet]"
    own = ("tracking=none", *SMALL, "evaluate.similarity.mine=pairs.csv", exported)
    assert run(*own, cwd=here).returncode == 0
    ours = summary_of(here)
    mine = ours["evaluate"]["similarity"]["mine"]
    assert (mine["pairs"], mine["coverage"], mine["spearman"] is None) == (3, 1.0, False)
    folder = Path(ours["files"]["exports"])
    assert folder == Path(ours["stages"]["evaluate"]["path"]) / "exports"

    judge = ("stages=[evaluate]", "evaluate.similarity.mine=pairs.csv", "evaluate.compare=ours")
    (here / ours["run_dir"]).rename(here / "ours")
    result = run(*judge, f"evaluate.vectors={folder / 'vectors.bin'}", cwd=here)
    assert (result.returncode, result.stderr) == (0, "")
    judged = summary_of(here)
    assert set(judged["stages"]) == {"evaluate"}
    assert judged["files"] == {"vectors": str(folder / "vectors.bin")}
    assert judged["evaluate"]["similarity"] == ours["evaluate"]["similarity"]
    assert judged["evaluate"]["analogy"] == ours["evaluate"]["analogy"]
    size = ours["vocab"]["size"]
    assert judged["evaluate"]["vectors"] == {"use": "v", "words": size, "dimensions": 8}
    assert judged["evaluate"]["stability"]["overlap"] == 1.0
    assert runs_in(here) == [("vectors.bin", "FINISHED")]
    keys = {key for (key,) in query(here, "select key from params")}
    metrics = dict(query(here, "select key, value from metrics"))
    assert {key.partition(".")[0] for key in keys} == {"evaluate"}
    assert metrics["stability/overlap"] == 1.0
    assert metrics["similarity/mine/pearson"] == pytest.approx(mine["pearson"])
    # The same bytes under another name are the same work; other bytes are not.
    (here / "copy.bin").write_bytes((here / folder / "vectors.bin").read_bytes())
    assert run("tracking=none", *judge, "evaluate.vectors=copy.bin", cwd=here).returncode == 0
    assert summary_of(here)["stages"]["evaluate"]["cached"]
    (here / "pairs.csv").write_text("cat,dog,9\nking,queen,8\ncat,france,1\n")
    assert run("tracking=none", *judge, "evaluate.vectors=copy.bin", cwd=here).returncode == 0
    assert not summary_of(here)["stages"]["evaluate"]["cached"]


@pytest.mark.usefixtures("made_store")
def test_missing_words_are_reported(tmp_path: Path) -> None:
    rows = [{"body": line} for line in TEXT * 10]
    lines = "".join(f"{json.dumps(row)}\r\n" for row in rows).encode()
    (tmp_path / "text.jsonl.gz").write_bytes(
        gzip.compress(b"\xef\xbb\xbf" + lines + b'{"body": ""}')
    )
    (tmp_path / "words.txt").write_text("king\nqueen\nzebra\n")
    (tmp_path / "capitals.py").write_text(
        "def split(text):\n    return text.replace('ki', 'Ki').split()\n"
    )
    result = run(
        "corpus=files",
        "corpus.path=text.jsonl.gz",
        "corpus.field=body",
        "corpus.limit=39",
        "tokenizer.function=capitals.split",
        "vocab.words=words.txt",
        "vocab.keep=[Kingly,paris,cat]",
        "stages=[tokenize,vocab]",
        cwd=tmp_path,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "4 words" not in result.stdout
    assert "3 words" in result.stdout
    assert "; 3 wanted words are not among them" in result.stdout
    made = summary_of(tmp_path)
    assert made["corpus"]["documents"] == 39
    assert made["vocab"]["missing_words"] == ["king", "zebra", "Kingly"]
    assert made["vocab"]["out_of_vocabulary"] > 0.8
    metrics = dict(query(tmp_path, "select key, value from metrics"))
    assert metrics["corpus/tokens"] == made["corpus"]["tokens"]
    assert metrics["vocab/types"] == made["vocab"]["types"]
    (table,) = (tmp_path / "outputs" / "mlartifacts").rglob("frequencies.csv")
    assert table.read_text().startswith("rank,count\n1,")


def test_outputs_and_text_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / "conf" / "experiment").mkdir(parents=True)
    write_text(home)
    monkeypatch.setenv("HOME", str(home))
    (home / "conf" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\noutputs: ~/x\nseed: 4\n"
    )
    base = [*SMALL, "tracking=none", "stages=[tokenize]", "corpus.path=~/text.txt"]
    for more in (["outputs=~/x"], ["outputs='~/x'"], ["--config-dir", str(home / "conf")]):
        experiment = ["experiment=mine"] if "--config-dir" in more else []
        done = run(*base, *more, *experiment, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert len(list(home.glob("x/runs/*/*/summary.json"))) == 3
    assert len(list(home.glob("x/cache/tokenize/*/manifest.json"))) == 1


def test_the_command_in_a_report_repeats_a_run_with_settings_of_its_own(tmp_path: Path) -> None:
    write_text(tmp_path)
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "whole.yaml").write_text("defaults: [config, _self_]\nseed: 4\n")
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\nengine: {name: numpy}\n"
    )
    done = run(
        *("--config-dir", "conf", "-cn", "whole", "experiment=mine"),
        *(*SMALL, *BARE, "tracking=none"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    report = next(tmp_path.glob("outputs/runs/*/*/report.html")).read_text()
    folder, again = re.findall(r"<pre><code>cd (.+)\npython \S+run.py (.+)\n</code>", report)[0]
    done = run(*shlex.split(html.unescape(again)), cwd=Path(folder))
    assert done.returncode == 0, done.stderr
    assert all(stage["cached"] for stage in summary_of(tmp_path)["stages"].values())


@pytest.mark.parametrize(
    "arguments",
    [
        ("search=halving", "model.window=2,3"),
        ("--config-dir=conf", "experiment=mine"),
        ("--config-dir=conf", "experiment=parallel", "hydra.launcher.n_jobs=1"),
        ("hydra.searchpath=[file://conf]", "experiment=mine"),
    ],
)
def test_the_command_in_the_report_of_a_job_runs_it_alone(
    here: Path, arguments: tuple[str, ...]
) -> None:
    (here / "conf" / "experiment").mkdir(parents=True)
    for name, choice in {"mine": "search: halving", "parallel": "hydra/launcher: joblib"}.items():
        (here / "conf" / "experiment" / f"{name}.yaml").write_text(
            f"# @package _global_\ndefaults: [override /{choice}]\n"
            "hydra: {sweeper: {params: {model.window: '2,3,4'}}}\n"
        )
    small = (*SMALL, *BARE, "engine=numpy", "tracking=none", "report=none")
    done = run("-m", *small, *arguments, cwd=here)
    assert done.returncode == 0, done.stderr
    (job,) = here.glob("outputs/sweeps/*/*/2")
    again = json.loads((job / "report.json").read_bytes())["command"].rpartition("run.py ")[2]
    done = run(*shlex.split(again), WITHOUT_SCORES, cwd=here)
    assert done.returncode == 0, done.stderr
    made = json.loads((job / "summary.json").read_bytes())["stages"]["train"]
    assert summary_of(here)["stages"]["train"]["key"] == made["key"]


@pytest.mark.parametrize("place", ["cache", "cache/train"])
def test_a_file_in_place_of_a_folder_is_refused(here: Path, place: str) -> None:
    path = here / "outputs" / place
    path.parent.mkdir(parents=True)
    path.touch()
    result = run("tracking=none", *SMALL, WITHOUT_SCORES, cwd=here)
    assert result.returncode == 2
    assert re.fullmatch(
        rf"error: outputs/{place}.*: (File exists|Not a directory); "
        r"outputs must be a folder that can be written\n",
        result.stderr,
    )


HOSTILE_WORDS = (
    *("../../../escaped", "/etc/passwd", "$(touch${IFS}hacked)", "`touch;hacked`", "%s%n{0}"),
    *("<script>alert(1)</script>", "<img/src=x/onerror=alert(1)>", "=cmd|'/c", "'\";--"),
    *("\x1b[2J\x1b[31mred", "\x9b31m", "bell\x07", "back\x08space", "[bold]markup[/bold]"),
    "\u202egnp.exe",
)


@pytest.mark.long
def test_hostile_words_are_only_words(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    lines = [" ".join(HOSTILE_WORDS), " ".join(HOSTILE_WORDS[::-1])] * 60
    (here / "text.txt").write_text("\n".join(lines))
    done = run(*SMALL, "tokenizer=whitespace", "model.subsample=0", "tracking=none", cwd=here)
    assert done.returncode == 0, done.stderr
    assert all(letter.isprintable() or letter == "\n" for letter in done.stdout)
    refused = run("corpus=files", "corpus.path='\x1b[2Jnothing'", "tracking=none", cwd=here)
    assert refused.stderr.startswith("error: corpus.path=\\x1b[2Jnothing: no such file;")
    assert sorted(path.name for path in here.iterdir()) == ["outputs", "text.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    pages = list((here / "outputs").rglob("*.html"))
    assert pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "<script>alert(1)" not in text
        assert "<img/src=x" not in text


@pytest.mark.parametrize(("stages", "engine"), [(["tokenize", "vocab"], ""), (["train"], "numba")])
def test_kernels_are_compiled_ahead_only_for_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stages: list[str], engine: str
) -> None:
    config = OmegaConf.create(
        {
            **{"engine": {"name": "numba"}, "stages": stages},
            **{"outputs": str(tmp_path), "plan": False},
        }
    )
    asked = []

    @contextmanager
    def compiled(name: str) -> Iterator[None]:
        asked.append(name)
        yield

    monkeypatch.setattr(entry, "compiled_ahead", compiled)
    monkeypatch.setattr(entry, "run_tracked", lambda config, stop: None)
    monkeypatch.setattr(entry, "HydraConfig", MagicMock())
    monkeypatch.setattr("pipeline.config.schema.check_files", lambda hydra: None)
    monkeypatch.setattr(entry, "job_context", lambda shared: None)
    monkeypatch.setattr(entry, "refuse_sweep_without_multirun", lambda: None)
    monkeypatch.setattr("pipeline.config.schema.resolve", lambda composed: composed)
    entry.Program().run(config)
    assert asked == [engine]
