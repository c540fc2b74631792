"""The base class of the stages of an experiment, and the context in which they run."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pipeline.cache.store import Entry, stage_key
from pipeline.config.settings import Config
from pipeline.runtime.console import Display
from pipeline.runtime.signals import StopRequest
from pipeline.tracking.tracker import Tracker
from w2v.errors import InputError
from w2v.files import digest, name_as_text
from w2v.hashes import FileHashes
from w2v.labels import is_number
from w2v.report.findings import Findings
from w2v.source_code import source_digests
from w2v.text.sources import size_of
from w2v.training.memory import machine


@dataclass
class Context:
    """The state of a run, shared by its stages: settings, display, tracker, results so far."""

    config: Config
    display: Display
    tracker: Tracker
    stop: StopRequest
    cores: int  # that the run may use
    threads: int  # of the engine
    command: str = ""  # repeats the run
    job: int | None = None  # its number in a sweep; None: a single run
    sweep_dims: int = 0  # of a job and all later ones: the dimensions of their vectors, added up
    entries: dict[str, Entry] = field(default_factory=dict)  # the results so far, by stage
    findings: Findings | None = None  # of the evaluation, if this run computed it

    @property
    def outputs(self) -> Path:
        """The folder of everything that is written: the folders of all runs, and the cache."""
        return Path(self.config.outputs)

    @cached_property
    def hashes(self) -> FileHashes:
        """The object that computes the SHA-256 of the files that the run reads."""
        return self.config.file_hashes()

    @property
    def verify(self) -> bool:
        """Whether the SHA-256 of cached files is checked before they are used."""
        return self.config.cache.verify == "sha256"

    @property
    def words(self) -> int:
        """Words read in all epochs of training (0 if none); the MLflow step of final metrics."""
        return int(self.entries["train"].facts["words"]) if "train" in self.entries else 0


Make = Callable[[Path], dict[str, Any]]
"""A function that writes a result into an empty folder; returns facts for ``manifest.json``."""


class Expected(NamedTuple):
    """The expected cost of a computation: seconds, if known, and bytes of memory and disk.

    If it continues an earlier one, `start` says so ("it goes on from 2 epochs"); else it is "".
    """

    seconds: float | None = None
    memory: int = 0
    disk: int = 0
    start: str = ""


MAX_INPUTS = 10_000
"""If a result is made from more files than this, its ``manifest.json`` does not list them."""


class Stage(ABC):
    """A stage of an experiment: how its result is computed, cached, shown and recorded.

    To add a stage, write a subclass in a new file, and add an object to `pipeline.stages.STAGES`.
    """

    name: ClassVar[str]  # on the command line and in the cache
    section: ClassVar[str]  # the key of the facts about its result in summary.json
    groups: ClassVar[tuple[str, ...]] = ()  # of settings named like arguments of the library
    consumes: ClassVar[tuple[str, ...]] = ()  # the names of the stages whose results it reads

    def applies(self, config: Config) -> bool:  # noqa: ARG002
        """Return whether an experiment with these settings includes this stage."""
        return True

    def check(self, config: Config) -> None:
        """Raise `InputError` if an input file cannot be read; does nothing by default."""

    @abstractmethod
    def prepare(self, context: Context) -> tuple[dict[str, Any], Make]:
        """Return the settings that the result depends on, and a function that computes the result.

        The settings become part of the cache key: JSON values, with a hash for each input file.
        """

    @abstractmethod
    def describe(self, facts: Mapping[str, Any]) -> str:
        """Summarize the result in one line, from the `facts` about it in its ``manifest.json``."""

    def ready(self, context: Context, entry: Entry) -> None:
        """Warn or clean up once the result, `entry`, is in the cache; does nothing by default."""

    def record(self, context: Context, entry: Entry) -> None:
        """Record the result in MLflow, after all stages have run; does nothing by default."""

    def files(self, context: Context, entry: Entry) -> dict[str, str]:  # noqa: ARG002
        """Return paths of `entry`'s files to list in ``summary.json``, by name; default: none."""
        return {}

    def finish(
        self, context: Context, entry: Entry, run_dir: Path, summary: Mapping[str, Any]
    ) -> None:
        """Write a report into the folder `run_dir` at a run's end; by default, do nothing.

        `entry` is this stage's result; `summary` is the content of the run's ``summary.json``.
        """

    def key(self, context: Context, settings: dict[str, Any]) -> str:
        """Return the result's cache key, a hash of `settings`, code and the keys of its inputs."""
        return stage_key(self.name, digest(self.code), settings, self.upstream(context))

    def upstream(self, context: Context) -> dict[str, str]:
        """Return the cache keys of the results that this stage reads, by stage name."""
        entries = context.entries
        return {name: entries[name].key for name in self.consumes if name in entries}

    @property
    def code(self) -> dict[str, str]:
        """The source files that the result depends on, each with a hash of its content."""
        return code_of(type(self).__module__)

    def about(self, context: Context, settings: dict[str, Any]) -> dict[str, Any]:
        """Return metadata of the result, such as settings, hashes of inputs and code, machine."""
        inputs = {name_as_text(path): sha for path, sha in context.hashes.seen.items()}
        size = size_of([*context.hashes.seen]) or 0
        return {
            "settings": settings,
            "upstream": self.upstream(context),
            "code": self.code,
            "inputs": inputs if len(inputs) <= MAX_INPUTS else {},
            "input_bytes": size,
            "machine": machine(),
        }

    def expect(self, context: Context, past: Mapping[str, Any] | None) -> Expected:  # noqa: ARG002
        """Estimate the time, memory and disk space that computing the result takes.

        `past` has the metadata of the most similar result from a machine like this one, if any.
        """
        if past is None:
            return Expected()
        return Expected(past["seconds"], disk=sum(one["bytes"] for one in past["files"].values()))

    def guess(self, context: Context, facts: dict[str, Any], ratio: float) -> dict[str, Any]:
        """Estimate facts about a result that is not yet computed, such as its number of tokens.

        `facts` are those of a similar cached result, returned unchanged by default. `ratio` is the
        size of the new text divided by that of the similar result's text; 0 if unknown.
        """
        del context, ratio
        return facts

    @contextmanager
    def explaining(self, config: Config) -> Iterator[None]:
        """Context manager: re-raise an `InputError` with its setting's full key (`explain`)."""
        try:
            yield
        except InputError as error:
            raise self.explain(error, config) from None

    def explain(self, error: InputError, config: Config) -> InputError:
        """Return `error` with the full key of a setting: ``train.lr=0: ...`` for ``lr=0: ...``.

        An error that does not begin with a setting of this stage in `config` is returned unchanged.
        """
        name = str(error).partition("=")[0]
        ours = [group for group in self.groups if hasattr(getattr(config, group), name)]
        return InputError(f"{ours[0]}.{error}") if ours else error


def numbers(section: str, facts: Mapping[str, Any]) -> dict[str, float]:
    """Return those facts about a result that are numbers, as metrics named ``<section>/<fact>``."""
    return {f"{section}/{key}": value for key, value in facts.items() if is_number(value)}


ROOMS = ("w2v.", "pipeline.stages.")
"""Packages whose code can change a result; other packages only run and record the stages."""

SHARED = ("w2v", "pipeline.stages.base")
"""Modules ignored in cache keys: ``w2v/__init__.py`` and this file, which change no result."""

DATA = {"w2v.report.page": "templates/*"}
"""Data files that modules read, hashed like code: results are made anew if such a file changes.
The keys are modules; the values are glob patterns, relative to the module's folder."""


@cache
def code_of(module: str) -> dict[str, str]:
    """Return the hash of each source file that a module's results depend on, by the file's path."""
    return source_digests(module, ROOMS, SHARED, DATA)
