"""Import functions that a user names in settings, and hash the source code that they depend on."""

import ast
import hashlib
import importlib
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import metadata
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any


def import_function(name: str) -> Callable[[str], Iterable[str]]:
    """Import a function by its dotted name, such as ``package.module.name``.

    The current folder is appended to ``sys.path``, unless it is there already.

    Raises
    ------
    ImportError, AttributeError, ValueError, TypeError
        There is no such module or function, or the name is malformed.
    Exception, SystemExit
        Anything that the module raises when it is imported, such as a SyntaxError.
    """
    module, _, attribute = name.rpartition(".")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    function: Callable[[str], Iterable[str]] = getattr(importlib.import_module(module), attribute)
    return function


def sources_fingerprint(modules: Iterable[str]) -> dict[str, Any]:
    """Return a dict that changes when the code of some modules, or of modules they import, changes.

    The code of `modules`, and of the user's own modules that they import directly or indirectly, is
    hashed. Installed packages are represented by their versions. The standard library is left out.

    Returns
    -------
    dict
        ``code`` is one SHA-256 of all this code, in hexadecimal. ``packages`` has the version of
        each installed package that is imported, by the name of its top-level module; the version is
        empty if unknown.
    """
    code: dict[str, bytes] = {}
    packages: dict[str, str] = {}
    named = set(modules)
    waiting = list(named)
    while waiting:
        module = waiting.pop()
        top = module.partition(".")[0]
        known = top in packages and module not in named
        if module in code or top in sys.stdlib_module_names or known:
            continue
        path = source_file(module)
        if path is None:
            continue
        if is_installed(path) and module not in named:
            packages[top] = version_of(top)
            continue
        code[module] = path.read_bytes()
        waiting += imported_modules(code[module], module, is_package=path.stem == "__init__")
    whole = hashlib.sha256()
    for module in sorted(code):
        whole.update(hashlib.sha256(code[module]).digest())
    return {"code": whole.hexdigest(), "packages": dict(sorted(packages.items()))}


def source_file(module: str) -> Path | None:
    """Return the file that a module would be loaded from: its source, or a compiled file.

    The packages that contain the module are imported. The result is None if this fails, or if the
    module cannot be found or has no file.
    """
    try:
        spec = find_spec(module)  # imports the packages around the module
    except Exception:  # whatever these packages raise when they are imported
        return None
    path = Path(spec.origin) if spec and spec.has_location and spec.origin else None
    return path if path is not None and path.is_file() else None


def is_installed(path: Path) -> bool:
    """Return whether a file belongs to the standard library or to an installed package."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return "site-packages" in path.parts or any(path.is_relative_to(one) for one in folders)


@cache  # finding a package whose name differs takes a fifth of a second
def version_of(module: str) -> str:
    """Return the version of the installed package that has the name of a top-level module.

    If no package has this name, return the version of the package that contains the module, such as
    PyYAML for ``yaml``. The versions of several such packages are joined by commas. The result is
    empty if there is none, or if the module belongs to the standard library.
    """
    if module in sys.stdlib_module_names:
        return ""
    try:
        return metadata.version(module)
    except metadata.PackageNotFoundError:
        packages = sorted(set(metadata.packages_distributions().get(module, [])))
        return ", ".join(metadata.version(package) for package in packages)


def imported_modules(source: bytes, module: str, is_package: bool) -> Iterator[str]:
    """Yield the names of the modules that some source code imports, and of their parent packages.

    For ``from a import b``, both ``a`` and ``a.b`` are yielded, because ``b`` may be a module.
    Nothing is yielded for code that cannot be parsed, such as that of a compiled module.

    Parameters
    ----------
    source
        The source code.
    module
        The name of its module, against which relative imports are resolved.
    is_package
        Whether it is the ``__init__.py`` of a package.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # a compiled module
        return
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            try:
                base = resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:  # a relative import outside any package
                continue
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: end + 1]) for end in range(len(parts)))
