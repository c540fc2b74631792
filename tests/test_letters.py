"""What may be shown of a token."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.sanitize import visible


@pytest.mark.parametrize(
    "text",
    ["word", "naïve", "שלום", "می\u200cخواهم", "क्\u200dष", "世界", "😀", "<b>&amp;</b>", "a b"],
)
def test_what_shows_stays(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    "letters",
    [
        "\x00\x1b\n\x7f\x85",
        "\u061c\u200e\u200f\u202a\u202e\u2066\u2069",
        "\u2028\u2029",
        "\ud800\udfff\ufffe",
    ],
)
def test_what_acts_is_replaced(letters: str) -> None:
    for letter in letters:
        assert visible(f"a{letter}b") == "a\ufffdb"


@given(st.text(st.characters()))
def test_nothing_that_acts_is_left(text: str) -> None:
    shown = visible(text)
    assert len(shown) == len(text)
    shown.encode("utf-8")
    for letter in shown:
        assert unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(letter) not in (
            *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"),
        )
