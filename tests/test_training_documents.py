"""Test `w2v.train` on files, texts and token lists: the vectors, interrupts and refusals.

The vectors must be bit-identical to those that the command ``pipeline/run.py`` trains.
"""

import inspect
import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import w2v
from tests.commands import ROOT, TEXT, WITHOUT_SCORES, run, summary_of, write_text
from tests.test_config import settled
from w2v import InputError, NegativeSampling, SkipGram, Softmax, TrainedModel, WordVectors
from w2v.text import token_lists
from w2v.threads import limited_threads
from w2v.training.history import Epoch, Point
from w2v.training.progress import ProgressBar

DOCUMENTS = TEXT * 30
SMALL: dict[str, Any] = {"min_count": 1, "epochs": 2, "heldout": 0.1, "threads": 1}
TINY = SkipGram(dim=8)


def small(documents: Any, objective: SkipGram | None = TINY, **settings: Any) -> TrainedModel:
    return w2v.train(documents, objective, progress=False, **{**SMALL, **settings})


def assert_equal(one: TrainedModel, other: TrainedModel) -> None:
    assert one.vectors.words == other.vectors.words
    np.testing.assert_array_equal(one.vectors.vectors, other.vectors.vectors)
    assert one.vectors.outside is not None
    assert other.vectors.outside is not None
    np.testing.assert_array_equal(one.vectors.outside, other.vectors.outside)
    assert [(e.loss, e.heldout_loss) for e in one.epochs] == [
        (e.loss, e.heldout_loss) for e in other.epochs
    ]


@pytest.mark.parametrize(("loss", "bootstrap"), [("negsample", False), ("softmax", True)])
def test_the_bits_are_those_of_the_pipeline(tmp_path: Path, loss: str, bootstrap: bool) -> None:
    write_text(tmp_path)
    done = run(
        *("corpus=files", "corpus.path=text.txt", f"loss={loss}", "model.dim=8", "seed=3"),
        *("vocab.min_count=1", "train.epochs=2", "train.heldout=0.1", "engine.threads=1"),
        *("tokenizer.phrases.passes=1", "tokenizer.phrases.threshold=0.5"),
        *("tracking=none", WITHOUT_SCORES, f"train.bootstrap={bootstrap}"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / summary_of(tmp_path)["stages"]["train"]["path"]
    objective = SkipGram(dim=8, loss=NegativeSampling() if loss == "negsample" else Softmax())
    phrases = w2v.Phrases(passes=1, threshold=0.5)
    options: dict[str, Any] = {"seed": 3, "phrases": phrases, "bootstrap": bootstrap}
    made = small(tmp_path / "text.txt", objective, **options)
    assert any("_" in word for word in made.vectors.words)
    assert_equal(made, TrainedModel.load(folder))
    assert_equal(made, TrainedModel.load(tmp_path / summary_of(tmp_path)["run_dir"]))
    assert_equal(small(DOCUMENTS, objective, **options), made)
    lists = [document.split() for document in DOCUMENTS]
    assert_equal(small(lists, objective, **options), made)


def test_the_defaults_are_those_of_the_pipeline() -> None:
    config = settled("corpus=files", "corpus.path=a.txt")
    arguments = inspect.signature(w2v.train).parameters
    for group in (config.vocab, config.train):
        for name, value in vars(group).items():
            if name == "watch":  # scores while training are computed by the pipeline
                continue
            default = arguments[name].default
            assert (list(default) if default == () else default) == value, name
    for name in ("unit", "field", "encoding", "errors", "limit"):
        assert arguments[name].default == getattr(config.corpus, name), name
    assert arguments["engine"].default == config.engine.name
    assert arguments["threads"].default == config.engine.threads
    assert arguments["seed"].default == config.seed
    assert arguments["workers"].default == config.tokenizer.workers
    assert config.tokenizer.plain() == w2v.Words()
    assert config.tokenizer.phrases == w2v.Phrases()
    assert config.objective == SkipGram()


def test_documents_are_read_once_as_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_lists, "BLOCK_TOKENS", 50)
    alive: set[int] = set()
    most = 0

    class Tokens(list[str]):
        def __del__(self) -> None:
            alive.discard(id(self))

    def documents() -> Iterator[list[str]]:
        nonlocal most
        for document in DOCUMENTS:
            tokens = Tokens(document.split())
            alive.add(id(tokens))
            most = max(most, len(alive))
            yield tokens

    made = small(documents())
    assert_equal(made, small(DOCUMENTS))
    assert most < 20
    assert made.corpus["documents"] == len(DOCUMENTS)
    assert made.corpus["bytes"] == sum(len(document) + 1 for document in DOCUMENTS)


def test_outputs_of_the_pipeline_in_a_folder_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("\n".join(DOCUMENTS))
    (tmp_path / "outputs" / "cache" / "tokenize").mkdir(parents=True)
    (tmp_path / "outputs" / "run.log").write_text("logged " * 100)
    assert_equal(small(tmp_path), small(tmp_path / "text.txt"))


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_blocks_of_token_lists_change_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = [document.split() for document in DOCUMENTS]
    lists.insert(3, [])
    monkeypatch.setattr(token_lists, "BLOCK_TOKENS", block)
    made = small((tuple(tokens) for tokens in lists), limit=50)
    assert made.corpus["documents"] == 50
    assert made.corpus["empty_documents"] == 1
    assert_equal(made, small(DOCUMENTS, limit=50))


def test_paths_folders_globs_and_lists_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(DOCUMENTS[:60]) + "\n")
    (tmp_path / "b.txt").write_text("\n".join(DOCUMENTS[60:]))
    wanted = small(DOCUMENTS)
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for given in (tmp_path, f"{tmp_path}/*.txt", paths, tuple(map(str, paths)), [f"{tmp_path}/*"]):
        assert_equal(small(given), wanted)


