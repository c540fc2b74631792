"""Test the package as users install it, from a wheel or an sdist."""

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.commands import BARE, ROOT, write_text

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("install")]


def call(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program without the environment variables of Python, such as ``PYTHONPATH``.

    `words` are the program and its arguments. The result has its exit status and its output.
    """
    environment: Mapping[str, str] = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    return subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True
    )


def succeed(*words: str | Path, cwd: Path) -> str:
    done = call(*words, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and the sdist, and return their folder."""
    folder = tmp_path_factory.mktemp("built")
    succeed(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=ROOT)
    return folder


def environment(folder: Path) -> Path:
    """Make a virtual environment that has the packages of the present one, but not this project.

    Return the folder of its programs.
    """
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # A folder named in such a file is searched, but editable installs in it do not count.
    others = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "others.pth").write_text("\n".join(others))
    return folder / "bin"


def test_the_archives_hold_the_settings_and_the_types(built: Path) -> None:
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    settings = {path.relative_to(ROOT).as_posix() for path in (ROOT / "conf").rglob("*.yaml")}
    in_wheel = set(zipfile.ZipFile(wheel).namelist())
    assert {f"pipeline/{name}" for name in settings} <= in_wheel
    assert {"w2v/py.typed", "w2v/report/templates/map.html"} <= in_wheel
    assert {name.split("/")[0].split("-")[0] for name in in_wheel} == {
        *("pipeline", "w2v", "w2v_experiments")
    }
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert settings | {"README.md", "LICENSE", "pyproject.toml", "tests/conftest.py"} <= names


OPTIONS = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")


def test_the_sdist_gives_the_same_wheel(built: Path, tmp_path: Path) -> None:
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    succeed(sys.executable, "-m", "pip", "wheel", *OPTIONS, "-w", tmp_path, sdist, cwd=tmp_path)
    assert sums(tmp_path / wheel.name) == sums(wheel)


def sums(wheel: Path) -> dict[str, int]:
    """Return the CRC-32 of each file in a wheel."""
    return {member.filename: member.CRC for member in zipfile.ZipFile(wheel).infolist()}


def test_the_command_works_from_any_folder(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    programs = environment(tmp_path / "environment")
    install = "-m", "pip", "--python", programs / "python", "install"
    succeed(sys.executable, *install, *OPTIONS, wheel, cwd=tmp_path)
    here = write_text(tmp_path)
    (here / "mine" / "experiment").mkdir(parents=True)
    (here / "mine" / "experiment" / "small.yaml").write_text(
        "# @package _global_\n"
        "defaults: [override /corpus: files, override /tracking: none]\n"
        "corpus: {path: text.txt}\n"
        "vocab: {min_count: 1}\n"
        "model: {dim: 4}\n"
        "train: {epochs: 1, heldout: 0.1}\n"
    )
    # The tokenizer is compiled here, in its new place. The kernels would take 20 seconds.
    small = ["--config-dir", "mine", "experiment=small", "engine=numpy", *BARE]
    where = "import w2v, pipeline; print(w2v.__file__, pipeline.__file__)"
    for place in succeed(programs / "python", "-c", where, cwd=here).split():
        assert Path(place).is_relative_to(tmp_path / "environment")
    succeed(programs / "w2v", *small, cwd=here)
    (summary,) = here.glob("outputs/runs/*/*/summary.json")
    made = json.loads(summary.read_text())
    assert made["vocab"]["size"] > 10
    sweep = succeed(programs / "w2v", "-m", *small, "model.window=2,3", cwd=here)
    assert "2 jobs" in sweep
    listed = succeed(programs / "w2v", "cache", "list", cwd=here)
    assert listed.count("train ") == 3
    assert "Usage: w2v [group=name" in succeed(programs / "w2v", "--help", cwd=here)
    refused = call(programs / "w2v", "model.windw=8", cwd=here)
    assert refused.returncode == 2
    assert refused.stderr == (
        "error: model.windw: no such setting here; did you mean model.window?\n"
    )
    script = f"import w2v; print(w2v.WordVectors.load({str(summary)!r}).nearest('cat', 1))"
    assert "[('" in succeed(programs / "python", "-c", script, cwd=here)
