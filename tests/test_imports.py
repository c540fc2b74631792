"""Who may import what, read from the syntax trees; and nothing is ever unpickled."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    str(path.relative_to(ROOT))
    for folder in ("w2v", "pipeline", "tests")
    for path in (ROOT / folder).rglob("*.py")
)

STANDARD = tuple(sys.stdlib_module_names)
LIBRARY = (*STANDARD, "numpy", "scipy", "numba", "w2v")
STAGES = (*STANDARD, "numpy", "pandas", "w2v", "pipeline.artifacts", "pipeline.stages")
# gensim is a heavy import that few runs need: inside the functions that use it.
LAZY = {"w2v/engines/gensim.py": ("gensim",), "w2v/vectors.py": ("gensim",)}
# Hydra's own plug-ins must lie in a package of that name.
HYDRA = (
    *("pipeline/run.py", "pipeline/config.py", "pipeline/callbacks.py", "pipeline/search.py"),
    "pipeline/guard.py",
    "pipeline/plugins/hydra_plugins/w2v_grid.py",
)
# Only these files may import these modules, in the whole of w2v and pipeline.
OWNERS = {
    # MLflow runs serving.py itself, out of the models that models.py writes.
    "mlflow": ("pipeline/tracking.py", "pipeline/models.py", "pipeline/serving.py"),
    "optuna": ("pipeline/search.py",),
    "hydra": HYDRA,
    "omegaconf": HYDRA,
}
UNPICKLERS = ("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve")


class Import(NamedTuple):
    """A module, by its full name, the line, and whether it waits for a call."""

    module: str
    line: int
    lazy: bool


def within(module: str, roots: tuple[str, ...]) -> bool:
    return any(module == root or module.startswith(f"{root}.") for root in roots)


def imports(node: ast.AST, lazy: bool = False) -> Iterator[Import]:
    """The imports below a node; of ``from a import b``, ``a.b``, for b may be a module."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import(names=names):
                yield from (Import(name.name, child.lineno, lazy) for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                origin = "." * level + (module or "")
                yield from (Import(f"{origin}.{name.name}", child.lineno, lazy) for name in names)
            case ast.Call(func=function, args=[ast.Constant(value=str(module)), *_]):
                called = ast.unparse(function).rpartition(".")[2]
                if called in ("import_module", "__import__"):
                    yield Import(module, child.lineno, lazy)
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports(child, lazy or inside)


def allowed(path: str, found: Import) -> bool:
    """Whether the table lets the file import the module."""
    module = found.module
    if module.startswith(".") or within(module, UNPICKLERS):
        return False
    if path == "tests/naive.py":
        return not within(module, ("w2v", "pipeline"))
    if path.startswith("tests/"):
        return True
    if any(within(module, (name,)) and path not in owners for name, owners in OWNERS.items()):
        return False
    if path.startswith("w2v/"):
        lazily = found.lazy and within(module, LAZY.get(path, ()))
        return within(module, LIBRARY) or lazily
    if path.startswith("pipeline/stages/"):
        return within(module, STAGES)
    return True


def faults(path: str, source: str) -> list[str]:
    """Every line of a file that breaks a rule."""
    tree = ast.parse(source)
    found = [
        f"{path}:{found.line}: imports {found.module}"
        for found in imports(tree)
        if not allowed(path, found)
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            hidden = node.module == "numpy" and any(name.name == "load" for name in node.names)
            found += [f"{path}:{node.lineno}: hides np.load"] * hidden
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
            unpickles = [k.value for k in node.keywords if k.arg == "allow_pickle"]
            if [ast.unparse(value) for value in unpickles] != ["False"]:
                found.append(f"{path}:{node.lineno}: np.load without allow_pickle=False")
    return found


@pytest.mark.parametrize("path", FILES)
def test_every_file_keeps_to_the_table(path: str) -> None:
    assert faults(path, (ROOT / path).read_text(encoding="utf-8")) == []


def test_the_files_are_there() -> None:
    rooms = ("w2v/losses.py", "w2v/engines/numpy.py", "pipeline/run.py", "pipeline/config.py")
    assert {*rooms, "pipeline/tracking.py", "pipeline/stages/train.py", "tests/naive.py"} <= {
        *FILES
    }


@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        ("w2v/train.py", "import pandas as pd", "imports pandas"),
        ("w2v/train.py", "import os, hydra.core", "imports hydra.core"),
        ("w2v/train.py", "from omegaconf import DictConfig", "imports omegaconf.DictConfig"),
        ("w2v/train.py", "def f():\n    import mlflow", "imports mlflow"),
        ("w2v/train.py", "from pipeline import artifacts", "imports pipeline.artifacts"),
        ("w2v/train.py", "from .model import Model", "imports .model.Model"),
        ("w2v/train.py", "if TYPE_CHECKING:\n    import torch", "imports torch"),
        ("w2v/train.py", "def f():\n    import gensim", "imports gensim"),
        ("w2v/vectors.py", "import gensim", "imports gensim"),
        ("w2v/vectors.py", "class A:\n    import gensim.models", "imports gensim.models"),
        ("w2v/engines/gensim.py", "from gensim import models", "imports gensim.models"),
        ("w2v/engines/new.py", "import_module('gensim')", "imports gensim"),
        ("w2v/engines/new.py", "importlib.import_module('jax.numpy')", "imports jax.numpy"),
        ("w2v/engines/new.py", "__import__('scipylike')", "imports scipylike"),
        ("pipeline/stages/train.py", "from pipeline import config", "imports pipeline.config"),
        ("pipeline/stages/train.py", "import pipeline.report", "imports pipeline.report"),
        ("pipeline/stages/train.py", "import mlflow", "imports mlflow"),
        ("pipeline/stages/train.py", "import sklearn", "imports sklearn"),
        ("pipeline/experiment.py", "from mlflow import log", "imports mlflow.log"),
        ("pipeline/report.py", "import omegaconf", "imports omegaconf"),
        ("pipeline/tracking.py", "import hydra", "imports hydra"),
        ("pipeline/sweeps.py", "import optuna", "imports optuna"),
        ("tests/naive.py", "from w2v import losses", "imports w2v.losses"),
        ("tests/test_new.py", "import pickle", "imports pickle"),
        ("pipeline/artifacts.py", "from joblib import load", "imports joblib.load"),
        ("w2v/tokens.py", "np.load(path)", "np.load without allow_pickle=False"),
        ("w2v/tokens.py", "np.load(p, allow_pickle=True)", "np.load without allow_pickle=False"),
        ("w2v/tokens.py", "numpy.load(p, 'r')", "np.load without allow_pickle=False"),
        ("pipeline/run.py", "from numpy import load", "hides np.load"),
    ],
)
def test_the_check_sees_what_is_forbidden(path: str, source: str, fault: str) -> None:
    line = source.count("\n") + 1
    assert faults(path, source) == [f"{path}:{line}: {fault}"]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "w2v/train.py",
            "import os.path, numpy as np, scipy.sparse, numba\nfrom w2v import losses",
        ),
        ("w2v/train.py", "import_module(name)\nimport_module('w2v.engines.numpy')"),
        ("w2v/vectors.py", "class A:\n    def f(self):\n        from gensim.models import A"),
        ("w2v/engines/gensim.py", "async def f():\n    import gensim"),
        ("pipeline/stages/a.py", "import pandas\nfrom pipeline.artifacts import Entry"),
        ("pipeline/stages/a.py", "from pipeline.stages.vocab import IDS\nfrom w2v import losses"),
        ("pipeline/tracking.py", "def f():\n    import mlflow.entities"),
        ("pipeline/run.py", "import hydra\nfrom omegaconf import DictConfig"),
        ("tests/test_new.py", "import torch\nimport w2v"),
        ("tests/naive.py", "import math"),
        ("w2v/tokens.py", "np.load(path, mmap_mode='r', allow_pickle=False)\nfile.load(path)"),
    ],
)
def test_the_check_lets_pass_what_is_allowed(path: str, source: str) -> None:
    assert faults(path, source) == []