def test_a_function_splits_texts_and_files(tmp_path: Path) -> None:
    write_text(tmp_path)
    wanted = small([document.upper().split() for document in DOCUMENTS])
    split: Callable[[str], list[str]] = lambda text: text.upper().split(" ")  # noqa: E731
    assert_equal(small(DOCUMENTS, tokenizer=split), wanted)
    assert_equal(small(tmp_path / "text.txt", tokenizer=split), wanted)
    upper = small(DOCUMENTS, tokenizer=w2v.Words(lowercase=False))
    assert_equal(upper, small(DOCUMENTS))


def test_an_error_of_a_function_names_the_document() -> None:
    def split(text: str) -> list[str]:
        return text.split() if text != "one more" else [str(1 // 0)]

    with pytest.raises(ZeroDivisionError) as raised:
        small([*DOCUMENTS[:3], "one more"], tokenizer=split)
    assert raised.value.__notes__ == ["in document 4, which begins 'one more'"]


@pytest.mark.parametrize("name", ["there/part-{}.txt.gz", "part-{}.TXT", "part-{}.jsonl"])
def test_a_list_of_missing_files_is_no_text(name: str) -> None:
    with pytest.raises(InputError, match="no such file"):
        small([name.format(number) for number in range(300)])
    documents = [f"see {name.format(number)}" for number in range(9)] + DOCUMENTS
    assert "part" in small(documents).vectors


def test_numbers_of_numpy_are_numbers() -> None:
    assert_equal(small(DOCUMENTS, threads=np.int64(1), seed=np.int64(3)), small(DOCUMENTS, seed=3))


def test_limits_of_threads_hold_until_the_last_of_them_ends() -> None:
    def threads() -> list[int]:
        found = threadpool_info()
        return [library["num_threads"] for library in found if library["user_api"] == "blas"]

    with threadpool_limits(2):
        before = threads()
        # Two trainings in threads of one program, of which the first to start ends first.
        one, other = limited_threads(1), limited_threads(2)
        one.__enter__()
        other.__enter__()
        assert set(threads()) == {1}
        one.__exit__(None, None, None)
        assert set(threads()) == {2}
        with limited_threads(1):
            other.__exit__(None, None, None)
            assert set(threads()) == {1}
        assert threads() == before


def test_each_thread_has_its_limit_of_openmp_and_its_own_number_after_it() -> None:
    import sklearn.utils._openmp_helpers  # noqa: F401  # loads OpenMP

    meet = Barrier(2)

    def threads() -> list[int]:
        found = threadpool_info()
        return [library["num_threads"] for library in found if library["user_api"] == "openmp"]

    def work(first: bool) -> bool:
        with threadpool_limits(2):
            before = threads()
            meet.wait()
            with limited_threads(1):
                meet.wait()
                held = set(threads()) == {1}
                if not first:
                    meet.wait()
            if first:
                meet.wait()
            meet.wait()
            return held and bool(before) and threads() == before

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, [True, False])) == [True, True]


