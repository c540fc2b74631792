"""Test phrase detection against gensim and plain loops."""

import math
import tempfile
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gensim.models.phrases import ENGLISH_CONNECTOR_WORDS
from gensim.models.phrases import Phrases as GensimPhrases
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import naive
from w2v.settings import SettingError
from w2v.text import phrases
from w2v.text.docstrings import PyDocs
from w2v.text.phrases import PHRASES, Joined, Phrase, Phrases, join_phrases, write_phrases
from w2v.text.tokens import read_types

Documents = list[list[str]]


def write(folder: Path, documents: Documents) -> None:
    """Write documents, given as lists of words, as a tokenized corpus."""
    types = list(dict.fromkeys(word for document in documents for word in document))
    number = {word: i for i, word in enumerate(types)}
    ids = np.array([number[word] for document in documents for word in document], np.int32)
    np.save(folder / "tokens.npy", ids)
    np.save(folder / "offsets.npy", np.cumsum([0, *map(len, documents)]).astype(np.int64))
    np.save(folder / "counts.npy", np.bincount(ids, minlength=len(types)).astype(np.int64))
    (folder / "types.txt").write_text("".join(f"{word}\n" for word in types), encoding="utf-8")


def read(folder: Path) -> Documents:
    """Read the documents of a tokenized corpus, and check that its files are consistent."""
    types, counts = read_types(folder)
    tokens = np.load(folder / "tokens.npy", allow_pickle=False)
    offsets = np.load(folder / "offsets.npy", allow_pickle=False)
    assert [array.dtype.name for array in (tokens, offsets, counts)] == ["int32", "int64", "int64"]
    assert offsets[-1] == len(tokens)
    assert len(set(types)) == len(types)
    assert counts.tolist() == np.bincount(tokens, minlength=len(types)).tolist()
    assert list(dict.fromkeys(tokens.tolist())) == list(range(len(types)))
    assert {path.name for path in folder.iterdir()} == set(phrases.FILES)
    words = [types[i] for i in tokens]
    return [words[a:b] for a, b in pairwise(offsets.tolist())]


def joined(documents: Documents, wanted: Phrases, window: int) -> tuple[Documents, Joined]:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(phrases, "WINDOW", window)
        write(Path(name), documents)
        result = join_phrases(Path(name), wanted)
        after = read(Path(name))
    assert result.tokens == sum(map(len, after))
    assert result.types == len({word for document in after for word in document})
    return after, result


WORDS = st.sampled_from(["a", "b", "c", "a_b", "b_c", "_", "a_", "of", "the", "of_the"])
TEXTS = st.lists(st.lists(WORDS, max_size=12), min_size=1, max_size=8).filter(any)


@example([["of_the"]], 1, ("default", 0.5), 1, ("of_the",), 1)
@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    documents=TEXTS,
    passes=st.integers(0, 3),
    rule=st.sampled_from([("default", 0.5), ("default", 2.0), ("npmi", -0.5), ("npmi", 0.3)]),
    min_count=st.integers(1, 3),
    connectors=st.sampled_from([(), ("of", "the"), ("of_the", "of", "zz")]),
    window=st.integers(1, 40),
)
def test_phrases_are_those_of_the_oracle(
    documents: Documents,
    passes: int,
    rule: Any,
    min_count: int,
    connectors: tuple[str, ...],
    window: int,
) -> None:
    scoring, threshold = rule
    wanted = Phrases(passes, threshold, min_count, scoring, "_", connectors)
    after, result = joined(documents, wanted, window)
    text = documents
    for number in range(1, passes + 1):
        before = text
        text, scores = naive.joined_phrases(
            before, "_", connectors, threshold, min_count, scoring == "npmi"
        )
        ours = {phrase.words: phrase for phrase in result.phrases if phrase.number == number}
        assert {words: phrase.score for words, phrase in ours.items()} == pytest.approx(
            scores, rel=1e-12
        )
        lost = sum(map(len, before)) - sum(map(len, text))
        assert lost == sum(p.joined * p.words.count(" ") for p in ours.values())
        assert all(0 <= phrase.joined <= phrase.occurrences for phrase in ours.values())
    assert after == text
    # The phrases that were found join the same words in the same text.
    with tempfile.TemporaryDirectory() as name:
        write_phrases(Path(name) / PHRASES, result.phrases)
        assert joined(documents, Phrases(from_=name), window) == (after, result)


CORPORA = Path(__file__).parents[1] / ".." / "shared" / "corpora"


