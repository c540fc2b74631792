"""Test that invalid input ends the command with a one-line error and exit status 2."""

import contextlib
import io
import json
import os
import shlex
from pathlib import Path

import pytest

from pipeline.config import schema
from pipeline.experiment import Experiment, check_paths
from pipeline.run import line_of
from pipeline.runtime.console import Display
from pipeline.runtime.signals import StopRequest
from pipeline.stages.base import Context
from pipeline.tracking import Tracker, track
from tests.commands import run, summary_of
from tests.test_config import composed, settled
from w2v.errors import InputError

FILES = {
    "text.txt": b"the cat sat on the mat and the dog sat on the rug\n" * 40,
    "latin.txt": "the caf\xe9\n".encode("latin-1") * 5,
    "empty.txt": b"",
    "blank.txt": b"\n \n\n",
    "signs.txt": b"!!! ...\n???\n",
    "png.txt": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "rare.txt": b"every word here stands once only\n",
    "few.txt": b"the cat and the dog sat\n",
    "list.txt": b"one\ntwo\n",
    "lonely.txt": b"one\none\ntwo\ntwo\n" * 3,
    "broken.gz": b"\x1f\x8b\x08\x00rubbish",
    "plain.gz": b"not packed at all\n",
    "cut.xz": b"\xfd7zXZ\x00\x00\x04",
    "model.kv": b"\x80\x04\x95evil.",
    "good.vec": b"2 2\na 1 2\nb 2 1\n",
    "short.vec": b"2 2\na 1 2",
    "cut.vec": b"3 2\na 1 2\nb 1",
    "many.vec": b"999999999999 2\na 1 2",
    "negative.vec": b"-3 2\na 1 2\n",
    "wide.vec": b"1 99999999\na 1 2\n",
    "nan.vec": b"1 2\nthe nan 2\n",
    "other.vec": b"2 2\nfoo 1 2\nbar 1 2\n",
    "odd.csv": b"xx,yy,1\nyy,zz,2\n",
    "cat.vec": b"1 3\ncat 1 2 3\n",
}

LONG = "x" * 300

BASE = {
    "corpus": "files",
    "corpus.path": "text.txt",
    "vocab.min_count": "1",
    "model.dim": "2",
    "engine": "numpy",
    "tracking": "none",
    "stages": "[tokenize,vocab,train]",
}