def test_a_function_changes_nothing_in_the_facts_on_the_text(tmp_path: Path) -> None:
    lines = [b"\xff !!!", b"", *(document.encode() for document in DOCUMENTS)]
    (tmp_path / "text.txt").write_bytes(b"\r\n".join(lines) + b"\r\n")
    words = small(tmp_path / "text.txt", errors="ignore", limit=5)
    texts: list[str] = []
    find = w2v.Words().tokens

    def split(text: str) -> list[str]:
        texts.append(text)
        return find(text)

    split_here = small(tmp_path / "text.txt", errors="ignore", limit=5, tokenizer=split)
    assert texts == [" !!!", *DOCUMENTS[:4]]
    assert split_here.corpus == words.corpus
    assert_equal(split_here, words)
    assert words.corpus["invalid_utf8"] == words.corpus["empty_documents"] == 1
    assert words.corpus["documents"] == 5


def test_words_are_chosen_as_by_the_settings(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("cat\ndog\nmat\n")
    every = SkipGram(dim=8, subsample=0)  # sub-sampling would leave too little of so few words
    for words in (["cat", "dog", "mat"], tmp_path / "words.txt", str(tmp_path / "words.txt")):
        assert set(small(DOCUMENTS, every, words=words, keep=["rug"]).vectors.words) == {
            *("cat", "dog", "mat", "rug")
        }
    assert "the" not in small(DOCUMENTS, drop=["the"]).vectors
    assert len(small(DOCUMENTS, max_size=5).vectors) == 5


@pytest.mark.parametrize("objective", [TINY, SkipGram(dim=8, loss=Softmax())])
def test_a_model_is_saved_and_loaded(objective: SkipGram, tmp_path: Path) -> None:
    made = small(DOCUMENTS, objective)
    made.save(tmp_path / "model")
    loaded = TrainedModel.load(tmp_path / "model")
    assert_equal(loaded, made)
    assert loaded.epochs == made.epochs
    assert loaded.points == made.points
    assert loaded.engine_state.keys() == made.engine_state.keys()
    arrays = tmp_path / "model" / "engine.npz"
    if arrays.exists():
        for damaged in (b"", arrays.read_bytes()[:40], b"PK" + arrays.read_bytes()[2:-9]):
            damaged_model = tmp_path / "damaged"
            made.save(damaged_model)
            (damaged_model / "engine.npz").write_bytes(damaged)
            with pytest.raises(InputError, match="holds no model with its history"):
                TrainedModel.load(damaged_model)
    vectors = WordVectors.load(tmp_path / "model")
    assert vectors.outside is not None
    again = small(DOCUMENTS, objective, init=vectors, epochs=1)
    assert_equal(again, small(DOCUMENTS, objective, init=made, epochs=1))
    assert_equal(again, small(DOCUMENTS, objective, init=tmp_path / "model", epochs=1))


def test_the_model_of_a_run_is_loaded_from_its_folder(tmp_path: Path) -> None:
    made = small(DOCUMENTS)
    made.save(tmp_path / "outputs" / "cache" / "train" / "key")
    run_dir = tmp_path / "outputs" / "runs" / "today"
    run_dir.mkdir(parents=True)
    summary = {"files": {"vectors": "outputs/cache/train/key/vectors.npy"}}
    (run_dir / "summary.json").write_text(json.dumps(summary))
    for path in (run_dir, run_dir / "summary.json"):
        loaded = TrainedModel.load(path)
        assert_equal(loaded, made)
        assert loaded.epochs == made.epochs


def test_vectors_without_a_history_are_no_model(tmp_path: Path) -> None:
    vectors = WordVectors(["a", "b"], np.eye(2))
    small(DOCUMENTS, SkipGram(dim=8, loss=Softmax()), engine="numpy").save(tmp_path)
    vectors.save(tmp_path)  # over a model, whose history and state are not those of these vectors
    assert sorted(file.name for file in tmp_path.iterdir()) == ["vectors.npy", "vocabulary.tsv"]
    vectors.save_word2vec(tmp_path / "file.txt")
    for path in (tmp_path, tmp_path / "file.txt"):
        with pytest.raises(InputError, match=rf"^{path}: holds no model with its history"):
            TrainedModel.load(path)


def test_saving_other_vectors_removes_the_outside_vectors(tmp_path: Path) -> None:
    small(DOCUMENTS).vectors.save(tmp_path)
    assert WordVectors.load(tmp_path).outside is not None
    WordVectors(["a", "b"], np.eye(2)).save(tmp_path)
    assert WordVectors.load(tmp_path).outside is None


def interrupt_at(monkeypatch: pytest.MonkeyPatch, *points: int) -> None:
    """Simulate Ctrl-C when training reports the given points of its history, counted from 1."""
    seen = 0

    def point(self: ProgressBar, _: Point) -> None:
        nonlocal seen
        seen += 1
        if seen in points:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressBar, "point", point)


