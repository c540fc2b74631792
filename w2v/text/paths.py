"""List the text files that paths, folders and glob patterns name, and report what is skipped.

Hidden files, files that operating systems create, pipes and devices are skipped and counted.
Excluded folders and symbolic links to folders are not searched, and are listed.
"""

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from w2v.errors import InputError
from w2v.files import local_path, name_as_text

SYSTEM_FILES = frozenset({"Thumbs.db", "desktop.ini", "__MACOSX", "$RECYCLE.BIN"})
"""Files and folders with no leading dot that operating systems create among users' files."""


OUTPUTS = "cache/tokenize"
"""A folder that contains this path holds outputs of the pipeline; it is not searched for text."""


@dataclass
class FoundFiles:
    """The files that `find_files` found, and what it skipped.

    Attributes
    ----------
    paths
        The files, in the order in which they are read.
    hidden
        How many hidden files and folders, and files such as ``Thumbs.db``, were skipped.
    no_files
        How many broken links, pipes, sockets and devices were skipped.
    left_out
        The folders that were not searched: those that `find_files` was told to leave out, symbolic
        links to folders, and folders that match a glob pattern although their files do not. For
        example, the pattern ``data/*`` matches the folder ``data/old``, but no file in it.
    """

    paths: list[str] = field(default_factory=list)
    hidden: int = 0
    no_files: int = 0
    left_out: list[str] = field(default_factory=list)

    def skipped(self) -> dict[str, Any]:
        """Return what the search for files skipped, as a dict of two counts and a list.

        ``hidden_files`` counts hidden files and folders, and files such as ``Thumbs.db``.
        ``no_files`` counts broken links, pipes, sockets and devices. ``folders_left_out`` lists the
        folders that were not searched: those that `find_files` was told to leave out, symbolic
        links, and folders that match a glob pattern although their files do not (``data/*`` matches
        the folder ``data/old``, but no file in it).
        """
        return {
            "hidden_files": self.hidden,
            "no_files": self.no_files,
            "folders_left_out": [*map(name_as_text, self.left_out)],
        }


def find_files(
    paths: Sequence[str], exclude: Sequence[Path] = (), marker: str | None = None
) -> FoundFiles:
    """List the files given by paths, folders and glob patterns, in the order given.

    The files of a folder or pattern are sorted.

    Parameters
    ----------
    paths
        Files, folders (searched with their subfolders), glob patterns, or addresses such as
        ``s3://bucket/text.gz``, which are passed on unchecked. In folders, hidden files and
        folders, pipes, sockets, devices and symbolic links to folders are skipped; ``**`` in a
        pattern does not follow such links either. A file given by its own path is never skipped.
    exclude
        Folders that are not searched, even if `paths` names them. Files and subfolders in them that
        `paths` names are read.
    marker
        A relative path, such as ``cache/tokenize``. A folder that contains it is not searched,
        unless `paths` names the folder or something in it.

    Raises
    ------
    InputError
        A path gives no file, or is a pipe or device; or the user has no permission to read a file
        or folder.
    OSError
        A name is too long for the system.
    """
    found = FoundFiles()
    skip = _Excluded([folder.resolve() for folder in exclude], marker)
    for path in (path if "://" in path else str(local_path(path)) for path in paths):
        before = len(found.paths), found.hidden, len(found.left_out), found.no_files
        try:
            if "://" in path or Path(path).is_file():
                found.paths.append(path)
            elif Path(path).is_dir():
                _search(Path(path), skip, found)
            elif Path(path).exists():
                raise InputError(
                    f"path={path} is a pipe or a device, which cannot be read twice; name a file "
                    "(.gz, .bz2, .xz and .zst are decompressed)"
                )
            else:
                _match(path, skip, found)
        except PermissionError as error:
            raise InputError(f"path={error.filename}: cannot be read ({error.strerror})") from None
        if len(found.paths) == before[0]:
            hidden = found.hidden - before[1]
            reasons = [f"{hidden} hidden files and folders are skipped"] * (hidden > 0)
            reasons += [
                f"{folder} is left out" for folder in dict.fromkeys(found.left_out[before[2] :])
            ]
            others = found.no_files - before[3]
            reasons += [f"{others} broken links, pipes or devices are skipped"] * (others > 0)
            why = f" ({', '.join(reasons)})" if reasons else ""
            raise InputError(
                f"path={path}: no such file{why}; give a path, a folder, a glob or a list"
            )
    found.left_out = sorted(set(found.left_out))
    return found


