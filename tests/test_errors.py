"""Test that errors can be sent between processes, and how `sanitize` treats control characters."""

import pickle
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w2v.errors import InputError, sanitize
from w2v.evaluate.metrics.base import NamedError
from w2v.losses import NegativeSampling
from w2v.settings import SettingError


@pytest.mark.parametrize(
    "error",
    [
        InputError("a.txt: cannot be read"),
        SettingError(NegativeSampling, "negatives", 0, "at least 1"),
        NamedError("men", "cannot be read"),
    ],
)
def test_an_error_is_the_same_in_another_process(error: InputError) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        sent = pickle.loads(pickle.dumps(error, protocol))
        assert (type(sent), str(sent), vars(sent)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(
    "text",
    ["word", "naïve", "שלום", "می\u200cخواهم", "क्\u200dष", "世界", "😀", "<b>&amp;</b>", "a b"],
)
def test_text_without_control_characters_is_unchanged(text: str, terminal: bool) -> None:
    assert sanitize(text, terminal=terminal) == text


@pytest.mark.parametrize(
    "characters",
    [
        "\x00\x1b\n\x7f\x85",
        "\u061c\u200e\u200f\u202a\u202e\u2066\u2069",
        "\u2028\u2029",
        "\ud800\udfff\ufffe",
    ],
)
def test_control_characters_are_replaced(characters: str) -> None:
    for character in characters:
        assert sanitize(f"a{character}b") == "a\ufffdb"


def test_a_terminal_gets_escapes_line_breaks_and_tabs() -> None:
    assert sanitize("naïve 漢字 👍 a\tb\n", terminal=True) == "naïve 漢字 👍 a\tb\n"
    escaped = sanitize("\x1b[31m\x9b\u202e\ud800\x00\r", terminal=True)
    assert escaped == "\\x1b[31m\\x9b\\u202e\\ud800\\x00\\r"


@settings(max_examples=50)
@given(st.text(st.characters()), st.booleans())
def test_no_control_character_is_left(text: str, terminal: bool) -> None:
    shown = sanitize(text, terminal=terminal)
    assert terminal or len(shown) == len(text)
    shown.encode("utf-8")
    for character in shown:
        if not (terminal and character in "\n\t"):
            assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
            assert unicodedata.bidirectional(character) not in (
                *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"),
            )