def test_an_interrupted_training_gives_back_what_it_has_learnt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    interrupt_at(monkeypatch, 3)
    with pytest.warns(UserWarning, match=r"interrupted in epoch 3 of 9: .* with checkpoints="):
        made = small(DOCUMENTS, epochs=9, min_lr=0.025)
    assert signal.getsignal(signal.SIGINT) is handler
    assert made.interrupted
    assert len(made.epochs) == 2
    monkeypatch.undo()
    whole = small(DOCUMENTS, epochs=3, min_lr=0.025)
    np.testing.assert_array_equal(made.vectors.vectors, whole.vectors.vectors)
    assert made.words == whole.words


def test_the_same_call_continues_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"epochs": 4, "checkpoints": tmp_path}
    interrupt_at(monkeypatch, 2)
    with pytest.warns(UserWarning, match="the same call continues"):
        small(DOCUMENTS, **options)
    monkeypatch.undo()
    assert len(small(DOCUMENTS[:-1], **options).epochs) == 4  # another text: its own checkpoints
    exchanged = [
        " ".join({"cat": "dog", "dog": "cat"}.get(word, word) for word in text.split())
        for text in DOCUMENTS
    ]
    assert_equal(small(exchanged, **options), small(exchanged, epochs=4))
    resumed: list[int] = []
    monkeypatch.setattr(ProgressBar, "resume", lambda _, state: resumed.append(state.epoch))
    assert_equal(small(DOCUMENTS, **options), small(DOCUMENTS, epochs=4))
    assert resumed == [2]
    assert list(tmp_path.iterdir()) == []


def test_a_training_continues_with_checkpoints_at_other_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, 2)
    with pytest.warns(UserWarning, match="the same call continues"):
        small(DOCUMENTS, epochs=4, checkpoints=tmp_path)
    monkeypatch.undo()
    resumed: list[int] = []
    monkeypatch.setattr(ProgressBar, "resume", lambda _, state: resumed.append(state.epoch))
    small(DOCUMENTS, epochs=4, checkpoints=tmp_path, checkpoint_every=None, checkpoint_words=500)
    assert resumed == [2]
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_of_other_initial_vectors_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = SkipGram(dim=8, subwords=True, buckets=100)
    options: dict[str, Any] = {"objective": objective, "epochs": 4, "checkpoints": tmp_path}
    given = small(DOCUMENTS, objective).vectors
    words, vectors, outside, subwords = given.words, given.vectors, given.outside, given.subwords
    assert outside is not None
    assert subwords is not None
    interrupt_at(monkeypatch, 2)
    with pytest.warns(UserWarning, match="the same call continues"):
        small(DOCUMENTS, init=given, **options)
    monkeypatch.undo()
    resumed: list[int] = []
    monkeypatch.setattr(ProgressBar, "resume", lambda _, state: resumed.append(state.epoch))
    for other in (
        WordVectors(words[::-1], vectors, None, outside, subwords),
        WordVectors(words, vectors, None, -outside, subwords),
        WordVectors(words, vectors, None, outside, subwords._replace(rows=-subwords.rows)),
    ):
        small(DOCUMENTS, init=other, **options)
    assert resumed == []
    small(DOCUMENTS, init=WordVectors(words, vectors, None, outside, subwords), **options)
    assert resumed == [2]


