"""Test how files of word pairs and of analogy questions are found and read."""

import csv
import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.test_evaluate import PAIRS, QUESTIONS
from w2v import evaluate
from w2v.errors import InputError
from w2v.evaluate import Pair, Question, datasets
from w2v.evaluate.metrics import METRICS
from w2v.vectors import WordVectors


def test_gensim_contains_the_benchmarks() -> None:
    assert len(PAIRS) == 353
    assert PAIRS[1] == ("tiger", "cat", 7.35)
    assert len(evaluate.load_pairs(evaluate.benchmark_path("simlex999"))) == 999
    assert len(QUESTIONS) == 19_544
    assert QUESTIONS[0][:5] == ("capital-common-countries", "Athens", "Greece", "Baghdad", "Iraq")
    assert len({question.category for question in QUESTIONS}) == 14


def test_finding_a_benchmark_imports_neither_gensim_nor_scipy() -> None:
    code = (
        "import sys; from w2v.evaluate import benchmark_path; benchmark_path('google'); "
        "print([name for name in ('gensim', 'scipy') if name in sys.modules])"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_missing_benchmark_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no benchmark is named 'men'; there are wordsim353"):
        evaluate.benchmark_path("men")
    monkeypatch.setattr(datasets, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="install gensim"):
        evaluate.benchmark_path("google")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\tb\n", 1),
        ("# note\na\tb\t1\na\tb\tc\n", 3),
        ("a b c\n", 1),
        ("a b 1\na b\n", 2),
        ("a,b,1\na b 1\n", 2),
        ("a\tb\tnan\n", 1),
        ("\tb\t1\n", 1),
        ("a\tb\t1\nc\td\t1_000\n", 2),  # a number to Python only
        ("a b 1\nc d ٣\n", 2),  # a number in Arabic digits
    ],
)
def test_lines_that_are_not_pairs_are_refused(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "pairs").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"line {line} is .*two words and a finite score"):
        evaluate.load_pairs(tmp_path / "pairs")


@pytest.mark.parametrize(
    ("text", "line"), [("a b c d\n", 1), (": x\na b c\n", 2), (":\na b c d", 2)]
)
def test_lines_that_are_not_analogies_are_refused(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "questions").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"line {line} is .*four words"):
        evaluate.load_analogies(tmp_path / "questions")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_files_may_have_comments_blank_lines_and_other_line_breaks(
    tmp_path: Path, end: bytes
) -> None:
    (tmp_path / "pairs").write_bytes(
        end.join([b"\xef\xbb\xbf# note", b"", b"a,b,1.5", b"c,d,2", b""])
    )
    assert evaluate.load_pairs(tmp_path / "pairs") == [("a", "b", 1.5), ("c", "d", 2)]
    (tmp_path / "questions").write_bytes(end.join([b": gram x", b"", b"a b c d", b""]))
    assert evaluate.load_analogies(tmp_path / "questions") == [Question("gram x", *"abcd")]


@pytest.mark.parametrize("load", [evaluate.load_pairs, evaluate.load_analogies])
def test_unreadable_files_are_refused(tmp_path: Path, load: Any) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "missing")
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match="byte 3 is not UTF-8"):
        load(tmp_path / "latin")