class _Excluded(NamedTuple):
    """The folders that `find_files` does not search.

    Attributes
    ----------
    folders
        Excluded folders.
    marker
        A relative path: folders that contain it are excluded, too; None if there is none.
    """

    folders: Sequence[Path]
    marker: str | None

    def holds(self, folder: Path, start: Path) -> bool:
        """Return whether a search that begins in the folder `start` skips `folder`.

        `folder` is a folder that the search finds, or any folder above a file that it finds.

        - A folder above `start` is never skipped.
        - `start` itself is skipped only if it is in the attribute `folders`.
        - Any other folder is skipped if it is in `folders`, or if it contains the relative path
          `marker` (an attribute; None: there is no marker).
        """
        if folder in self.folders:
            return folder not in start.parents
        # Path.exists raises an error if the folder may not be entered.
        marked = self.marker is not None and os.path.exists(folder / self.marker)  # noqa: PTH110
        return marked and folder != start and folder not in start.parents


def _search(root: Path, skip: _Excluded, found: FoundFiles) -> None:
    """Add the files in the folder `root` and its subfolders to `found`.

    `skip` says which folders are not searched. What is left out, for this or another reason, is
    recorded in `found`, too.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"path={error.filename}: cannot be read ({error.strerror})")

    start = root.resolve()
    names: list[str] = []
    if start in skip.folders:
        found.left_out.append(str(root))
        return
    for folder, folders, files in os.walk(root, onerror=refuse):
        for kept in (folders, files):
            shown = [name for name in kept if not _is_hidden(name)]
            found.hidden += len(kept) - len(shown)
            kept[:] = shown
        own = [
            name
            for name in folders
            if (Path(folder) / name).is_symlink()
            or skip.holds((Path(folder) / name).resolve(), start)
        ]
        found.left_out += [str(Path(folder) / name) for name in own]
        folders[:] = [name for name in folders if name not in own]
        inside = [str(path) for name in files if (path := Path(folder) / name).is_file()]
        found.no_files += len(files) - len(inside)
        names += inside
    found.paths += sorted(names)


def _match(pattern: str, skip: _Excluded, found: FoundFiles) -> None:
    """Add the files that match a glob pattern to `found`, and record there what is left out.

    - ``found.left_out`` lists the folders that `skip` excludes and the symbolic links that ``**``
      matched. It also lists matching folders that are not empty, if nothing in them matches,
      because the user may have meant their files.
    - ``found.hidden`` counts files that operating systems create, such as ``Thumbs.db``.
    - ``found.no_files`` counts broken links, pipes, sockets and devices.
    """
    # With more than one **, a path matches in several ways.
    matches = {*glob.glob(pattern, recursive=True)}  # noqa: PTH207 (it takes absolute patterns)
    searched = {folder for name in matches for folder in Path(name).parents}
    start = Path(*takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts)).resolve()
    for name in sorted(matches):
        path = Path(name)
        if linked := _linked_folders(path, Path(pattern)):
            found.left_out.append(str(linked[0]))
            continue
        if path.is_dir():
            if path not in searched and next(path.iterdir(), None) is not None:
                found.left_out.append(name)
            continue
        if not path.is_file():
            found.no_files += 1
            continue
        above = path.resolve().parents
        inside = [folder for folder in above if skip.holds(folder, start)]
        if path.name in SYSTEM_FILES:
            found.hidden += 1
        elif inside:
            found.left_out.append(os.path.relpath(inside[-1]))
        else:
            found.paths.append(name)


def _linked_folders(path: Path, pattern: Path) -> list[Path]:
    """Return those parent folders of `path` that are symbolic links and were matched by ``**``.

    The outermost folder comes first. The caller leaves out what is behind such a link.

    Parameters
    ----------
    path
        A path that the glob pattern `pattern` matched.
    pattern
        The glob pattern, which may contain ``**``.
    """
    stars = [number for number, part in enumerate(pattern.parts) if part == "**"]
    if not stars:
        return []
    after = max(1, len(pattern.parts) - 1 - stars[-1])  # parts of the path that ** did not match
    folders = (Path(*path.parts[:end]) for end in range(stars[0] + 1, len(path.parts) - after + 1))
    return [folder for folder in folders if folder.is_symlink()]


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in SYSTEM_FILES
