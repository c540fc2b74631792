"""Strangers' files: they neither run code, nor write elsewhere, nor command the terminal."""

import ast
from pathlib import Path

import pytest

from tests.forks import forks
from w2v.errors import harmless

ROOT = Path(__file__).parents[1]
CODE = sorted(
    str(path.relative_to(ROOT))
    for room in ("w2v", "pipeline")
    for path in (ROOT / room).rglob("*.py")
)
RUNS_CODE = {
    *("eval", "exec", "compile", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"),
    *("pd.read_pickle", "pandas.read_pickle", "np.fromregex", "shutil.unpack_archive"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "hydra.utils.instantiate"),
}


def faults(source: str) -> list[str]:
    """Calls that could run what a file says, or unpack it wherever it wants to go."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
        if name in RUNS_CODE or name.endswith((".extractall", ".extract")):
            found.append(name)
        if keywords.get("shell", "False") != "False" or keywords.get("weights_only") == "False":
            found.append(f"{name} with a shell")
    return found


@pytest.mark.parametrize("path", CODE)
def test_no_file_is_run_or_unpacked(path: str) -> None:
    assert faults((ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    ["eval(x)", "tar.extractall(p)", "subprocess.run(c, shell=True)", "pd.read_pickle(p)"],
)
def test_the_check_sees_them(source: str) -> None:
    assert faults(source)


HOSTILE = (
    "../../../escaped",
    "/etc/passwd",
    "<script>alert(1)</script>",
    "<img/src=x/onerror=alert(1)>",
    "\x1b[2J\x1b[31mred",
    "\x9b31m",
    "bell\x07",
    "back\x08space",
    "$(touch${IFS}hacked)",
    "`touch;hacked`",
    "=cmd|'/c",
    "[bold]markup[/bold]",
    "%s%n{0}",
    "'\";--",
    "\u202egnp.exe",
)


def test_hostile_words_are_words(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "text.txt").write_text("\n".join([" ".join(HOSTILE), " ".join(HOSTILE[::-1])] * 60))
    with forks() as server:
        started = server.start(
            (
                "corpus=files",
                "corpus.path=text.txt",
                "tokenizer=whitespace",
                "vocab.min_count=1",
                "model.dim=4",
                "train.epochs=1",
                "model.subsample=0",
            ),
            here,
        )
        assert started.wait() == 0, started.out.read_text()
        said = started.out.read_bytes().decode()
        refused = server.start(
            ("corpus=files", "corpus.path='\x1b[2Jnothing'", "tracking=none"), here
        )
        assert refused.wait() == 2
        assert refused.out.read_text() == (
            "error: corpus.path=\\x1b[2Jnothing: no such file; give a path, a folder, a glob or a "
            "list\n"
        )
    assert "\\x1b" in said or "escaped" not in said
    assert all(letter.isprintable() or letter == "\n" for letter in said), ascii(said)
    outside = [path.name for path in here.iterdir() if not path.name.startswith("output-")]
    assert sorted(outside) == ["outputs", "text.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    for page in (here / "outputs").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<script>alert(1)" not in text
        assert "<img/src=x" not in text


def test_what_is_harmless_stays_as_it_is() -> None:
    assert harmless("naïve 漢字 👍 a\tb\n") == "naïve 漢字 👍 a\tb\n"
    assert harmless("\x1b[31m\x9b\u202e\ud800\x00") == "\\x1b[31m\\x9b\\u202e\\ud800\\x00"
