"""Tokens: against a tokenizer that goes from character to character, without expressions."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from w2v.errors import InputError
from w2v.tokenizer import WHITESPACE, WORDS, Tokenizer

steady = settings(derandomize=True, deadline=None, max_examples=50)


def naive_words(text: str) -> list[str]:
    """Runs of letters and digits; an apostrophe joins two runs that it alone parts."""
    found: list[str] = []
    word = ""
    for at, character in enumerate(text):
        if character.isalnum():
            word += character
            continue
        following = text[at + 1 : at + 2]
        if character in "'’" and word and following.isalnum():
            word += character
            continue
        if word:
            found.append(word)
        word = ""
    return [*found, word] if word else found


def naive_whitespace(text: str) -> list[str]:
    return text.split()


characters = st.sampled_from("aB1'’_- \n.éßΩж中א") | st.characters(
    exclude_categories=["Cs"], max_codepoint=0x2FFF
)


@steady
@given(st.text(characters, max_size=30))
@example("don't 'quote' rock’n’roll ''twas o'' 'tis")
@example("snake_case __init__ x_1 ½ ² 3rd")
@example("naïve Straße ΟΔΟΣ Привет 中文 שלום")
@example("İstanbul")
def test_words_are_runs_of_letters_and_digits(text: str) -> None:
    assert Tokenizer(WORDS, lowercase=False).function()(text) == naive_words(text)
    assert Tokenizer(WORDS).function()(text) == naive_words(text.lower())


@steady
@given(st.text(characters | st.sampled_from("\t\r\x85\u2028\xa0\x1c"), max_size=30))
def test_whitespace_splits_as_python_does(text: str) -> None:
    assert Tokenizer(WHITESPACE, lowercase=False).function()(text) == naive_whitespace(text)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't stop", ["don't", "stop"]),
        ("rock’n’roll", ["rock’n’roll"]),
        ("'quoted' dogs' 'n' it''s", ["quoted", "dogs", "n", "it", "s"]),
        ("snake_case, 3.14 & x1", ["snake", "case", "3", "14", "x1"]),
        ("ÉCOLE Straße ΩΜΈΓΑ", ["école", "straße", "ωμέγα"]),
        ("日本語 и русский", ["日本語", "и", "русский"]),
        ("", []),
        ("... --- !!!", []),
    ],
)
def test_words(text: str, tokens: list[str]) -> None:
    assert Tokenizer().function()(text) == tokens


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
    assert Tokenizer(pattern).function()("a, ab; C.") == tokens


def test_case_is_kept_when_wanted() -> None:
    assert Tokenizer(lowercase=False).function()("Ab aB") == ["Ab", "aB"]


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "(?P<1>a)"])
def test_what_is_no_regular_expression_is_refused(pattern: str) -> None:
    with pytest.raises(re.error) as reason:
        re.compile(pattern)
    with pytest.raises(InputError) as refusal:
        Tokenizer(pattern)
    assert str(refusal.value) == (
        f"tokenizer.pattern={pattern!r}: not a regular expression ({reason.value})"
    )


@pytest.mark.parametrize("pattern", ["", "a*", "a?|b", "^", "(x|)", "(?i)"])
def test_a_pattern_that_matches_nothing_at_all_is_refused(pattern: str) -> None:
    with pytest.raises(InputError) as refusal:
        Tokenizer(pattern)
    assert str(refusal.value) == (
        f"tokenizer.pattern={pattern!r} matches the empty string; "
        "a token has at least one character"
    )