@pytest.fixture(scope="module")
def real_text() -> Documents:
    """Return the documents of a real text, as lists of words.

    They are sentences of the Stanford Sentiment Treebank or, if its file is missing, some of
    NumPy's docstrings.
    """
    path = CORPORA / "sst.txt"
    if path.is_file():
        lines = path.read_text(encoding="utf-8").split("\n")[:3000]
    else:
        lines = list(islice(PyDocs(("numpy",)).documents(), 600))
    return [line.lower().split() for line in lines]


@pytest.mark.parametrize(
    ("scoring", "threshold", "connectors"),
    [
        ("default", 10.0, frozenset()),
        ("default", 3.0, ENGLISH_CONNECTOR_WORDS),
        ("npmi", 0.4, ENGLISH_CONNECTOR_WORDS),
    ],
)
def test_gensim_finds_the_same_phrases(
    scoring: Any, threshold: float, connectors: frozenset[str], real_text: Documents
) -> None:
    text = real_text
    wanted = Phrases(2, threshold, 5, scoring, "_", tuple(connectors))
    after, result = joined(text, wanted, 50_000)
    for number in (1, 2):
        model = GensimPhrases(
            text,
            min_count=5,
            threshold=threshold,
            scoring=scoring,
            connector_words=connectors,
            delimiter="_",
        )
        found: dict[str, float] = {}
        analyzed = [list(model.analyze_sentence(document)) for document in text]
        for sentence in analyzed:
            found |= {token: score for token, score in sentence if score is not None}
        ours = [p for p in result.phrases if p.number == number and p.joined]
        assert {phrase.phrase: phrase.score for phrase in ours} == found  # equal to the last bit
        assert len(found) > 20
        text = [[token for token, _ in sentence] for sentence in analyzed]
    assert after == text


def test_the_size_of_windows_does_not_matter() -> None:
    random = np.random.default_rng(0)
    words = np.array(["a", "b", "c", "d", "e", "of", "the"])
    documents = [
        words[random.zipf(1.6, n) % len(words)].tolist() for n in (0, 3000, 1, 0, 0, 40, 1000, 0)
    ]
    wanted = Phrases(3, 0.02, 2, "default", "_", ("of", "the"))
    whole = joined(documents, wanted, 1 << 20)
    assert len(whole[1].phrases) > 3
    for window in (30, 64, 1000):
        assert joined(documents, wanted, window) == whole


def test_overlapping_pairs_are_joined_from_the_left_within_documents() -> None:
    documents = [["a"] * 5, ["a"], ["a"] * 2, []]
    after, result = joined(documents, Phrases(1, 0.01, 1), 3)
    assert after == [["a_a", "a_a", "a"], ["a"], ["a_a"], []]
    assert [(p.words, p.occurrences, p.joined) for p in result.phrases] == [("a a", 5, 3)]


