"""Tokens: against a tokenizer that goes from character to character, without expressions."""

import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import naive
from w2v.errors import InputError
from w2v.text.tokenizer import LETTER, MARK, OTHER, SPACE, Tokenizer, character_kinds

steady = settings(derandomize=True, deadline=None, max_examples=60)

# Text that is hard: marks that compose and do not, in and out of order; capitals whose small
# letter is two or depends on its place; every joiner; Hangul in parts; characters of four bytes.
HARD = (
    "aB1'’-‐‑_ \n\r\t.\0éßΩΣςİıÅÅK\u0301\u0323\u0307\u0345\u0338\u20e3\ufe0f\u200c\u200d\u00ad"
    "\u0130\u01c5ᾳᾼנּ\u05b0\u05bcשׁ\u0928\u093c\u094dनमक한\u1112\u1161\u11ab各½²Ⅷ٣\u0e33"
    "\ufb01𝒳𐐀\U0001d15e\U0002f800❤=<>\u2028\x85\xa0\x1c\u3000\ufeff\ufffd"
)
texts = st.text(
    st.sampled_from(HARD) | st.characters(exclude_categories=["Cs"]), max_size=40
) | st.text(st.sampled_from("ab cD'.-\n"), max_size=40)
settings_of_words = st.fixed_dictionaries(
    dict.fromkeys(("apostrophes", "hyphens", "lowercase", "nfc"), st.booleans())
)


@steady
@given(texts, settings_of_words)
@example("don't 'quote' rock’n’roll ''twas o'' 'tis", {})
@example("well-known -a- b--c x-'y e-mail’s", {"hyphens": True})
@example("snake_case __init__ x_1 ½ ² 3rd", {})
@example("naïve Straße ΟΔΟΣ ΟΔΟΣ.Α Α'Σ Привет 中文 שלום", {})
@example("İstanbul I\u0307", {})
@example("नमस्ते می‌خواهم क्‍ष \u0301a ❤\ufe0f 1\ufe0f\u20e3", {})
@example("e\u0301\u0323 e\u0323\u0301 A\u030a \u212b", {})
def test_words_are_runs_of_letters_marks_and_digits(text: str, choice: dict[str, Any]) -> None:
    assert Tokenizer("words", **choice).tokens(text) == naive.words(text, **choice)


@steady
@given(texts, st.booleans(), st.booleans())
def test_whitespace_splits_at_white_space_alone(text: str, lowercase: bool, nfc: bool) -> None:
    tokenizer = Tokenizer("whitespace", lowercase=lowercase, nfc=nfc)
    assert tokenizer.tokens(text) == naive.whitespace(text, lowercase, nfc)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't stop", ["don't", "stop"]),
        ("rock’n’roll", ["rock’n’roll"]),
        ("'quoted' dogs' 'n' it''s", ["quoted", "dogs", "n", "it", "s"]),
        ("snake_case, 3.14 & x1", ["snake", "case", "3", "14", "x1"]),
        ("ÉCOLE E\u0301cole Straße ΟΔΟΣ", ["école", "école", "straße", "οδος"]),
        ("日本語 и русский", ["日本語", "и", "русский"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("می\u200cخواهم\u200c.", ["می\u200cخواهم"]),
        ("a well-known man", ["a", "well", "known", "man"]),
        ("", []),
        ("... --- !!!", []),
    ],
)
def test_words(text: str, tokens: list[str]) -> None:
    assert Tokenizer().tokens(text) == tokens


def test_hyphens_and_apostrophes_are_settings() -> None:
    text = "A well-known dog's tail, mid‐air"
    assert Tokenizer(hyphens=True).tokens(text) == ["a", "well-known", "dog's", "tail", "mid‐air"]
    assert Tokenizer(apostrophes=False).tokens("dog's") == ["dog", "s"]


# Planes 0 to 3 and 14: the others hold nothing, or what is for private use.
ASSIGNED = [*range(0x40000), *range(0xE0000, 0xF0000)]


def test_kinds_are_those_of_every_character() -> None:
    kinds = character_kinds()[ASSIGNED]
    expected = [
        SPACE
        if character.isspace()
        else {"L": LETTER, "N": LETTER, "M": MARK}.get(unicodedata.category(character)[0], OTHER)
        for character in map(chr, ASSIGNED)
    ]
    np.testing.assert_array_equal(kinds, np.array(expected, np.uint8))


def test_normalizing_changes_no_kind() -> None:
    # Why tokens can be found before they are normalized.
    kinds = character_kinds()
    for point in ASSIGNED:
        character = chr(point)
        for form in (
            unicodedata.normalize("NFC", character),
            unicodedata.normalize("NFD", character),
        ):
            if form != character:
                assert kinds[ord(form[0])] == kinds[point]
                assert all(kinds[ord(c)] in (MARK, kinds[point]) for c in form[1:])
        if unicodedata.combining(character):
            assert kinds[point] == MARK


CUT = (Tokenizer(hyphens=True), Tokenizer("whitespace"))


