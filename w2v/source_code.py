"""Hash the source code that a result depends on."""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

IMPORT = re.compile(r"^\s*(?:from ([\w.]+) )?import (\([^)]*\)|.*)$", re.MULTILINE)
LAZY = re.compile(r"\"(w2v\.[\w.]+):\w+\"")
"""Matches a string that names a class, such as "w2v.engines.softmax:SoftmaxStep"."""


def source_digests(
    module: str,
    packages: tuple[str, ...],
    without: Collection[str] = (),
    data: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the hash of the source file of a module, and of each module that it imports.

    Direct and indirect imports from `packages` are followed, also those inside functions. The
    module of a class that is named in a string, such as "w2v.engines.softmax:SoftmaxStep", counts
    as imported. The ``__init__.py`` of a package is hashed only if the package itself, or a name
    from it, is imported.

    Parameters
    ----------
    packages
        The packages whose modules are followed, each with a dot at its end, such as ``"w2v."``.
    without
        Imported modules that are neither hashed nor searched for imports.
    data
        For the name of a module, a glob pattern of other files to hash, relative to the module's
        folder.

    Returns
    -------
    dict
        The first 16 hexadecimal digits of each file's SHA-256, by path relative to the folder that
        contains the outermost package.
    """
    found: dict[str, Path] = {}
    waiting = [module]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        path = None if name in seen else module_file(name)
        seen.add(name)
        if path is None:
            continue
        root = path.parents[name.count(".") + (path.stem == "__init__")]
        files = [path, *sorted(path.parent.glob((data or {}).get(name, "-")))]
        found |= {file.relative_to(root).as_posix(): file for file in files}
        waiting += [one for one in imports_of(path, packages) if one not in without]
    return {name: digest_of(path) for name, path in sorted(found.items())}


@cache
def digest_of(path: Path) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a file.

    A process computes it once for each file; later changes of the file do not change the result.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@cache
def imports_of(path: Path, packages: tuple[str, ...]) -> list[str]:
    """Return the dotted names that a source file imports from `packages`, such as ``w2v.files``.

    They are those that `imported_modules` yields. A process reads each file once for given
    `packages`; later changes of the file do not change the result.
    """
    return [*imported_modules(path.read_text(encoding="utf-8"), packages)]


@cache
def module_file(name: str) -> Path | None:
    """Return the source file of a module; None if `name` does not name a module with a file.

    No module is imported: some import large libraries, which may not be installed.
    """
    package, *inner = name.split(".")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin)
    if inner:
        path = path.parent.joinpath(*inner)
        path = path / "__init__.py" if path.is_dir() else path.with_name(f"{path.name}.py")
    return path if path.is_file() else None


def imported_modules(source: str, packages: tuple[str, ...]) -> Iterator[str]:
    """Yield the dotted names that a source file imports from the given packages.

    Each may be the name of a module, or of a class or function in a module. The module of a class
    that is named in a string, such as "w2v.engines.softmax:SoftmaxStep", counts as imported.

    Parameters
    ----------
    source
        The source code.
    packages
        Names of packages, each with a dot at its end.
    """
    names = LAZY.findall(source)
    for package, imported in IMPORT.findall(source):
        # What is imported may be a module or something in one.
        parts = [part.split()[0] for part in imported.strip("()").split(",") if part.strip()]
        names += [package, *(f"{package}.{part}".lstrip(".") for part in parts)]
    yield from (name for name in names if f"{name}.".startswith(packages))