def test_phrases_of_another_corpus_are_joined(tmp_path: Path) -> None:
    there = [["new", "york", "bank", "of", "america"], ["big", "new", "york"]] * 4
    _, learnt = joined(there, Phrases(2, 0.01, 1, "default", "-", ("of",)), 50)
    write_phrases(tmp_path / "p.csv", learnt.phrases)
    here = [["york", "new", "york"], ["bank", "of", "us", "bank", "of", "america"], ["new-york"]]
    after, result = joined(here, Phrases(from_=str(tmp_path / "p.csv")), 50)
    expected = [["york", "new-york"], ["bank", "of", "us", "bank-of-america"], ["new-york"]]
    assert after == expected
    assert {p.phrase: p.joined for p in result.phrases if p.joined} == {
        "new-york": 1,
        "bank-of-america": 1,
    }
    assert len(result.phrases) == len(learnt.phrases)
    (tmp_path / "p.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "p.csv").read_bytes())
    assert joined(here, Phrases(from_=tmp_path / "p.csv"), 50)[0] == expected  # type: ignore[arg-type]
    assert joined([["none", "here"]], Phrases(from_=str(tmp_path / "p.csv")), 50)[0] == [
        ["none", "here"]
    ]


def test_the_fingerprint_depends_on_the_phrases_not_on_their_place(tmp_path: Path) -> None:
    one, other = tmp_path / "one.csv", tmp_path / PHRASES
    phrase = Phrase(1, "new york", "new_york", 12.5, 9, 8)
    write_phrases(one, [phrase])
    write_phrases(other, [phrase])
    prints = Phrases(from_=str(one)).fingerprint()
    assert prints == Phrases(from_=str(tmp_path)).fingerprint()
    write_phrases(one, [phrase._replace(words="new jersey")])
    assert prints != Phrases(from_=str(one)).fingerprint()
    assert not Phrases().wanted
    assert Phrases().fingerprint()["from_"] is None


HEADER = "pass,words,phrase,score,occurrences,joined\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "a folder with phrases.csv, or such a file (No such file or directory)"),
        ("new york\n", "the phrases.csv of another corpus; it is damaged (its columns are others)"),
        (f"{HEADER}1,new york\n", "the phrases.csv of another corpus; it is damaged (row 1)"),
        (
            f"{HEADER}1,a b,a_b,2.5,x,3\n",
            "the phrases.csv of another corpus; it is damaged (row 1)",
        ),
        (
            f"{HEADER}1,a b,a b,2.5,3,3\n",
            "the phrases.csv of another corpus; it is damaged (row 1)",
        ),
        (f"{HEADER}1,a,a,2.5,3,3\n", "the phrases.csv of another corpus; it is damaged (row 1)"),
    ],
)
def test_a_file_without_phrases_is_refused(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    path = tmp_path / "p.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingError) as refusal:
        Phrases(from_=str(path)).fingerprint()
    assert str(refusal.value) == f"from_={path}: must be {reason}"


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(SettingError, match=r"x: must be a folder .* \(File name too long\)$"):
        Phrases(from_="x" * 300).fingerprint()


def test_many_connectors_in_a_row() -> None:
    documents = [["the"] * 9, ["bank", *["of", "the"] * 20, "us"] * 2, ["of", "us", "of"]]
    wanted = Phrases(1, 0.01, 1, connectors=("of", "the"))
    after, _ = joined(documents, wanted, 4)
    phrase = "_".join(documents[1][:42])
    assert after == [["the"] * 9, [phrase, phrase], ["of", "us", "of"]]


def test_without_phrases_the_corpus_stays_the_same(tmp_path: Path) -> None:
    write(tmp_path, [["a", "b"], ["c"]])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    passes: list[int] = []
    result = join_phrases(tmp_path, Phrases(passes=5), lambda number, _: passes.append(number))
    assert (result.phrases, result.tokens, result.types) == ([], 3, 3)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert set(passes) == {1}  # a pass without phrases is the last


def test_progress_rises_to_1(tmp_path: Path) -> None:
    write(tmp_path, [["a", "b", "c"] * 9] * 50)
    states: list[tuple[int, float]] = []
    join_phrases(tmp_path, Phrases(2, 1e-6, 1), lambda *state: states.append(state))
    assert states == sorted(states)
    assert states[-1] == (2, 1.0)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"passes": -1}, "passes=-1: must be at least 0"),
        ({"threshold": 0.0}, "threshold=0.0: must be above 0"),
        ({"threshold": 10**310}, f"threshold={10**310}: must be a finite number"),
        ({"threshold": math.inf}, "threshold=inf: must be a finite number"),
        (
            {"threshold": 1.5, "scoring": "npmi"},
            "threshold=1.5: must be from -1 to 1 for scoring=npmi",
        ),
        (
            {"threshold": math.nan, "scoring": "npmi"},
            "threshold=nan: must be a finite number",
        ),
        ({"min_count": 0}, "min_count=0: must be at least 1"),
        ({"scoring": "pmi"}, "scoring=pmi: must be default or npmi"),
        (
            {"passes": 1, "from_": "a"},
            "passes=1: must be 0 where phrases are from another corpus, with its passes",
        ),
        ({"from_": " "}, "from_=' ': must be a folder or a file or null"),
        ({"joiner": ""}, "joiner='': must be one character that is not white space"),
        ({"joiner": "__"}, "joiner=__: must be one character that is not white space"),
        ({"joiner": " "}, "joiner=' ': must be one character that is not white space"),
        ({"connectors": "of"}, "connectors=of: must be a list of strings"),
        ({"connectors": None}, "connectors=None: must be a list of strings"),
        ({"connectors": ("of the",)}, "connectors=('of the',): must be words without white space"),
    ],
)
def test_wrong_settings_are_refused(change: dict[str, Any], line: str) -> None:
    with pytest.raises(SettingError) as refusal:
        Phrases(**change)
    assert str(refusal.value) == line


def test_connectors_may_be_a_list_or_a_set() -> None:
    settings: Any = {"connectors": ["of", "the"]}
    assert Phrases(**settings) == Phrases(connectors=("of", "the"))
    as_set: Any = frozenset({"the", "of"})
    assert Phrases(connectors=as_set) == Phrases(connectors=("of", "the"))