@steady
@given(texts)
def test_text_may_be_cut_at_a_border(text: str) -> None:
    for tokenizer in CUT:
        data = text.encode()
        at = tokenizer.border(data)
        before, after = data[:at].decode(), data[at:].decode()
        assert tokenizer.tokens(before) + tokenizer.tokens(after) == tokenizer.tokens(text)
        assert not (before.endswith("\r") and after.startswith("\n"))


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("one two thr", "one two "),
        ("one, two, ", "one, two, "),
        ("日本語。русск", "日本語。"),
        ("one\r", "one"),
        ("well-known", ""),
        ("", ""),
    ],
)
def test_a_border_is_the_last_there_is(text: str, before: str) -> None:
    assert CUT[0].border(text.encode()) == len(before.encode())


# Of one's own


@pytest.mark.parametrize(
    ("pattern", "tokens"),
    [
        (r"(a)(b)?", ["a", "ab"]),
        (r"(?:a)b?", ["a", "ab"]),
        (r"(?P<word>[a-z]+)", ["a", "ab", "c"]),
        (r"a(?=b)", ["a"]),
    ],
)
def test_the_whole_match_counts_whatever_its_groups(pattern: str, tokens: list[str]) -> None:
    assert Tokenizer(pattern=pattern).tokens("a, ab; C.") == tokens


def test_case_is_kept_when_wanted() -> None:
    assert Tokenizer(lowercase=False).tokens("Ab aB") == ["Ab", "aB"]
    assert Tokenizer(pattern=r"\w+", lowercase=False).tokens("Ab aB") == ["Ab", "aB"]


def test_a_pattern_sees_normalized_text() -> None:
    assert Tokenizer(pattern="é").tokens("E\u0301") == ["é"]
    assert Tokenizer(pattern="é", nfc=False).tokens("E\u0301") == []


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "(?P<1>a)"])
def test_what_is_no_regular_expression_is_refused(pattern: str) -> None:
    with pytest.raises(re.error) as reason:
        re.compile(pattern)
    with pytest.raises(InputError) as refusal:
        Tokenizer(pattern=pattern)
    assert str(refusal.value) == (
        f"tokenizer.pattern={pattern!r}: not a regular expression ({reason.value})"
    )


@pytest.mark.parametrize("pattern", ["", "a*", "a?|b", "^", "(x|)", "(?i)"])
def test_a_pattern_that_matches_nothing_at_all_is_refused(pattern: str) -> None:
    with pytest.raises(InputError) as refusal:
        Tokenizer(pattern=pattern)
    assert str(refusal.value) == (
        f"tokenizer.pattern={pattern!r} matches the empty string; "
        "a token has at least one character"
    )


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the current folder."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(
        "def pairs(text):\n    return [text[i:i+2] for i in range(0, len(text), 2)]\n"
        "def fails(text):\n    raise KeyError('no such entry')\n"
        "def numbers(text):\n    return [1]\n"
        "constant = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def test_a_function_of_ones_own(module: str) -> None:
    assert Tokenizer(function=f"{module}.pairs").tokens("ABcde") == ["ab", "cd", "e"]


def test_the_fingerprint_knows_the_code_of_the_function(module: str) -> None:
    tokenizer = Tokenizer(function=f"{module}.pairs")
    before = tokenizer.fingerprint()
    assert tokenizer.fingerprint() == before
    path = Path(f"{module}.py")
    path.write_text(path.read_text() + "# changed\n")
    assert tokenizer.fingerprint() != before
    assert Tokenizer().fingerprint()["unicode"] == unicodedata.unidata_version


def test_functions_that_cannot_be_used_are_refused(module: str) -> None:
    cases = {
        "nowhere.here": (
            "tokenizer.function=nowhere.here: cannot be imported (No module named 'nowhere'); "
            "give package.module.function"
        ),
        "split": (
            "tokenizer.function=split: cannot be imported (Empty module name); "
            "give package.module.function"
        ),
        f"{module}.missing": (
            f"tokenizer.function={module}.missing: cannot be imported (module '{module}' has no "
            "attribute 'missing'); give package.module.function"
        ),
        f"{module}.constant": f"tokenizer.function={module}.constant: is not a function",
    }
    for function, line in cases.items():
        with pytest.raises(InputError) as refusal:
            Tokenizer(function=function)
        assert str(refusal.value) == line


def test_functions_that_fail_are_named(module: str) -> None:
    cases = {
        "fails": (
            f"tokenizer.function={module}.fails failed on the document that begins 'some text' "
            "(KeyError: 'no such entry')"
        ),
        "numbers": f"tokenizer.function={module}.numbers gave 1 as a token; tokens are strings",
    }
    for name, line in cases.items():
        with pytest.raises(InputError) as refusal:
            Tokenizer(function=f"{module}.{name}").tokens("some text")
        assert str(refusal.value) == line


def test_one_way_at_a_time() -> None:
    with pytest.raises(InputError) as refusal:
        Tokenizer(pattern="a", function="re.split")
    line = "tokenizer.pattern and tokenizer.function are both set; give one"
    assert str(refusal.value) == line
    with pytest.raises(InputError, match="must be words or whitespace"):
        Tokenizer("lines")