REFUSED_RUNS = {
    "corpus.path=nothing.txt": (
        "corpus.path=nothing.txt: no such file; give a path, a folder, a glob or a list"
    ),
    "corpus.path=empty.txt": ("the corpus is empty: no document was found"),
    "corpus.path=blank.txt": ("the corpus is empty: no document was found"),
    "corpus.path=signs.txt": (
        "the corpus holds no word: the tokenizer finds none in 2 documents of 12 bytes"
    ),
    "corpus.path=latin.txt": (
        "latin.txt: byte 7 (0xe9) is not UTF-8; name the encoding, as in "
        "corpus.encoding=cp1252, or set corpus.errors=replace or corpus.errors=ignore"
    ),
    "corpus.path=png.txt": ("png.txt is an image; leave it out"),
    "corpus.path=rare.txt vocab.min_count=2": (
        "vocab.min_count=2: must be a count that leaves at least 2 of 6 types, not 0; the most frequent type occurs 1 times"
    ),
    "corpus.path=lonely.txt": (
        "model.subsample=0.001: leaves no document two words of the vocabulary to learn from; set it to 0, take more words into the vocabulary or give longer documents"
    ),
    "corpus.path=lonely.txt model.subsample=0 vocab.words=list.txt": (
        "there is nothing to learn from: no document holds two words of the vocabulary; take more words into the vocabulary or give longer documents"
    ),
    "corpus.path=broken.gz": (
        "broken.gz: cannot be read (Compressed file ended before the end-of-stream "
        "marker was reached)"
    ),
    "corpus.path=plain.gz": "plain.gz: cannot be read (Not a gzipped file (b'no'))",
    "corpus.path=cut.xz": (
        "cut.xz: cannot be read (Compressed file ended before the end-of-stream marker was reached)"
    ),
    "corpus.path=[text.txt,nothing.txt]": (
        "corpus.path=nothing.txt: no such file; give a path, a folder, a glob or a list"
    ),
    "corpus.path=folder": (
        "corpus.path=folder: no such file; give a path, a folder, a glob or a list"
    ),
    "corpus.path=no/such/*.txt": (
        "corpus.path=no/such/*.txt: no such file; give a path, a folder, a glob or a list"
    ),
    "corpus=pydocs corpus.packages=[no-such-package]": (
        "corpus.packages=no-such-package: must be the name of an installed package, as pip shows it, or stdlib"
    ),
    "corpus=sst corpus.path=nothing.zip": (
        "corpus.path=nothing.zip: no such file; it must be a copy of "
        "http://nlp.stanford.edu/~socherr/stanfordSentimentTreebank.zip"
    ),
    "corpus.path=null": ("corpus.path=null: must be a path, a folder, a glob, or a list of them"),
    "corpus.unit=word": "corpus.unit=word: must be line, paragraph or file",
    "tokenizer.pattern='('": (
        "tokenizer.pattern=(: must be a regular expression (missing ), unterminated subpattern at position 0)"
    ),
    "tokenizer.pattern='a*'": (
        "tokenizer.pattern=a*: must be a pattern that does not match the empty string"
    ),
    "vocab.min_count=1000": (
        "vocab.min_count=1000: must be a count that leaves at least 2 of 8 types, not 0; the most frequent type occurs 160 times"
    ),
    "model.dim=0": "model.dim=0: must be at least 1",
    "model.dim=1e400": "model.dim: Value 'inf' of type 'float' could not be converted to Integer",
    "model.windw=3": "model.windw: no such setting here; did you mean model.window?",
    "model.window=-1": "model.window=-1: must be from 1 to 10,000",
    "model.subsample=nan": "model.subsample=nan: must be at least 0",
    "loss.logits_mb=3": "loss.logits_mb: no such setting here; it belongs to loss=softmax",
    "engine.threads=0": "engine.threads=0: must be at least 1 or null",
    "train.epochs=0": "train.epochs=0: must be at least 1",
    "train.lr=inf": "train.lr=inf: must be a finite number above 0",
    "train.lr=fast": "train.lr: Value 'fast' of type 'str' could not be converted to Float",
    "train.patience=2 train.heldout=0": (
        "train.patience=2: must be null where heldout=0: held-out text is what it is judged by"
    ),
    "corpus.path=few.txt train.patience=2": (
        "train.patience=2: nothing is held out to measure the loss on; raise heldout=0.01, or give more than 6 words"
    ),
    "train.patience=2 evaluate.every=1 train.watch=similarity/odd/spearman"
    " evaluate.similarity={odd:odd.csv,wordsim353:null,simlex999:null}": (
        "train.watch=similarity/odd/spearman: must be a score that is defined, or heldout_loss; probably too few of the benchmark's words are in the vocabulary"
    ),
    "train.checkpoint_every=-1": "train.checkpoint_every=-1.0: must be at least 0 or null",
    "train.init=nothing": (
        "train.init=nothing: no such file or folder; give a run's folder or its summary.json, a "
        "folder with vectors.npy and vocabulary.tsv, a file of word2vec (text or binary), "
        "fastText (.vec or .bin), GloVe or Parquet, or a folder of Parquet files"
    ),
    "train.init=folder": (
        "train.init=folder: holds no vectors; give a run's folder or its summary.json, a "
        "folder with vectors.npy and vocabulary.tsv, a file of word2vec (text or binary), "
        "fastText (.vec or .bin), GloVe or Parquet, or a folder of Parquet files"
    ),
    "train.init=model.kv": (
        "model.kv: byte 0: is a pickle, as gensim's save() writes it, and a pickle "
        "can run code; write the vectors by save_word2vec_format()"
    ),
    "train.init=cut.vec": (
        "cut.vec: byte 10: row 2 is b'b 1' with 1 values; a word and 2 numbers are needed"
    ),
    "train.init=many.vec": (
        "many.vec: byte 20: the file ends in row 1; the header promises 999999999999 rows"
    ),
    "train.init=negative.vec": (
        "negative.vec: byte 0: the first line is b'-3 2'; the header 'words dimensions', or a "
        "word and its numbers are needed"
    ),
    "train.init=wide.vec": (
        "wide.vec: byte 0: 99999999 dimensions are promised; 1 to 65536 are read"
    ),
    "train.init=nan.vec": "nan.vec: the vector of 'the' holds NaN or an infinity or is no float32",
    "train.init=other.vec": (
        "train.init=other.vec: none of its 2 words is among the 8 of the vocabulary"
    ),
    "train.init=cat.vec": (
        "train.init=cat.vec: its vectors have 3 numbers, and dim is 2; the two must be equal"
    ),
    "cache.verify=md5": "cache.verify=md5: must be size or sha256",
    "stages=[all]": "stages=[all]: must be some of [tokenize, vocab, train, evaluate]",
    "seed=none": "seed: Value 'none' of type 'str' could not be converted to Integer",
    "+extra=1": "extra: no such setting here; did you mean cluster.text?",
    "~seed": "seed is not set; give it as seed=...",
    "model": "model: not of the form key=value, with every bracket and quote closed",
    "seed=${sed}": "seed: Interpolation key 'sed' not found",
    "model.window=1000000000": "model.window=1000000000: must be from 1 to 10,000",
    "vocab.drop=no.txt": "vocab.drop=no.txt: must be a file that can be read (No such file or directory)",
    "tokenizer.phrases.from_=no.csv": "tokenizer.phrases.from=no.csv: must be a folder with phrases.csv, or such a file (No such file or directory)",
    "vocab.words=/dev/zero": ("vocab.words=/dev/zero: must be a file of one word a line"),
    "tracking=mlflow tracking.experiment=''": "tracking.experiment='': must be a name",
    "evaluate.vectors=nowhere stages=[evaluate]": (
        "evaluate.vectors=nowhere: no such file or folder; give a run's folder or its "
        "summary.json, a folder with vectors.npy and vocabulary.tsv, a file of word2vec (text "
        "or binary), fastText (.vec or .bin), GloVe or Parquet, or a folder of Parquet files"
    ),
    "evaluate.vectors=short.vec stages=[evaluate]": (
        "short.vec: byte 9: the file ends in row 1; the header promises 2 rows"
    ),
    "evaluate.vectors=short.vec stages=[evaluate] evaluate.use=v+u": (
        "evaluate.vectors=short.vec: has no outside_vectors.npy beside it, which use=v+u needs; "
        "give use=v"
    ),
    "evaluate.vectors=good.vec stages=[evaluate] evaluate.similarity.mine=nowhere": (
        "evaluate.similarity.mine=nowhere: cannot be read (No such file or directory)"
    ),
    f"evaluate.vectors={LONG} stages=[evaluate]": (
        f"evaluate.vectors={LONG}: cannot be read (File name too long)"
    ),
    f"evaluate.vectors=good.vec stages=[evaluate] evaluate.compare={LONG}": (
        f"evaluate.compare={LONG}: cannot be read (File name too long)"
    ),
    f"evaluate.vectors=good.vec stages=[evaluate] evaluate.counts={LONG}": (
        f"evaluate.counts={LONG}: no such file of words and counts"
    ),
    f"evaluate.vectors=good.vec stages=[evaluate] evaluate.analogy.mine={LONG}": (
        f"evaluate.analogy.mine={LONG}: cannot be read (File name too long)"
    ),
    "evaluate.vectors=good.vec stages=[evaluate] evaluate.similarity.men=gensim": (
        "evaluate.similarity: no benchmark is named 'men'; there are wordsim353, simlex999, google"
    ),
}
"""Settings that the schema or the stages reject, and the error message."""

