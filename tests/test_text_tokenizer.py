"""Test the tokenizers, and their fingerprints, which change with their settings and code.

The tokens are compared with those of `tests.naive`, slow and simple functions with the same rules.
Tokenizers given by users, as a pattern or a function, are tested as well.
"""

import re
import sys
import unicodedata
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import naive
from w2v.errors import InputError
from w2v.settings import SettingError
from w2v.text.functions import sources_fingerprint
from w2v.text.tokenizer import (
    LETTER,
    MARK,
    OTHER,
    SPACE,
    TOKENIZERS,
    Whitespace,
    Words,
    character_kinds,
)

steady = settings(derandomize=True, deadline=None, max_examples=60)

# Difficult characters: marks that do and do not compose, also in the wrong order; capitals whose
# lower case is two letters or depends on the context; all joiners; Hangul in parts; characters of
# four bytes.
HARD = (
    "aB1'’‘ʼ´＇-‐‑_ \n\r\t.\0éßΩΣςİıÅÅK\u0301\u0323\u0307\u0345\u0338\u20e3\ufe0f\u200c\u200d\u00ad"
    "\u2060\u200b\u200f"
    "\u0130\u01c5ᾳᾼנּ\u05b0\u05bcשׁ\u0928\u093c\u094dनमक한\u1112\u1161\u11ab各½²Ⅷ٣\u0e33"
    "\ufb01𝒳𐐀\U0001d15e\U0002f800❤=<>\u2028\x85\xa0\x1c\u3000\ufeff\ufffd"
)
texts = st.text(
    st.sampled_from(HARD) | st.characters(exclude_categories=["Cs"]), max_size=40
) | st.text(st.sampled_from("ab cD'’ʼ\u00ad\u0301.-\n"), max_size=40)
settings_of_words = st.fixed_dictionaries(
    dict.fromkeys(
        ("apostrophes", "hyphens", "lowercase", "nfc", "normalize_punctuation", "drop_invisible"),
        st.booleans(),
    )
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
    assert Words(**choice).tokens(text) == naive.words(text, **choice)


@steady
@given(texts, st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_whitespace_splits_only_at_white_space(
    text: str, lowercase: bool, nfc: bool, plain: bool, drop: bool
) -> None:
    tokenizer = Whitespace(lowercase, nfc, plain, drop)
    assert tokenizer.tokens(text) == naive.whitespace(text, lowercase, nfc, plain, drop)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't stop", ["don't", "stop"]),
        ("rock’n’roll don´t ‘quoted’", ["rock'n'roll", "don't", "quoted"]),
        ("п’ять пʼять п'ять ʼa", ["п'ять", "п'ять", "п'ять", "a"]),
        ("Donau\u00addampf zer\u2060o \ufeffa\ufeffb \u00ad", ["donaudampf", "zero", "ab"]),
        ("don\u00ad’\u00adt a\u00ad\u0301", ["don't", "á"]),
        ("ប្រទេស\u200bកម្ពុជា", ["ប្រទេស", "កម្ពុជា"]),
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
def test_examples_of_words(text: str, tokens: list[str]) -> None:
    assert Words().tokens(text) == tokens


def test_hyphens_and_apostrophes_can_be_switched() -> None:
    text = "A well-known dog's tail, mid‐air"
    assert Words(hyphens=True).tokens(text) == ["a", "well-known", "dog's", "tail", "mid-air"]
    assert Words(apostrophes=False).tokens("dog's") == ["dog", "s"]


# Planes 0 to 3 and 14; the other planes are empty or for private use.
ASSIGNED = [*range(0x40000), *range(0xE0000, 0xF0000)]


def test_every_character_has_the_right_kind() -> None:
    kinds = character_kinds()[ASSIGNED]
    expected = [
        SPACE
        if character.isspace()
        else {"L": LETTER, "N": LETTER, "M": MARK}.get(unicodedata.category(character)[0], OTHER)
        for character in map(chr, ASSIGNED)
    ]
    np.testing.assert_array_equal(kinds, np.array(expected, np.uint8))


def test_normalizing_does_not_change_kinds() -> None:
    """Unicode normalization keeps the kind (letter, mark, space, other) of a character.

    If its NFC or NFD form is several characters, the first has this kind, and each other one has
    this kind or is a mark. Combining characters are marks.
    """
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


CUT = (Words(hyphens=True), Whitespace(), Whitespace(drop_invisible=True))


@steady
@given(texts)
def test_cutting_a_text_at_its_border_keeps_the_tokens(text: str) -> None:
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
def test_the_border_is_the_last_possible_one(text: str, before: str) -> None:
    assert CUT[0].border(text.encode()) == len(before.encode())


# Custom tokenizers


@pytest.mark.parametrize(
    ("pattern", "tokens"),
    [
        (r"(a)(b)?", ["a", "ab"]),
        (r"(?:a)b?", ["a", "ab"]),
        (r"(?P<word>[a-z]+)", ["a", "ab", "c"]),
        (r"a(?=b)", ["a"]),
    ],
)
def test_a_token_is_the_whole_match_even_with_groups(pattern: str, tokens: list[str]) -> None:
    assert Words(pattern=pattern).tokens("a, ab; C.") == tokens


def test_lower_casing_can_be_switched_off() -> None:
    assert Words(lowercase=False).tokens("Ab aB") == ["Ab", "aB"]
    assert Words(pattern=r"\w+", lowercase=False).tokens("Ab aB") == ["Ab", "aB"]


def test_a_pattern_sees_plain_apostrophes_and_no_soft_hyphens() -> None:
    assert Words(pattern="[a-z']+").tokens("don’t Do\u00adnau") == ["don't", "donau"]
    assert Words(normalize_punctuation=False, drop_invisible=False).tokens("don’t a\u00adb") == [
        "don’t",
        "a",
        "b",
    ]


def test_a_pattern_is_matched_against_normalized_text() -> None:
    assert Words(pattern="é").tokens("E\u0301") == ["é"]
    assert Words(pattern="é", nfc=False).tokens("E\u0301") == []


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "(?P<1>a)"])
def test_an_invalid_regular_expression_is_refused(pattern: str) -> None:
    with pytest.raises(re.error) as reason:
        re.compile(pattern)
    with pytest.raises(SettingError) as refusal:
        Words(pattern=pattern)
    assert str(refusal.value) == (
        f"pattern={pattern}: must be a regular expression ({reason.value})"
    )


