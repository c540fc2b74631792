"""Strangers' files: they neither run code, nor write elsewhere, nor command the terminal."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forks import Forks, forks
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


# Configurations of strangers

CONFIGS = {
    # Objects
    "hydra: {callbacks: {x: {_target_: mlflow.utils.process._exec_cmd, cmd: [touch, PWNED]}}}": (
        "hydra.callbacks.x._target_"
    ),
    "hydra: {callbacks: {x: {_target_: pipeline.sweeps.session.SweepCallback, y: {_target_: a.b}}}}": (  # noqa: E501
        "hydra.callbacks.x.y._target_"
    ),
    "hydra: {callbacks: {x: {_target_: hydra_plugins.w2v_grid.Path.touch, self: PWNED}}}": (
        "hydra.callbacks.x._target_"
    ),
    "hydra: {launcher: {_target_: joblib.load}}": "hydra.launcher._target_",
    "hydra: {sweeper: {_target_: numpy.load, file: p.pkl}}": "hydra.sweeper._target_",
    "hydra: {sweeper: {custom_search_space: os.system}}": "hydra.sweeper.custom_search_space",
    # Interpolations, which become something else later
    "hydra: {callbacks: {x: '${evaluate.similarity}'}}\n"
    "evaluate: {similarity: {_target_: mlflow.utils.process._exec_cmd}}": "hydra.callbacks.x",
    "hydra: {callbacks: {x: '${oc.create:{_target_: os.getcwd}}'}}": "hydra.callbacks.x",
    "hydra: {sweeper: {y: '${oc.create:{_target_: os.mkdir, path: \"${oc.env:LATER}/PWNED\"}}'}}": (
        "hydra.sweeper.y"
    ),
    # Logging
    "hydra: {job_logging: {handlers: {x: {(): os.system, command: touch PWNED}}}}": (
        "hydra.job_logging.handlers.x.()"
    ),
    "hydra: {job_logging: {handlers: {x: {class: subprocess.Popen, args: [touch, PWNED]}}}}": (
        "hydra.job_logging.handlers.x.class"
    ),
    "hydra: {hydra_logging: {handlers: {console: {stream: 'ext://os.environ'}}}}": (
        "hydra.hydra_logging.handlers.console.stream"
    ),
    "hydra: {job_logging: {handlers: {file: {filename: PWNED}}}}": (
        "hydra.job_logging.handlers.file.filename"
    ),
    "hydra: {job_logging: {handlers: {file: {delay: true, '.': {baseFilename: PWNED}}}}}": (
        "hydra.job_logging.handlers.file...baseFilename"
    ),
    # Jobs
    "hydra: {job: {env_set: {PATH: /tmp}}}": "hydra.job.env_set.PATH",
    'hydra: {job: {name: "a\\ntouch PWNED"}}': "hydra.job.name",
    "defaults: [override /hydra/launcher: submitit_slurm]\n"
    'hydra: {launcher: {partition: "x\\ntouch PWNED"}}': "hydra.launcher.partition",
    "defaults: [override /hydra/launcher: submitit_local]\n"
    "hydra: {launcher: {submitit_folder: ../PWNED}}": "hydra.launcher.submitit_folder",
    "defaults: [override /hydra/launcher: joblib]\nhydra: {launcher: {temp_folder: ../PWNED}}": (
        "hydra.launcher.temp_folder"
    ),
    # Places
    "hydra: {output_subdir: ../../../../PWNED}": "hydra.output_subdir",
    "hydra: {run: {dir: ../PWNED}}": "hydra.run.dir",
    "outputs: ../PWNED": "outputs",
    "tracking: {uri: 'sqlite:///../PWNED.db'}": "tracking.uri",
    "defaults: [override /search: optuna]\nhydra: {sweeper: {storage: 'sqlite:///../PWNED.db'}}": (
        "hydra.sweeper.storage"
    ),
    "defaults: [override /search: optuna]\nhydra: {sweeper: {study_name: ../../PWNED}}": (
        "hydra.sweeper.study_name"
    ),
    # Code of one's own
    "tokenizer: {function: os.system}": "tokenizer.function",
    "hydra: {sweeper: {params: {tokenizer.function: os.system}}}": (
        "hydra.sweeper.params.tokenizer.function"
    ),
    "hydra: {sweeper: {params: {tokenizer: '{function: os.system}'}}}": (
        "hydra.sweeper.params.tokenizer"
    ),
    "hydra: {sweeper: {params: {+outputs: ../PWNED}}}": "hydra.sweeper.params.+outputs",
    "hydra: {sweeper: {params: {hydra/launcher: joblib}}}": "hydra.sweeper.params.hydra/launcher",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Forks]:
    with forks() as server:
        yield server


@pytest.mark.parametrize("sweeping", [False, True])
@pytest.mark.parametrize("content", CONFIGS)
def test_a_configuration_runs_nothing_and_writes_nowhere_else(
    content: str, sweeping: bool, server: Forks, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    (here / "conf" / "experiment").mkdir(parents=True)
    (here / "conf" / "experiment" / "x.yaml").write_text(f"# @package _global_\n{content}\n")
    (here / "text.txt").write_text("touch PWNED\n" * 20)
    arguments = ["--config-dir", "conf", "experiment=x", "corpus=files", "corpus.path=text.txt"]
    arguments += ["tracking=none", "stages=[tokenize]", *(["-m", "seed=0,1"] if sweeping else [])]
    started = server.start(arguments, here)
    status, said = started.wait(), started.out.read_text()
    assert status == 2, said
    assert said.startswith(f"error: {CONFIGS[content]}="), said
    assert said.endswith(": must be given on the command line, not in a file\n")
    assert said.count("\n") == 1
    assert not list(tmp_path.rglob("*PWNED*"))
    assert not (here / "outputs" / "cache").exists()


def test_a_choice_that_a_search_makes_is_checked(server: Forks, tmp_path: Path) -> None:
    for group in ("experiment", "tokenizer"):
        (tmp_path / "conf" / group).mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "x.yaml").write_text(
        "# @package _global_\n"
        "defaults: [override /search: optuna, override /hydra/launcher: joblib]\n"
        "hydra: {sweeper: {params: {tokenizer: evil, model.dim: 'choice(2,3)'}}}\n"
    )
    (tmp_path / "conf" / "tokenizer" / "evil.yaml").write_text(
        "defaults: [words]\nfunction: os.system\n"
    )
    (tmp_path / "text.txt").write_text("touch PWNED\n" * 20)
    arguments = ["-m", "--config-dir", "conf", "experiment=x", "corpus=files"]
    started = server.start([*arguments, "corpus.path=text.txt", "tracking=none"], tmp_path)
    assert started.wait() == 2, started.out.read_text()
    assert started.out.read_text() == (
        "error: tokenizer.function=os.system: must be given on the command line, not in a file\n"
    )
    assert not (tmp_path / "PWNED").exists()


def test_what_the_environment_lacks_is_one_line(server: Forks, tmp_path: Path) -> None:
    started = server.start(["+hydra.job.env_copy=[NO_SUCH_VARIABLE]", "tracking=none"], tmp_path)
    assert started.wait() == 2
    assert started.out.read_text() == (
        "error: hydra.job.env_copy: 'NO_SUCH_VARIABLE' is not in the environment\n"
    )


def test_on_the_command_line_the_same_is_the_users_own(server: Forks, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on the mat\n" * 20)
    (tmp_path / "own.py").write_text("def tokens(text):\n    return text.split()\n")
    arguments = ["corpus=files", "corpus.path=text.txt", "stages=[tokenize]", "tracking=none"]
    arguments += ["tokenizer.function=own.tokens", "hydra.run.dir=elsewhere"]
    started = server.start(arguments, tmp_path)
    assert started.wait() == 0, started.out.read_text()
    assert (tmp_path / "elsewhere" / "summary.json").is_file()


def test_what_is_harmless_stays_as_it_is() -> None:
    assert harmless("naïve 漢字 👍 a\tb\n") == "naïve 漢字 👍 a\tb\n"
    assert harmless("\x1b[31m\x9b\u202e\ud800\x00") == "\\x1b[31m\\x9b\\u202e\\ud800\\x00"