PAIR_FILES = {
    "tabs": "cat\tdog\t7.5\nice cream\tsun\t1\n",
    "a header": "word1\tword2\tscore\ncat\tdog\t7.5\nice cream\tsun\t1\n",
    "commas": 'Word 1,Word 2,Human (mean)\ncat,dog,7.5\n"ice cream",sun,1\n',
    "semicolons": "cat;dog;7.5\nice cream;sun;1\n",
    "more columns": "cat\tdog\tN\t7.5\t9.9\tx\nice cream\tsun\tA\t1\t2.0\ty\n",
    "an id": "1\tcat\tdog\t7.5\n2\tice cream\tsun\t1\n",
    "an id with a name": "id,word1,word2,score\n4,cat,dog,7.5\n9,ice cream,sun,1\n",
    "an id and a mean": "#\tx\ty\tmean\t1\t2\n4\tcat\tdog\t7.5\t7\t8\n9\tice cream\tsun\t1\t1\t1\n",
    "names in another order": "score;word2;word1\n7.5;dog;cat\n1;sun;ice cream\n",
    "an id and a score in front": "4\t7.5\tcat\tdog\n9\t1.0\tice cream\tsun\n",
    "a score in front": "7.5\tcat\tdog\n1\tice cream\tsun\n",
    "SCWS": "1\tcat\tn\tdog\tn\ta <b> cat </b> sat\tthe <b> dog </b> ran\t7.5\t7\t8\n"
    "2\tice cream\tn\tsun\tn\tcold <b> ice cream </b>\tthe <b> sun </b> set\t1.0\t1\t1\n",
    "SimLex": "word1\tword2\tPOS\tconc\tSimLex999\tSD(SimLex)\n"
    "cat\tdog\tN\t2\t7.5\t0.4\nice cream\tsun\tN\t3\t1\t0.3\n",
    "WordSim with its raters": "Word 1,Word 2,Human (mean),1,2\ncat,dog,7.5,7,8\n"
    "ice cream,sun,1,1,1\n",
    "raters and their mean": "word1,word2,rating1,rating2,mean\ncat,dog,7,8,7.5\n"
    "ice cream,sun,1,1,1\n",
    "a count in front": "word1,word2,rating_count,score\ncat,dog,10,7.5\nice cream,sun,9,1\n",
    "a deviation in front": "word1,word2,score_sd,n_scores,score\ncat,dog,0.4,9,7.5\n"
    "ice cream,sun,0.3,9,1\n",
    "a byte order mark": "\ufeffcat\tdog\t7.5\nice cream\tsun\t1\n",
    "quoted cells": '"cat"\t"dog"\t"7.5"\n"ice cream"\t"sun"\t1\n',
}


@pytest.mark.parametrize("name", PAIR_FILES)
def test_pairs_are_read_with_any_separator(tmp_path: Path, name: str) -> None:
    (tmp_path / "pairs").write_text(PAIR_FILES[name], encoding="utf-8")
    expected = [Pair("cat", "dog", 7.5), Pair("ice cream", "sun", 1.0)]
    assert evaluate.load_pairs(tmp_path / "pairs") == expected


@pytest.mark.parametrize(
    "text",
    [
        "1\tcat\t7.5\n2\tsun\t1\n3\tdog\t2\n",
        "14\tcat\t7.5\n20\tsun\t1\n3\tdog\t2\n",
        "14\tcat\tdog\n20\tsun\tmoon\n3\tdog\tcat\n",
        "p1\tcat\tdog\t7.5\np2\tsun\tmoon\t1\n",
        "x\ty\tfirst rater\tsecond rater\ncat\tdog\t7\t8\nice\tsun\t1\t2\n",
        "word1,word2,similarity,relatedness\ncat,dog,7,8\nice,sun,1,2\n",
        "word1,word2,rating1,rating2\ncat,dog,1,8\nice,sun,2,2\nsun,dog,3,1\n",
        "cat,dog,\nice,sun,1\n",
        "cat\tdog\tN/A\nice\tsun\t1\n",
    ],
)
def test_pairs_in_columns_that_are_not_clear_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "pairs").write_text(text)
    with pytest.raises(InputError, match=r"name the columns in a first line|a finite score are"):
        evaluate.load_pairs(tmp_path / "pairs")


def test_words_may_be_numbers_and_names_of_columns(tmp_path: Path) -> None:
    for text in ("1984 book 3\nword1 word2 4\nnan one 5\n", "1 2 0.5\n7 nan 0.25\n2 2 1\n"):
        (tmp_path / "pairs").write_text(text)
        lines = [line.split() for line in text.splitlines()]
        expected = [Pair(a, b, float(score)) for a, b, score in lines]
        assert evaluate.load_pairs(tmp_path / "pairs") == expected
    (tmp_path / "pairs").write_text("first,second,value\nnine,dog,3\n2,3,4\n3,5,6\n")
    expected = [Pair("nine", "dog", 3.0), Pair("2", "3", 4.0), Pair("3", "5", 6.0)]
    assert evaluate.load_pairs(tmp_path / "pairs") == expected


def test_similarity_takes_a_file_of_pairs(tmp_path: Path) -> None:
    vectors = WordVectors(["a", "b", "c"], [[1, 0], [1, 1], [0, 1]])
    (tmp_path / "pairs.csv").write_text("a,b,9\na,c,1\n")
    wanted = evaluate.similarity(vectors, [Pair("a", "b", 9.0), Pair("a", "c", 1.0)])
    assert evaluate.similarity(vectors, tmp_path / "pairs.csv") == wanted
    assert evaluate.similarity(vectors, str(tmp_path / "pairs.csv")) == wanted