@pytest.mark.parametrize("pattern", ["", "a*", "a?|b", "^", "(x|)", "(?i)"])
def test_a_pattern_that_matches_the_empty_string_is_refused(pattern: str) -> None:
    with pytest.raises(SettingError) as refusal:
        Whitespace(pattern=pattern)
    wanted = "must be a pattern that does not match the empty string"
    assert str(refusal.value) == f"pattern={pattern or repr(pattern)}: {wanted}"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a module with tokenizer functions into the working directory; return its name."""
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


def test_a_function_splits_the_text(module: str) -> None:
    assert Words(function=f"{module}.pairs").tokens("ABcde") == ["ab", "cd", "e"]


def test_the_fingerprint_depends_on_the_code_of_the_function(module: str) -> None:
    tokenizer = Words(function=f"{module}.pairs")
    before = tokenizer.fingerprint()
    assert tokenizer.fingerprint() == before
    path = Path(f"{module}.py")
    path.write_text(path.read_text() + "# changed\n")
    assert tokenizer.fingerprint() != before


@pytest.mark.parametrize(
    "lines",
    [
        "from {name}_helper import cut",
        "import {name}_helper",
        "def later(text):\n    import {name}_helper",
        "from {name}_package.inner import cut",
        "from {name}_package import inner",
        "from {name}_package import *",
    ],
)
def test_the_fingerprint_depends_on_the_users_own_imports(module: str, lines: str) -> None:
    package = Path(f"{module}_package")
    package.mkdir()
    deepest = package / "_deep.py"
    for path, code in {
        Path(f"{module}_helper.py"): f"from {package}.inner import cut",
        package / "__init__.py": "from .inner import cut",
        package / "inner.py": "import json, numpy, yaml\nfrom . import _deep\ncut = str.split",
        deepest: "",
    }.items():
        path.write_text(f"{code}\n")
    path = Path(f"{module}.py")
    path.write_text(f"{lines.format(name=module)}\n{path.read_text()}")
    tokenizer = Words(function=f"{module}.pairs")
    before = tokenizer.fingerprint()
    assert before["packages"] == {"numpy": np.__version__, "yaml": version("PyYAML")}
    assert tokenizer.fingerprint() == before
    deepest.write_text("changed = True\n")
    after = tokenizer.fingerprint()
    assert after.pop("code") != before.pop("code")
    assert after == before


def test_a_function_imported_from_elsewhere_counts(module: str) -> None:
    helper, path = Path(f"{module}_helper.py"), Path(f"{module}.py")
    helper.write_text("def cut(text):\n    return text.split()\n")
    path.write_text(f"from {module}_helper import cut\n")
    tokenizer = Words(function=f"{module}.cut")
    prints = [tokenizer.fingerprint()]
    for changed in (helper, path):
        changed.write_text(changed.read_text() + "# changed\n")
        prints.append(tokenizer.fingerprint())
    assert all(one != other for one, other in combinations(prints, 2))


def test_every_named_module_of_an_installed_package_counts(module: str) -> None:
    package = Path("site-packages", f"{module}_package")
    package.mkdir(parents=True)
    for name in ("__init__", "common", "one", "other"):
        (package / f"{name}.py").write_text("from . import common\n")
    sys.path.append("site-packages")
    prints = []
    for name in ("common", "one", "other"):
        path = package / f"{name}.py"
        path.write_text(path.read_text() + "# changed\n")
        prints.append(sources_fingerprint([f"{package.name}.one", f"{package.name}.other"]))
    assert [one["code"] != prints[0]["code"] for one in prints] == [False, True, True]
    assert prints[1]["code"] != prints[2]["code"]


@dataclass(frozen=True)
class Extended(Words):
    """A tokenizer with an additional setting that does not change the tokens."""

    workers: int = 1


def test_the_fingerprint_holds_what_changes_the_tokens() -> None:
    prints = [
        Words().fingerprint(),
        Words(hyphens=True).fingerprint(),
        Words(nfc=False).fingerprint(),
        Whitespace(nfc=True).fingerprint(),
        Words(pattern="a").fingerprint(),
    ]
    assert all(one != other for one, other in combinations(prints, 2))
    assert prints[0]["unicode"] == unicodedata.unidata_version
    assert Extended(workers=2).fingerprint() == prints[0]
    assert Extended(hyphens=True).plain() == Words(hyphens=True)


def test_the_defaults_are_those_of_the_configuration() -> None:
    for tokenizer in TOKENIZERS.values():
        path = Path(__file__).parents[1] / "conf" / "tokenizer" / f"{tokenizer.split}.yaml"
        conf = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert {name: conf[name] for name in asdict(tokenizer())} == asdict(tokenizer())


def test_an_unusable_function_is_refused(module: str) -> None:
    name = "must be package.module.name of a function"
    Path(f"{module}_broken.py").write_text("def\n")
    Path(f"{module}_failing.py").write_text("raise KeyError('no such entry')\n")
    Path(f"{module}_ending.py").write_text("raise SystemExit('usage:\\n  none')\n")
    cases = {
        "nowhere.here": f"{name} (No module named 'nowhere')",
        "split": f"{name} (Empty module name)",
        f"{module}.missing": f"{name} (module '{module}' has no attribute 'missing')",
        "..f": f"{name} (the 'package' argument is required to perform a relative import for '.')",
        f"{module}_broken.f": f"{name} (invalid syntax ({module}_broken.py, line 1))",
        f"{module}_failing.f": f"{name} ('no such entry')",
        f"{module}_ending.f": f"{name} (usage: none)",
        f"{module}.constant": "must be the name of a function",
    }
    for function, reason in cases.items():
        with pytest.raises(SettingError) as refusal:
            Words(function=function)
        assert str(refusal.value) == f"function={function}: {reason}"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "fails",
            "failed on the document that begins 'some text' (KeyError: 'no such entry')",
        ),
        ("numbers", "returned the token 1; tokens are strings"),
    ],
)
def test_an_error_of_the_function_names_it(module: str, name: str, problem: str) -> None:
    with pytest.raises(InputError) as refusal:
        Words(function=f"{module}.{name}").tokens("some text")
    assert str(refusal.value) == f"function={module}.{name} {problem}"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"pattern": "a", "function": "re.split"},
            "function=re.split: must be null where a pattern is given",
        ),
        ({"lowercase": "yes"}, "lowercase=yes: must be true or false"),
    ],
)
def test_other_wrong_settings_are_refused(change: dict[str, Any], line: str) -> None:
    for tokenizer in TOKENIZERS.values():
        with pytest.raises(SettingError) as refusal:
            tokenizer(**change)
        assert str(refusal.value) == line