REFUSED_STORES = {
    "tracking.uri=sqlite://": (
        "tracking.uri=sqlite://: names no file, so all would be lost with the run"
    ),
    "tracking.uri=sqlite:///text.txt": (
        "tracking.uri=sqlite:///text.txt: cannot be used (file is not a database)"
    ),
    "tracking.uri=mysql://a": "tracking.uri=mysql://a: cannot be used (No module named 'MySQLdb')",
    "tracking.uri='http://[::1'": "tracking.uri=http://[::1: cannot be used (Invalid IPv6 URL)",
}
"""MLflow stores that are refused, each with the error message."""

REFUSED_COMMANDS = {
    "tracking=mlflow tracking.uri=http://127.0.0.1:9": (
        "tracking.uri=http://127.0.0.1:9: cannot be used (Connection refused)"
    ),
    "tracking=mlflow tracking.uri=sqlite:///folder": (
        "tracking.uri=sqlite:///folder: cannot be used (folder is a folder)"
    ),
    "tracking=mlflow outputs=a?b": (
        "outputs=a?b: MLflow cannot keep its database in a folder with ? or %20 and the like in "
        "its path (HERE/a?b); rename it, or set tracking=none"
    ),
    "hydra.job.chdir=true": (
        "hydra.job.chdir=true: must be false; paths start where the command is given"
    ),
    "search=optuna": "search=optuna: needs -m, as in python pipeline/run.py -m COMMAND",
    "experiment=compare_windows": (
        "experiment=compare_windows: needs -m, as in python pipeline/run.py -m COMMAND"
    ),
    "tracking=mlflow evaluate.similarity.men=no.csv stages=[evaluate]": (
        "evaluate.similarity.men=no.csv: cannot be read (No such file or directory)"
    ),
    "evaluate.vectors=short.vec stages=[evaluate]": (
        "short.vec: byte 9: the file ends in row 1; the header promises 2 rows"
    ),
    "outputs=/proc/nothing": (
        "/proc/nothing: No such file or directory; outputs must be a folder that can be written"
    ),
}
"""Settings that the command refuses, each with the error message. They are tested by the whole
command, because `run_stages` does not call the code that refuses most of them: the code for Hydra,
for tracking and for the outputs folder."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refusals")
    (folder / "folder").mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


def overrides_of(settings: str) -> list[str]:
    """Return the arguments of a run: those in `settings`, and the defaults in `BASE` for others.

    `settings` has arguments ``key=value``, separated by spaces.
    """
    given = settings.split(" ")
    keys = {text.partition("=")[0] for text in given}
    base = {key: value for key, value in BASE.items() if key not in keys}
    if "corpus" in keys:
        base.pop("corpus.path", None)
    return [*(f"{key}={value}" for key, value in base.items()), *given]


def run_stages(overrides: list[str], run_dir: Path) -> None:
    """Run the stages of an experiment in this process, without MLflow."""
    plain = all("=" in text and text[0] not in "+~" for text in overrides)
    config = settled(*overrides) if plain else schema.resolve(composed(*overrides))
    check_paths(config)
    display = Display(io.StringIO())
    context = Context(config, display, Tracker(), StopRequest(), cores=1, threads=1)
    Experiment(context).run(run_dir)


@pytest.mark.parametrize("settings", REFUSED_RUNS)
def test_a_run_is_refused_in_one_line(settings: str, here: Path) -> None:
    with contextlib.chdir(here), pytest.raises(Exception) as refusal:  # noqa: PT011
        run_stages(overrides_of(settings), here)
    assert line_of(refusal.value, starting=False) == REFUSED_RUNS[settings]


@pytest.mark.parametrize("setting", REFUSED_STORES)
def test_a_store_is_refused_in_one_line(setting: str, here: Path) -> None:
    tracking = settled(setting).tracking
    with contextlib.chdir(here), pytest.raises(InputError) as refusal:
        track(tracking, Path("outputs"), "run", {}, {}).__enter__()
    assert str(refusal.value) == REFUSED_STORES[setting]


SLOW = "tracking=mlflow tracking.uri=http://127.0.0.1:9"


@pytest.mark.parametrize(
    "settings",
    [pytest.param(s, marks=pytest.mark.long if s == SLOW else ()) for s in REFUSED_COMMANDS],
)
def test_a_command_is_refused_in_one_line(settings: str, here: Path) -> None:
    given = overrides_of(settings)
    wanted = REFUSED_COMMANDS[settings].replace("HERE", str(here))
    wanted = wanted.replace("COMMAND", shlex.join(given))
    done = run(*given, cwd=here)
    assert (done.returncode, done.stderr) == (2, f"error: {wanted}\n")


def test_a_configuration_cannot_make_hydra_run_a_program(tmp_path: Path) -> None:
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "hostile.yaml").write_text(
        "# @package _global_\n"
        "hydra: {callbacks: {x: {_target_: os.system, command: touch HACKED}}}\n"
    )
    done = run("--config-dir", "conf", "experiment=hostile", "tracking=none", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: Target 'os.system'")
    assert [path.name for path in tmp_path.iterdir()] == ["conf"]


GLOBAL = "the first line must be '# @package _global_'; without it, the file has no effect"

SETTINGS_FILES = {
    b"model: {dim: 7}\nseed: 3\n": f"experiment/mine.yaml: {GLOBAL}",
    b"# mine\n# @package _global_\nseed: 3\n": f"experiment/mine.yaml: {GLOBAL}",
    b"# @package _global_\ndefaults: [/experiment/other]\n": f"experiment/other.yaml: {GLOBAL}",
    b"defaults:\n- override /loss: softmax\nseed: 3\n": f"experiment/mine.yaml: {GLOBAL}",
    b"": f"experiment/mine.yaml: {GLOBAL}",
    b"# @package _global_\nmodel: {dimm: 7}\n": (
        "experiment/mine.yaml: model.dimm: no such setting here; did you mean model.dim?"
    ),
    b"# @package _global_\nseed: yes\n": (
        "experiment/mine.yaml: seed: Value 'True' of type 'bool' could not be converted to Integer"
    ),
    b"# @package _global_\nmodel:\n\tdim: 7\n": "HERE/mine.yaml: line 3, column 1: is not YAML: ",
    b"# @package _global_\nseed: [3\n": "HERE/mine.yaml: line 3, column 1: is not YAML: ",
    b"# @package _global_\nseed: 3\nseed: 4\n": (
        "HERE/mine.yaml: line 3, column 1: is not YAML: found duplicate key seed"
    ),
    b"# @package _global_\nseed: 3 # caf\xe9\n": (
        "line 2 of a file of settings is not UTF-8; convert the file"
    ),
    b"# @package _global_\ndefaults: softmax\n": (
        "Invalid defaults list in 'experiment/mine', defaults must be a list (got str)"
    ),
}
"""The contents of invalid files of settings, and the error message."""


@pytest.mark.parametrize("content", SETTINGS_FILES)
def test_a_file_of_settings_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_bytes(content)
    (folder / "other.yaml").write_text("seed: 3\n")
    done = run("tracking=none", "--config-dir", "conf", "experiment=mine", cwd=tmp_path)
    wanted = SETTINGS_FILES[content].replace("HERE", str(folder))
    # PyYAML's two parsers describe an error in different words, so only the beginning is compared.
    assert done.stderr.startswith(f"error: {wanted}")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("mode", [["--cfg", "job"], ["-m", "seed=0,1"]])
@pytest.mark.parametrize("content", [b"seed: 3\n", b"# @package _global_\nseed: 3 # caf\xe9\n"])
def test_a_file_of_settings_is_refused_by_options_too(
    content: bytes, mode: list[str], tmp_path: Path
) -> None:
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_bytes(content)
    done = run("tracking=none", "--config-dir", "conf", "experiment=mine", *mode, cwd=tmp_path)
    wanted = SETTINGS_FILES.get(content, f"experiment/mine.yaml: {GLOBAL}")
    assert (done.returncode, done.stderr) == (2, f"error: {wanted}\n")


def test_a_variable_that_the_environment_lacks_is_named(tmp_path: Path) -> None:
    done = run("hydra.job.env_copy=[W2V_NO_SUCH]", cwd=tmp_path)
    wanted = "error: hydra.job.env_copy: the environment has no variable W2V_NO_SUCH\n"
    assert (done.returncode, done.stderr) == (2, wanted)


def test_options_that_exclude_each_other_are_refused_in_the_words_of_hydra(tmp_path: Path) -> None:
    done = run("-m", "seed=1", "--cfg", "job", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: Only one of --run, --multirun, --cfg, --info and ")


def test_a_passage_held_out_of_few_documents_is_reported(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("one two three four five " * 40)
    given = "corpus=files corpus.path=one.txt vocab.min_count=1 stages=[tokenize,vocab,train]"
    done = run(
        *f"tracking=none engine=numpy model.dim=4 train.epochs=1 {given}".split(), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "  documents are few (1): a passage of the text is held out\n" in done.stdout


def test_a_setting_is_refused_before_any_work(here: Path, tmp_path: Path) -> None:
    done = run(*overrides_of("model.window=0"), f"outputs={tmp_path}/outputs", cwd=here)
    assert (done.returncode, done.stderr) == (
        2,
        "error: model.window=0: must be from 1 to 10,000\n",
    )
    assert not (tmp_path / "outputs" / "cache").exists()
    assert not (tmp_path / "outputs" / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ("", REFUSED_RUNS["train.init=cat.vec"]),
        ("model.dim=3 model.subwords=true", "train.init=cat.vec: its words have no n-grams; "),
    ],
)
def test_vectors_that_do_not_fit_are_refused_before_any_work(
    settings: str, line: str, here: Path, tmp_path: Path
) -> None:
    outputs = tmp_path / "outputs"
    overrides = overrides_of(f"train.init=cat.vec outputs={outputs} {settings}".strip())
    with contextlib.chdir(here), pytest.raises(InputError) as refusal:
        run_stages(overrides, tmp_path)
    assert str(refusal.value).startswith(line)
    assert not outputs.exists()


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    name = os.fsdecode(b"b\xff.txt")
    done = run(f"corpus.path='{name}'", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: corpus.path='b\\udcff.txt': a name that is not UTF-8; rename the file"
    )


@pytest.mark.parametrize("path", ["texts", "texts/*.txt"])
def test_files_with_names_that_are_not_utf_8_are_read(tmp_path: Path, path: str) -> None:
    (tmp_path / "texts").mkdir()
    file = tmp_path / "texts" / os.fsdecode(b"b\xff.txt")
    file.write_bytes(FILES["text.txt"])
    (tmp_path / "texts" / os.fsdecode(b"c\xff")).symlink_to(".")
    done = run(*overrides_of(f"stages=[tokenize] corpus.path={path}"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert ("texts/c\\xff left out" in done.stdout) == (path == "texts")
    result = tmp_path / summary_of(tmp_path)["stages"]["tokenize"]["path"]
    manifest = json.loads((result / "manifest.json").read_bytes())
    assert [*manifest["inputs"]] == ["texts/b\\xff.txt"]
    assert manifest["input_bytes"] == file.stat().st_size
