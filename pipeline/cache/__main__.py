"""The cache by hand: ``python pipeline/cache list | verify | prune``."""

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Run as a script, Python looks for modules in this folder first; the project lies one above.
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from filelock import FileLock, Timeout  # noqa: E402

from pipeline.cache.store import DAMAGED, PART, fault, lock_of, remove  # noqa: E402
from pipeline.runtime.startup import steady  # noqa: E402
from pipeline.stages import STAGES  # noqa: E402
from w2v.errors import harmless  # noqa: E402

UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Item:
    """A folder of the cache.

    Attributes
    ----------
    stage
        Its stage; ``checkpoints`` for those of a training that has not ended.
    key
        Of the entry that it is or was to be.
    kind
        ``entry``; ``damaged``, set aside by a run; ``part``, half made; ``checkpoint``.
    bytes
        Of its files.
    used
        When it was made or last used, in seconds since 1970.
    """

    stage: str
    key: str
    kind: str
    path: Path
    bytes: int
    used: float


def items(outputs: Path) -> Iterator[Item]:
    """Everything in the cache, by stage and key."""
    for stage in STAGES:
        for path in sorted((outputs / "cache" / stage).glob("*")):
            name, mark, _ = path.name.partition(DAMAGED)
            if path.name.startswith("."):
                if path.name.endswith(PART):
                    yield item(stage, path.name[1:].removesuffix(PART), "part", path)
            else:
                yield item(stage, name, "damaged" if mark else "entry", path)
    for path in sorted((outputs / CHECKPOINTS).glob("*")):
        yield item(CHECKPOINTS, path.name, "checkpoint", path)


def item(stage: str, key: str, kind: str, path: Path) -> Item:
    """One folder, weighed."""
    size, used = 0, 0.0
    for folder, _, files in os.walk(path) if not path.is_symlink() else ():
        used = max(used, Path(folder).stat().st_mtime)
        size += sum((Path(folder) / file).lstat().st_size for file in files)
    return Item(stage, key, kind, path, size, used or path.lstat().st_mtime)


def prune(
    outputs: Path, stages: Sequence[str], older: float | None, to: int | None, dry: bool
) -> list[Item]:
    """Remove what is asked for, and whatever is half made or damaged and belongs to nobody.

    Parameters
    ----------
    stages
        Only of these; empty for all.
    older
        Entries and checkpoints that were not used for so many days.
    to
        The least recently used ones, until no more than so many bytes are left.
    dry
        Remove nothing.

    Returns
    -------
    list of Item
        What was removed, or would have been. What a running job makes is left alone.
    """
    found = [one for one in items(outputs) if not stages or one.stage in stages]
    found.sort(key=lambda one: one.used)
    left = sum(one.bytes for one in found)
    gone = []
    for one in found:
        old = older is not None and time.time() - one.used > older * 86400
        waste = one.kind in ("part", "damaged")
        if (waste or old or (to is not None and left > to)) and removed(outputs, one, dry):
            left -= one.bytes
            gone.append(one)
    return gone


def removed(outputs: Path, one: Item, dry: bool) -> bool:
    """Remove a folder unless a process is at work on its key."""
    owner = "train" if one.kind == "checkpoint" else one.stage
    lock = lock_of(outputs / "cache" / owner, one.key)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=0):
            if not dry:
                aside = one.path.with_name(f".{one.path.name.lstrip('.')}.pruned{PART}")
                one.path.rename(aside)  # at once: no half of an entry is ever seen
                remove(aside)
    except (Timeout, OSError):  # at work; gone meanwhile; a disk that is read-only
        return False
    return True


def in_bytes(text: str) -> int:
    """``10G`` as a number of bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; give it as 500M or 10G")
    size = float(match[1]) * UNITS[match[2]]
    if size > sys.maxsize:
        raise argparse.ArgumentTypeError(f"{text[:20]}... is more than any disk holds")
    return int(size)


def days(text: str) -> float:
    """``30`` or ``30d`` as a number of days."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)d?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days; give it as 30 or 0.5")
    return float(match[1])


def row(one: Item, note: str = "") -> str:
    """A line of the list."""
    used = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.used))
    kind = "" if one.kind == "entry" else one.kind
    line = f"{one.stage:<11} {one.key:<16} {one.bytes / 1e6:>10,.1f} MB  {used}  {note or kind}"
    return harmless(line)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 1 where `verify` found damage."""
    parser = argparse.ArgumentParser(prog="pipeline/cache", description=__doc__)
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="default: outputs")
    commands = parser.add_subparsers(dest="command", required=True)
    stage = argparse.ArgumentParser(add_help=False)
    stage.add_argument(
        "--stage",
        action="append",
        default=[],
        choices=[*STAGES, CHECKPOINTS],
        help="only this one; may be given several times",
    )
    commands.add_parser("list", parents=[stage], help="every entry: stage, key, size, last use")
    commands.add_parser("verify", parents=[stage], help="compare every file with its SHA-256")
    pruning = commands.add_parser(
        "prune",
        parents=[stage],
        help="remove entries, and what killed runs left half made or damaged",
    )
    pruning.add_argument("--older", type=days, metavar="DAYS", help="not used for so long")
    pruning.add_argument(
        "--to", type=in_bytes, metavar="SIZE", help="least recently used first, until 10G are left"
    )
    pruning.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    given = parser.parse_args(arguments)
    if not given.outputs.is_dir():
        print(f"error: --outputs {given.outputs}: no such folder", file=sys.stderr)
        return 2
    if given.command == "prune":
        gone = prune(given.outputs, given.stage, given.older, given.to, given.dry_run)
        for one in gone:
            print(row(one))
        verb = "would be removed" if given.dry_run else "removed"
        print(f"{len(gone)} {verb}, {sum(one.bytes for one in gone) / 1e6:,.1f} MB")
        return 0
    found = [one for one in items(given.outputs) if not given.stage or one.stage in given.stage]
    damaged = 0
    for one in found:
        note = ""
        if given.command == "verify" and one.kind == "entry":
            note = fault(one.path, digests=True)
            damaged += bool(note)
            note = f"damaged: {note}" if note else "whole"
        print(row(one, note))
    print(f"{len(found)} in all, {sum(one.bytes for one in found) / 1e6:,.1f} MB")
    return 1 if damaged else 0


if __name__ == "__main__":
    steady()
    sys.exit(main())
