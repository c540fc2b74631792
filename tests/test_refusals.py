"""Bad input and settings, by real processes: the line that each prints, and status 2."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forks import Forks, forks

FILES = {
    "text.txt": b"the cat sat on the mat and the dog sat on the rug\n" * 40,
    "latin.txt": "the caf\xe9\n".encode("latin-1") * 5,
    "empty.txt": b"",
    "blank.txt": b"\n \n\n",
    "signs.txt": b"!!! ...\n???\n",
    "png.txt": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "rare.txt": b"every word here stands once only\n",
    "lonely.txt": b"one\none\ntwo\ntwo\n" * 3,
    "broken.gz": b"\x1f\x8b\x08\x00rubbish",
    "plain.gz": b"not packed at all\n",
    "cut.xz": b"\xfd7zXZ\x00\x00\x04",
    "model.kv": b"\x80\x04\x95evil.",
    "cut.vec": b"3 2\na 1 2\nb 1",
    "many.vec": b"999999999999 2\na 1 2\n",
    "negative.vec": b"-3 2\na 1 2\n",
    "wide.vec": b"1 99999999\na 1 2\n",
    "nan.vec": b"1 2\nthe nan 2\n",
    "other.vec": b"2 2\nfoo 1 2\nbar 1 2\n",
    "cat.vec": b"1 3\ncat 1 2 3\n",
}

BASE = {
    "corpus": "files",
    "corpus.path": "text.txt",
    "vocab.min_count": "1",
    "model.dim": "2",
    "engine": "numpy",
    "tracking": "none",
    "stages": "[tokenize,vocab,train]",
}

REFUSALS = {
    "corpus.path=nothing.txt": (
        "corpus.path=nothing.txt: no such file; give a path, a folder, a glob or a list"
    ),
    "corpus.path=empty.txt": (
        "the corpus is empty: no document was found; corpus.path must hold text"
    ),
    "corpus.path=blank.txt": (
        "the corpus is empty: no document was found; corpus.path must hold text"
    ),
    "corpus.path=signs.txt": (
        "the corpus holds no word: the tokenizer finds none in 2 documents of 12 bytes"
    ),
    "corpus.path=latin.txt": (
        "latin.txt: byte 7 (0xe9) is not UTF-8; "
        "convert the file to UTF-8, or set corpus.errors=replace or ignore"
    ),
    "corpus.path=png.txt": (
        "png.txt: byte 0 (0x89) is not UTF-8; "
        "convert the file to UTF-8, or set corpus.errors=replace or ignore"
    ),
    "corpus.path=rare.txt vocab.min_count=2": (
        "vocab.min_count=2 leaves 0 of 6 types, and at least 2 are needed; the most "
        "frequent type occurs 1 times"
    ),
    "corpus.path=lonely.txt": (
        "there is nothing to learn from: sub-sampling leaves no document two words of the "
        "vocabulary; "
        "lower vocab.min_count, set model.subsample=0 or give longer documents"
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
        "corpus.packages: 'no-such-package' is not installed; name installed packages as "
        "pip does, or 'stdlib'"
    ),
    "corpus=sst corpus.path=nothing.zip": (
        "corpus.path=nothing.zip: no such file; see conf/corpus/sst.yaml"
    ),
    "corpus.path=null": "corpus.path=None: must be a path, a folder, a glob, or a list of them",
    "corpus.unit=word": "corpus.unit=word: must be line or file",
    "tokenizer.pattern='('": (
        "tokenizer.pattern='(': not a regular expression (missing ), unterminated "
        "subpattern at position 0)"
    ),
    "tokenizer.pattern='a*'": (
        "tokenizer.pattern='a*' matches the empty string; a token has at least one character"
    ),
    "vocab.min_count=1000": (
        "vocab.min_count=1000 leaves 0 of 8 types, and at least 2 are needed; the most "
        "frequent type occurs 160 times"
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
        "train.patience=2: must be null where train.heldout=0: held-out text judges"
    ),
    "train.patience=2 train.heldout=0.001": (
        "train.patience=2: no document is held out to judge by; raise "
        "train.heldout=0.001, or give more than 40 documents"
    ),
    "train.checkpoint_every=-1": "train.checkpoint_every=-1.0: must be at least 0 or null",
    "train.init=nothing": (
        "train.init=nothing: no such file; give the folder of a trained model or a file "
        "in word2vec's format"
    ),
    "train.init=folder": (
        "train.init=folder: no such file; give the folder of a trained model or a file "
        "in word2vec's format"
    ),
    "train.init=model.kv": (
        "train.init=model.kv: is a pickle, as gensim's save() writes it, and a pickle "
        "can run code; write the vectors by save_word2vec_format()"
    ),
    "train.init=cut.vec": (
        "cut.vec: byte 10: row 2 is b'b 1' with 1 values; a word and 2 numbers are needed"
    ),
    "train.init=many.vec": (
        "many.vec: byte 21: the file ends in row 2; the header promises 999999999999 rows"
    ),
    "train.init=negative.vec": (
        "negative.vec: byte 0: the header is b'-3 2\\n'; 'words dimensions' is needed"
    ),
    "train.init=wide.vec": (
        "wide.vec: byte 0: 99999999 dimensions are promised; 1 to 65536 are read"
    ),
    "train.init=nan.vec": "nan.vec: the vector of 'the' holds NaN or an infinity or is no float32",
    "train.init=other.vec": (
        "train.init=other.vec: none of its 2 words is among the 8 of the vocabulary"
    ),
    "train.init=cat.vec": "train.init=cat.vec: its vectors have 3 numbers; set model.dim=3, not 2",
    "cache.verify=md5": "cache.verify=md5: must be size or sha256",
    "evaluate.probes=[zebra] stages=[tokenize,vocab,train,evaluate]": (
        "evaluate.probes: zebra not in the vocabulary"
    ),
    "stages=[all]": "stages=['all']: must be some of [tokenize, vocab, train, evaluate]",
    "seed=none": "seed: Value 'none' of type 'str' could not be converted to Integer",
    "+extra=1": "extra: no such setting here; did you mean train?",
    "~seed": "seed is not set; give it as seed=...",
    "model": (
        "model: not of the form key=value; a value with special characters stands in "
        "quotes, as in \"key='a b'\""
    ),
    "seed=${sed}": "seed: Interpolation key 'sed' not found",
    "tracking=mlflow tracking.uri=http://127.0.0.1:9": (
        "tracking.uri=http://127.0.0.1:9: cannot be used (Connection refused)"
    ),
    "tracking=mlflow tracking.uri=sqlite://": (
        "tracking.uri=sqlite://: names no file, so all would be lost with the run"
    ),
    "tracking=mlflow tracking.uri=sqlite:///folder": (
        "tracking.uri=sqlite:///folder: cannot be used (folder is a folder)"
    ),
    "tracking=mlflow tracking.uri=sqlite:///text.txt": (
        "tracking.uri=sqlite:///text.txt: cannot be used (file is not a database)"
    ),
    "tracking=mlflow tracking.uri=mysql://a": (
        "tracking.uri=mysql://a: cannot be used (No module named 'MySQLdb')"
    ),
    "tracking=mlflow tracking.uri='http://[::1'": (
        "tracking.uri=http://[::1: cannot be used (Invalid IPv6 URL)"
    ),
    "tracking=mlflow outputs=a?b": (
        "outputs=a?b: MLflow cannot keep its database in a folder with ? or %20 and the like in "
        "its path (HERE/a?b); rename it, or set tracking=none"
    ),
    "model.window=1000000000": "model.window=1000000000: must be from 1 to 10,000",
    "vocab.words=/dev/zero": "vocab.words=/dev/zero: is no file; give one word a line",
    "hydra.job.chdir=true": (
        "hydra.job.chdir=true: must be false; paths start where the command is given"
    ),
    "search=optuna": "search=optuna: needs -m, as in python pipeline/run.py -m COMMAND",
    "experiment=compare_windows": (
        "experiment=compare_windows: needs -m, as in python pipeline/run.py -m COMMAND"
    ),
    "tracking=mlflow tracking.experiment=''": "tracking.experiment='': must be a name",
    "outputs=/proc/nothing": (
        "/proc/nothing: No such file or directory; outputs must be a folder that can be written"
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Forks]:
    with forks() as server:
        yield server


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refusals")
    (folder / "folder").mkdir()
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_the_table_is_long() -> None:
    assert len(REFUSALS) >= 40


@pytest.mark.parametrize("settings", REFUSALS)
def test_bad_input_prints_its_line_and_exits_with_2(
    settings: str, server: Forks, here: Path
) -> None:
    given = settings.split(" ")
    named = {text.partition("=")[0] for text in given}
    base = [f"{key}={value}" for key, value in BASE.items() if key not in named]
    if "corpus" in named and "corpus.path" not in named:
        base.remove("corpus.path=text.txt")
    started = server.start((*base, *given), here)
    status, said = started.wait(), started.out.read_text()
    *before, last = said.removesuffix("\n").split("\n")
    wanted = REFUSALS[settings].replace("HERE", str(here))
    wanted = wanted.replace("COMMAND", shlex.join([*base, *given]))
    assert (status, last) == (2, f"error: {wanted}"), said
    # What comes before it, if anything, is what was finished.
    assert all(line.startswith(("tokenize ", "vocab ", "train ", "  epoch ")) for line in before)