def test_pairs_separated_by_spaces_in_a_compressed_file(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "men.gz", "wt") as file:
        file.write("sun  sunlight 50.0\nautomobile car\t50\n")
    expected = [Pair("sun", "sunlight", 50.0), Pair("automobile", "car", 50.0)]
    assert evaluate.load_pairs(tmp_path / "men.gz") == expected


@pytest.mark.parametrize("text", ["", "\n\n", "# only a note\n"])
def test_a_file_without_pairs_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "pairs").write_text(text)
    with pytest.raises(InputError, match="holds no pairs; a line is two words and a score"):
        evaluate.load_pairs(tmp_path / "pairs")


def test_a_file_with_a_very_long_field_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs").write_text(f"a,b,{'1' * 200_000}")
    before = csv.field_size_limit(131_072)  # of this process; reading CSV text raises it
    try:
        with pytest.raises(InputError) as refused:
            evaluate.load_pairs(tmp_path / "pairs")
    finally:
        csv.field_size_limit(before)
    assert str(refused.value) == f"{tmp_path / 'pairs'}: field larger than field limit (131072)"


def test_files_without_questions_are_refused(tmp_path: Path) -> None:
    (tmp_path / "questions").write_text(": only a category\n")
    (tmp_path / "folder").mkdir()
    for name in ("questions", "folder"):
        with pytest.raises(InputError, match="holds no questions"):
            evaluate.load_analogies(tmp_path / name)


def test_a_category_with_the_name_of_totals_is_refused(tmp_path: Path) -> None:
    (tmp_path / "questions").write_text(": x\na b c d\n: all\nb c d a\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "all.txt").write_text("cat\tcats\ndog\tdogs\n")
    for path in (tmp_path / "questions", tmp_path / "folder"):
        with pytest.raises(InputError) as error:
            evaluate.load_analogies(path)
        problem = f"{path}: a category is called all, as totals are; give it another name"
        assert str(error.value) == problem


def bats(tmp_path: Path) -> Path:
    folder = tmp_path / "BATS"
    for group, name, text in (
        ("1_Inflectional_morphology", "I01 [noun - plural]", "cat\tcats\ndog\tdogs/doggies\n"),
        ("3_Encyclopedic_semantics", "E01 [country - capital]", "france\tparis\nspain\tmadrid\n"),
    ):
        (folder / group).mkdir(parents=True)
        (folder / group / f"{name}.txt").write_text(text)
    return folder


def test_any_two_lines_of_bats_make_two_questions(tmp_path: Path) -> None:
    found = evaluate.load_analogies(bats(tmp_path))
    plural = "1_Inflectional_morphology/I01 [noun - plural]"
    assert found[:2] == [
        Question(plural, "cat", "cats", "dog", "dogs", ("doggies",)),
        Question(plural, "dog", "dogs", "cat", "cats"),
    ]
    assert [question.section for question in found] == ["syntactic"] * 2 + ["semantic"] * 2
    # If the folder holds a single group, the names of its files tell the section.
    for folder in (tmp_path / "BATS").iterdir():
        sections = {question.section for question in evaluate.load_analogies(folder)}
        assert sections == {"syntactic" if "morphology" in folder.name else "semantic"}


@pytest.mark.parametrize("line", ["cat", "cat\t", "cat\t/", "cat dogs cats"])
def test_lines_that_are_not_of_bats_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.txt").write_text(f"a\tb\n{line}\n")
    with pytest.raises(InputError, match=r"line 2 is .*a word and its answers are needed"):
        evaluate.load_analogies(tmp_path)


def test_any_of_several_answers_is_correct() -> None:
    array = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 1, 1.1], [-1, 1, 0.5]], np.float32)
    vectors = WordVectors(["a", "b", "c", "best", "second"], array)
    cases = {("second", ()): 2, ("second", ("best",)): 1, ("nowhere", ("second",)): 2}
    asked = [Question("x", "a", "b", "c", *answers) for answers in cases]
    asked.append(Question("x", "a", "b", "c", "nowhere", ("neither",)))
    assert evaluate.answer_ranks(vectors, asked)["3CosAdd"].tolist() == [*cases.values(), -1]


def test_a_benchmark_is_read_again_when_its_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    similarity = METRICS[0]
    path.write_text("a\tb\t1\n")
    first = similarity.load(path)
    assert similarity.load(path) is first
    path.write_text("a\tb\t1\nc\td\t2\n")
    assert len(similarity.load(path)) == 2
