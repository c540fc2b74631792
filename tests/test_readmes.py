"""Test the Markdown pages: links are valid, Python code runs, and commands have valid arguments."""

import contextlib
import doctest
import io
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from pipeline.cache.command import make_parser
from pipeline.config.schema import known_keys
from tests.test_config import CONF, GROUPS, ROOT, line_of, settled
from w2v import WordVectors
from w2v.errors import InputError

PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("w2v/**/*.md")),
    *sorted(ROOT.glob("pipeline/**/*.md")),
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
NEEDS_A_SERVER = "pipeline/tracking/README.md"

PLACEHOLDERS = {"<date>/<time>": "2026-01-01/12-00-00", "<key>": "0123456789abcdef"}


def blocks(name: str, language: str = "") -> Iterator[str]:
    """Yield the code blocks of a Markdown file in `language`; empty: those without a language."""
    for found in re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / name).read_text(), re.S | re.M):
        if found[0] == language:
            yield found[1]


def commands(program: str) -> list[tuple[str, list[str]]]:
    """Find the command lines of a program in the Markdown pages; return (line, arguments) of each.

    The pages are the files `NAMES` of the repository; only their code blocks without a language are
    searched. A program is, for example, "python pipeline/run.py". `line` is the text of a command,
    in which values replace placeholders such as ``<key>``; `arguments` are the words after the
    program.
    """
    found = []
    for name in NAMES:
        for block in blocks(name):
            for line in block.replace("\\\n", " ").split("\n"):
                if line.startswith(f"{program} "):
                    for placeholder, value in PLACEHOLDERS.items():
                        line = line.replace(placeholder, value)
                    arguments = shlex.split(line.removeprefix(program), comments=True)
                    found.append((line, arguments))
    return found


def anchors(page: Path) -> set[str]:
    """Return the link anchors that GitHub creates for the headings of a Markdown file."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_files_and_headings(name: str) -> None:
    page = ROOT / name
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not link.startswith("http"):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("name", NAMES)
def test_modules_and_tests_that_a_page_names_exist(name: str) -> None:
    folder, text = (ROOT / name).parent, (ROOT / name).read_text()
    named = set(re.findall(r"`([\w/]+\.py)`", text))
    for module in named:
        assert (ROOT / module).exists() or list(folder.rglob(module)), module
    if "| file | what it does |" in text:
        assert {path.name for path in folder.glob("[!_]*.py")} <= named
    tests = "".join(path.read_text() for path in ROOT.glob("tests/test_*.py"))
    for test in re.findall(r"`(test_\w+)`", text):
        assert f"def {test}(" in tests, test


@pytest.mark.parametrize("name", [name for name in NAMES if any(blocks(name, "python"))])
def test_python_code_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python code in a Markdown page runs, and prints what comments after calls of ``print`` say.

    Code that needs a server is only compiled.
    """
    monkeypatch.chdir(ROOT if name.startswith("pipeline") else tmp_path)
    words = ["array", "arrays", "index", "indices", "regression", "axis", "row"]
    random = np.random.default_rng(0)
    vectors = WordVectors(words, random.normal(size=(7, 4)))
    for folder in ("cache/train/<key>", "runs/<date>/<time>"):
        vectors.save(tmp_path / "outputs" / folder)
    session: dict[str, object] = {}
    for block in blocks(name, "python"):
        code = compile(block, name, "exec")
        if name == NEEDS_A_SERVER:
            continue
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(code, session)
        for wanted in re.findall(r"^ *print\(.*\)  # (.*)$", block, re.M):
            assert any(
                doctest.OutputChecker().check_output(wanted, line, doctest.ELLIPSIS)
                for line in output.getvalue().split("\n")
            ), wanted


RUNS = [found for found in commands("python pipeline/run.py") if "--help" not in found[1]]
SWEEPS = [found for found in RUNS if "-m" in found[1]]


@pytest.mark.parametrize("line", [line for line, arguments in RUNS if "-m" not in arguments])
def test_a_command_has_valid_settings(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mytokens.py").write_text("characters = list")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    # Whether the settings are valid must not depend on whether Ray is installed here.
    monkeypatch.setattr("w2v.cluster.settings.find_spec", lambda _: True)
    given = [text.replace("phrases.from=", "phrases.from_=") for text in dict(RUNS)[line]]
    settled(*[text for text in given if text not in ("--cfg", "job")])
    sys.modules.pop("mytokens", None)


@pytest.mark.parametrize("line", [line for line, _ in SWEEPS])
def test_a_sweep_has_known_settings(line: str) -> None:
    arguments = [text for text in dict(SWEEPS)[line] if text not in ("-m", "…")]
    for override in OverridesParser.create().parse_overrides(arguments):
        key = override.key_or_group
        if key in GROUPS:
            sweep = override.is_sweep_override()
            choices = list(override.sweep_string_iterator()) if sweep else [override.value()]
            assert all((CONF / key / f"{choice}.yaml").exists() for choice in choices), key
        else:
            assert key in known_keys() or key.startswith(("hydra.", "hydra/")), key


REFUSALS = [
    found
    for name in NAMES
    for block in blocks(name)
    for found in re.findall(r"^\$ python pipeline/run\.py (.*)\nerror: (.*)$", block, re.M)
]


@pytest.mark.parametrize(("override", "line"), REFUSALS)
def test_a_refusal_is_the_one_that_the_page_shows(override: str, line: str) -> None:
    with pytest.raises((InputError, HydraException, OmegaConfBaseException)) as refusal:
        settled(override)
    assert line_of(refusal.value) == line


@pytest.mark.parametrize("line", [line for line, _ in commands("python pipeline/cache")])
def test_a_command_of_the_cache_is_known(line: str) -> None:
    make_parser().parse_args(dict(commands("python pipeline/cache"))[line])


def test_the_pages_have_commands() -> None:
    """Enough commands are found in the Markdown pages; other tests are parametrized by them."""
    assert len(RUNS) > 40
    assert len(SWEEPS) > 5
    assert len(REFUSALS) > 2