def test_an_interrupt_after_the_last_words_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def epoch(_: ProgressBar, one: Epoch) -> None:
        if one.epoch == SMALL["epochs"]:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressBar, "epoch", epoch)
    with pytest.warns(UserWarning, match="after the last words of the training, which is complete"):
        made = small(DOCUMENTS, checkpoints=tmp_path, checkpoint_words=1)
    assert not made.interrupted
    assert len(made.epochs) == SMALL["epochs"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_a_program_that_handles_ctrl_c_itself_trains_on(
    monkeypatch: pytest.MonkeyPatch, handler: Any
) -> None:
    interrupt_at(monkeypatch, 1)
    before = signal.signal(signal.SIGINT, handler)
    try:
        made = small(DOCUMENTS)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert not made.interrupted
    assert len(made.epochs) == SMALL["epochs"]


def test_a_handler_that_python_did_not_install_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    # Python knows no handler that a C program installed before Python started.
    monkeypatch.setattr(signal, "getsignal", lambda _: None)
    assert len(small(DOCUMENTS).epochs) == SMALL["epochs"]


def test_a_second_interrupt_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def point(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressBar, "point", point)
    with pytest.raises(KeyboardInterrupt):
        small(DOCUMENTS)


def test_bars_are_drawn_unless_they_are_turned_off(capsys: pytest.CaptureFixture[str]) -> None:
    small(DOCUMENTS)
    assert capsys.readouterr() == ("", "")
    w2v.train(DOCUMENTS, TINY, **SMALL)
    drawn = capsys.readouterr().err
    assert "reading" in drawn
    assert "training: 100%" in drawn
    assert "held-out loss" in drawn


def test_no_temporary_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    small(DOCUMENTS)
    with pytest.raises(InputError):
        small(DOCUMENTS, min_count=10_000)
    assert list(tmp_path.iterdir()) == []


LISTS = [["a", "b"]]


@pytest.mark.parametrize(
    ("documents", "settings", "line"),
    [
        (None, {}, r"documents=None: a path, a list of paths, or an iterable"),
        (b"text", {}, r"documents=b'text': a path"),
        ({"a": 1}, {}, r"documents=\{'a': 1\}: a path"),
        ([], {}, r"documents: there are none"),
        ([1], {}, r"documents: the first document is 1; strings or lists"),
        ([float("nan")], {}, r"documents: the first document is nan"),
        (["a b", ["a"]], {}, r"documents: document 2 is \['a'\]; a string is needed"),
        ([["a"], "a b"], {}, r"documents: document 2 is 'a b'; a list of tokens is needed"),
        ([["a"], None], {}, r"documents: document 2 is None; a list of tokens is needed"),
        ([["a"], ["a b"]], {}, r"documents: document 2 holds the token 'a b'"),
        ([["a"], [["b"]]], {}, r"documents: document 2 holds the token \['b'\]"),
        ([["a"], [""]], {}, r"documents: document 2 holds the token ''"),
        ([["a"], ["a", 3]], {}, r"documents: document 2 holds the token 3"),
        ([["\ud800"]], {}, r"documents: document 1 holds the token '\\ud800'"),
        (["\ud800"], {}, r"the document that begins .* half of a surrogate pair"),
        ("nowhere.txt", {}, r"path=nowhere.txt: no such file"),
        ("the cat sat", {}, r"path=the cat sat: no such file.* as in \[text\]"),
        ("a\0b", {}, r"path=.*as in \[text\]"),
        ("the cat sat " * 999, {}, r"path=.*as in \[text\]"),
        ([ROOT / "README.md", 3], {}, r"documents: .*README.md is a path and 3 is none"),
        ([str(ROOT / "README.md"), "nowhere.txt"], {}, r"path=nowhere.txt: no such file"),
        (DOCUMENTS, {"dim": 3}, r"dim: no such argument.* w2v.SkipGram\(dim=...\)"),
        (DOCUMENTS, {"vector_size": 3}, r"vector_size: no such argument.*SkipGram\(dim=...\)"),
        (DOCUMENTS, {"negative": 3}, r"negative: no such argument.*Sampling\(negatives=...\)"),
        (DOCUMENTS, {"optimizer": "sgd"}, r"optimizer: no such argument.*Softmax\(optimizer=...\)"),
        (DOCUMENTS, {"alpha": 3}, r"alpha: no such argument here; did you mean lr\?"),
        (DOCUMENTS, {"epoch": 3}, r"epoch: no such argument here; did you mean epochs\?"),
        (DOCUMENTS, {"zzz": 3}, r"zzz: no such argument here; there are documents, "),
        (DOCUMENTS, {"epochs": 0}, r"epochs=0: must be at least 1"),
        (DOCUMENTS, {"lr": "fast"}, r"lr=fast: must be a number"),
        (DOCUMENTS, {"min_lr": 1.0}, r"min_lr=1.0: must be from 0 to lr=0.025"),
        (DOCUMENTS, {"heldout": 1.0}, r"heldout=1.0: must be at least 0 and below 1"),
        (DOCUMENTS, {"patience": 1, "heldout": 0.0}, r"patience=1: must be null where heldout=0"),
        (DOCUMENTS, {"objective": "softmax"}, r"objective='softmax': must be an objective"),
        (DOCUMENTS, {"objective": SkipGram(loss="x")}, r"objective: its loss is 'x'"),  # type: ignore[arg-type]
        (DOCUMENTS, {"engine": "x"}, r"engine=x: must be numba"),
        (
            DOCUMENTS,
            {"engine": "gensim", "objective": SkipGram(loss=Softmax())},
            r"loss=softmax: engine=gensim cannot train it",
        ),
        (DOCUMENTS, {"threads": 0}, r"threads=0: must be at least 1"),
        (DOCUMENTS, {"workers": 0}, r"workers=0: must be at least 1"),
        (DOCUMENTS, {"seed": -1}, r"seed=-1: must be at least 0"),
        (DOCUMENTS, {"seed": 1.5}, r"seed=1.5: must be a whole number"),
        (DOCUMENTS, {"limit": "a"}, r"limit=a: must be a whole number"),
        (DOCUMENTS, {"threads": "2"}, r"threads=2: must be a whole number"),
        (DOCUMENTS, {"max_size": "2"}, r"max_size=2: must be a whole number"),
        (DOCUMENTS, {"patience": "2"}, r"patience=2: must be a whole number"),
        (DOCUMENTS, {"max_share": "2"}, r"max_share=2: must be a number"),
        (DOCUMENTS, {"checkpoint_every": "2"}, r"checkpoint_every=2: must be a number"),
        (DOCUMENTS, {"limit": 0}, r"limit=0: must be at least 1"),
        (DOCUMENTS, {"min_count": "3"}, r"min_count=3: must be a whole number"),
        (DOCUMENTS, {"min_count": 999}, r"min_count=999: must be a count that leaves at least 2"),
        (DOCUMENTS, {"keep": "abc"}, r"keep='abc': must be a list of words"),
        (DOCUMENTS, {"keep": ["cat"], "drop": ["cat"]}, r"drop=.*'cat' is in both"),
        (DOCUMENTS, {"drop": 5}, r"drop=5: must be a file or a list of words"),
        (DOCUMENTS, {"words": []}, r"words=\[\]: must be a list of at least two words"),
        (DOCUMENTS, {"words": [1]}, r"words: holds 1; words are strings"),
        (DOCUMENTS, {"words": "nowhere.txt"}, r"words=nowhere.txt: must be a file"),
        (DOCUMENTS, {"init": 3}, r"init=3: must be a model, word vectors, or the path"),
        (DOCUMENTS, {"init": "nowhere"}, r"init=nowhere: no such file or folder"),
        (
            DOCUMENTS,
            {"init": WordVectors(["cat", "dog"], np.eye(2))},
            r"init=\(vectors\): its vectors have 2 numbers; .* w2v.SkipGram\(dim=2\)",
        ),
        (DOCUMENTS, {"unit": "file"}, r"unit=file: is for files"),
        (DOCUMENTS, {"encoding": "x"}, r"encoding=x: must be the name of a text encoding"),
        (DOCUMENTS, {"phrases": 2}, r"phrases=2: must be w2v.Phrases\(...\) or None"),
        (LISTS, {"tokenizer": str.split}, r"tokenizer=.*must be None where the documents are"),
        (DOCUMENTS, {"tokenizer": 3}, r"tokenizer=3: must be w2v.Words"),
        (
            DOCUMENTS,
            {"tokenizer": w2v.Words},
            r"tokenizer=<class 'w2v.text.tokenizer.Words'>: must be w2v.Words\(...\), "
            r"w2v.Whitespace\(...\) or a function from a text to its tokens$",
        ),
        (DOCUMENTS, {"tokenizer": str.strip}, r"documents: document 1 is '.*; a list of tokens"),
        (DOCUMENTS, {"progress": 2}, r"progress=2: must be True or False"),
        (DOCUMENTS, {"checkpoints": 5}, r"checkpoints=5: must be a folder"),
        (DOCUMENTS, {"checkpoint_every": -1.0}, r"checkpoint_every=-1.0: must be at least 0"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    documents: Any, settings: dict[str, Any], line: str
) -> None:
    with pytest.raises(InputError, match=f"^{line}") as refused:
        w2v.train(documents, **{"progress": False, "epochs": 1, "threads": 1, **settings})
    assert "\n" not in str(refused.value)


def test_memory_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("w2v.training.memory.free_memory", lambda: 1000)
    with pytest.raises(InputError, match=r"dim=8 takes .* kB of memory and 1\.0 kB is free"):
        small(DOCUMENTS)


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("w2v.training.documents.tokenize", full)
    with pytest.raises(InputError, match="the disk is full; set the environment variable TMPDIR"):
        small(DOCUMENTS)
