"""A sweep as Hydra sees it: opened before its first job, joined by each job, closed at the end.

What its processes must know of one another lies in files, so that it holds for every launcher:
``sweep.json`` in the folder of the sweep, and in the folder of each job ``job.json`` (what it is
and, at last, that it finished) or ``failure.json`` (that it did not, and why). A lock on ``.lock``
in either folder is held while its process lives; the system lets go of it even after ``kill -9``.
"""

import json
import logging
import os
import shlex
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from pipeline.config import schema
from pipeline.config.schema import Config
from pipeline.config.values import BESIDE, flat, short_names
from pipeline.runtime.threads import announce, available_cores
from pipeline.sweeps import guard
from pipeline.sweeps.results import check_objective, figures_of, read_jobs, reason_of
from w2v.errors import InputError, harmless

log = logging.getLogger("pipeline")

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "pipeline" / "sweeps"
SWEEP, JOB, FAILURE, LOCK = "sweep.json", "job.json", "failure.json", ".lock"
GRID = "hydra_plugins.w2v_grid.GridSweeper"


@dataclass
class Sweep:
    """The sweep of this process, which is the one that a person started.

    Attributes
    ----------
    folder
        Holds ``multirun.yaml`` and a folder a job.
    jobs
        The overrides of each job; empty where a search chooses them as it goes.
    at_once
        Jobs that run at the same time; ``None`` where a cluster decides.
    """

    folder: Path
    outputs: Path
    tracking: schema.TrackingConfig
    objective: str
    command: str
    jobs: list[list[str]]
    at_once: int | None
    tracker: Any
    stack: ExitStack
    begun: float = field(default_factory=time.time)


current: Sweep | None = None

opened: list[Path] = []
"""The outputs of the sweep or of the run that this process has opened."""


class SweepCallback(Callback):
    """Opens the sweep; `close` ends it, for Hydra tells nobody of a sweep that raised."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        # Jobs of every launcher find the project and its plug-in as this process does.
        paths = [str(ROOT), str(PLUGINS), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        if config.hydra.sweeper._target_ == GRID:
            return  # opens the sweep itself, once it knows that every job can be composed
        try:
            with ExitStack() as stack:
                from pipeline.sweeps.search import prepare_search

                prepare_search(config, jobs_at_once(config) or 1, stack)
                begin(config, [], stack.pop_all())
        except InputError as error:  # Hydra makes a warning of it, and goes on
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            raise SystemExit(2) from None
        except Exception:
            traceback.print_exc()
            raise SystemExit(1) from None


# The process that a person started.


def begin(
    config: DictConfig, jobs: Sequence[Sequence[str]], stack: ExitStack | None = None
) -> Sweep:
    """Open the sweep: its folder, its lock, its tracked run.

    Parameters
    ----------
    jobs
        The overrides of each, where they are known.
    stack
        What else is to be let go of when the sweep ends.

    Raises
    ------
    InputError
        The tracking store cannot be used; the folder is another sweep's that runs; or a setting
        of Hydra's that no job could do with.
    """
    global current
    from pipeline.tracking.tracker import Tracker, close_killed_sweeps, track

    refuse_what_no_job_can(config)
    folder = Path(config.hydra.sweep.dir)
    settings: Any = OmegaConf.to_container(config.tracking, resolve=True)
    tracking = schema.TrackingConfig(**settings)
    outputs = Path(config.outputs)
    overrides = list(config.hydra.overrides.task)
    at_once = jobs_at_once(config)
    if at_once is not None and jobs:
        at_once = min(at_once, len(jobs))
    keys = list(swept(config))
    with stack or ExitStack() as stack:
        stack.enter_context(alone_in(folder))
        tracker = Tracker()
        if tracking.name != "none":
            tracker = stack.enter_context(
                track(
                    tracking,
                    outputs,
                    f"sweep {' × '.join(keys) or 'of one job'}",
                    {
                        key: text
                        for key, text in pairs_of(overrides)
                        if key.split(".")[0] not in BESIDE
                    },
                    {"kind": "sweep", "sweep_dir": str(folder.absolute())},
                )
            )
            close_killed_sweeps(tracker)
        current = Sweep(
            folder=folder,
            outputs=outputs,
            tracking=tracking,
            objective=str(config.search.objective),
            command=shlex.join(["python", os.path.relpath(sys.argv[0]), *sys.argv[1:]]),
            jobs=[list(job) for job in jobs],
            at_once=at_once,
            tracker=tracker,
            stack=stack.pop_all(),
        )
    cores = None if at_once is None else max(1, available_cores() // at_once)
    if at_once is not None and at_once > 1:
        assert cores is not None
        announce(cores)
    write_json(
        folder / SWEEP,
        {
            "mlflow_run_id": tracker.run_id,
            "objective": current.objective,
            "command": current.command,
            "cores": cores,
            "parallel": at_once != 1,
            "swept": keys,
            "told": [*config.hydra.overrides.hydra, *overrides],
            "jobs": current.jobs,
        },
    )
    many = f"{len(jobs)} job{'s' * (len(jobs) != 1)}" if jobs else "jobs chosen as they go"
    each = "as many at once as the cluster gives"
    if at_once is not None:
        threads = OmegaConf.select(config, "engine.threads") or cores
        each = f"{at_once} at a time, {threads} thread{'s' * (threads != 1)} each"
        if "engine.threads" in keys:
            each = f"{at_once} at a time"
    print(f"sweep of {many}, {each}", flush=True)
    opened.append(outputs.absolute())
    return current


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder of a sweep; what another sweep has left there is set aside.

    Raises
    ------
    InputError
        The other one still runs.
    """
    place = folder.absolute()
    if Path.cwd().resolve().is_relative_to(folder.resolve()):
        raise InputError(f"hydra.sweep.dir={folder}: must be a folder of its own")
    place.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(place / LOCK, timeout=0))
            if (place / SWEEP).exists():
                # Renamed with its lock held, so that of two sweeps only one does so.
                aside = place.with_name(f"{place.name}.before-{time.time_ns()}")
                place.rename(aside)
                place.mkdir()
                stack.enter_context(FileLock(place / LOCK, timeout=0))
                print(f"{folder} holds a sweep: set aside as {aside.name}", flush=True)
        except Timeout:
            raise InputError(
                f"hydra.sweep.dir={folder}: a sweep that runs has this folder; name another"
            ) from None
        yield


def refuse_a_sweep_without_m() -> None:
    """Refuse a single run whose settings ask for several, or that would lose its way.

    Raises
    ------
    InputError
    """
    hydra = HydraConfig.get()
    again = f"needs -m, as in python pipeline/run.py -m {shlex.join(sys.argv[1:])}"
    launcher = hydra.runtime.choices.get("hydra/launcher", "basic")
    if hydra.job.chdir:
        raise InputError(CHDIR)
    if launcher != "basic":
        raise InputError(f"hydra/launcher={launcher}: {again}")
    if hydra.sweeper._target_ != GRID:
        raise InputError(f"search={hydra.runtime.choices.get('search')}: {again}")
    if hydra.sweeper.params:
        raise InputError(f"experiment={hydra.runtime.choices.get('experiment')}: {again}")


def refuse_what_no_job_can(config: DictConfig) -> None:
    """Refuse settings of Hydra's under which jobs would not be found, or not be run."""
    hydra = config.hydra
    if hydra.job.chdir:
        raise InputError(CHDIR)
    subdir = OmegaConf.to_container(hydra.sweep)
    assert isinstance(subdir, dict)
    if subdir["subdir"] != SUBDIR:
        raise InputError(f"hydra.sweep.subdir: must stay {SUBDIR}: jobs are found by their number")
    kind = launcher_of(config)
    if kind == "SlurmLauncher" and shutil.which("sbatch") is None:
        raise InputError(
            "hydra/launcher=slurm: there is no sbatch here; run it where SLURM is, or take "
            "hydra/launcher=slurm_local"
        )
    if kind == "JoblibLauncher" and hydra.launcher.n_jobs == 0:
        raise InputError("hydra.launcher.n_jobs=0: must be at least 1, or -1 for all cores")


CHDIR = "hydra.job.chdir=true: must be false; paths start where the command is given"
SUBDIR = "${hydra.job.num}"


def pairs_of(overrides: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Keys and values of a command line; a key without the signs that add or force it."""
    for override in overrides:
        key, separator, text = override.partition("=")
        if separator:
            yield key.lstrip("+~").partition("@")[0], text


def values_of(overrides: Sequence[str]) -> dict[str, Any]:
    """What a command line sets, as the settings would have it."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return {override.key_or_group: override.value() for override in parsed}


def given(config: DictConfig) -> dict[str, Override]:
    """What a sweep sets, by key: by the experiment file and by the command line, which wins."""
    params = OmegaConf.select(config, "hydra.sweeper.params") or {}
    texts = [*(f"{key}={value}" for key, value in params.items()), *config.hydra.overrides.task]
    parsed = OverridesParser.create().parse_overrides(texts)
    return {override.get_key_element(): override for override in parsed}


def swept(config: DictConfig) -> dict[str, Override]:
    """What of that is varied."""
    return {key: one for key, one in given(config).items() if one.is_sweep_override()}


def plain(key: str) -> bool:
    """Whether a key sets what is there: no ``+``, no ``~``, no ``@package``."""
    return not key.startswith(("+", "~")) and "@" not in key


def has(base: Any, key: str) -> bool:
    """Whether a composed configuration has a setting, set or not."""
    node: Any = base
    for part in key.split("."):
        if not isinstance(node, DictConfig) or node._is_missing() or node._is_none():
            return False
        if OmegaConf.get_type(node) is dict:  # of names that a person chooses
            return True
        if part not in list(node):
            return False
        node = node._get_node(part)
    return True


def launcher_of(config: DictConfig) -> str:
    """The class of the launcher."""
    return str(config.hydra.launcher._target_).rpartition(".")[2]


def jobs_at_once(config: DictConfig) -> int | None:
    """How many jobs the launcher runs at the same time; ``None`` where a cluster decides."""
    cores = available_cores()
    launcher, kind = config.hydra.launcher, launcher_of(config)
    if kind == "JoblibLauncher":
        jobs = launcher.n_jobs
        return 1 if jobs is None else max(1, cores + 1 + jobs) if jobs < 0 else int(jobs)
    if kind == "LocalLauncher":  # submitit's: it starts all that it is given
        return max(1, cores // (launcher.cpus_per_task or 1))
    return None if kind == "SlurmLauncher" else 1


def close(error: BaseException | None) -> int:
    """Judge the sweep, show and record what came out, and end its tracked run.

    Parameters
    ----------
    error
        What ended the sweep, if not its last job.

    Returns
    -------
    int
        The exit status: 0 when every job finished, 2 when those that failed were refused for
        their settings or input, 1 when one broke.
    """
    global current
    assert current is not None
    sweep, current = current, None
    from pipeline.runtime.console import Watch
    from pipeline.sweeps import analysis as sweeps
    from pipeline.tracking.tracker import close_jobs

    jobs = read_jobs(sweep.folder, [values_of(job) for job in sweep.jobs])
    bad = [job for job in jobs if job.status != "finished"]
    with suppress(JobsFailedError), sweep.stack:
        close_jobs(sweep.tracker)
        result = sweeps.judge(jobs, sweep.objective)
        summary = sweeps.write(
            sweep.folder,
            result,
            {
                "sweep_dir": str(sweep.folder),
                "mlflow_run_id": sweep.tracker.run_id,
                "command": sweep.command,
                "seconds": time.time() - sweep.begun,
                "search": not sweep.jobs,
                "error": None if error is None else reason_of(error),
            },
        )
        sweep.tracker.sweep(sweep.folder, summary, sweeps.markdown(result, summary))
        watch = Watch()
        sweeps.show(watch, result, summary)
        study = sweep.folder / "optimization_results.yaml"
        if study.exists():
            found = OmegaConf.load(study)
            params = " ".join(f"{key}={value}" for key, value in found.best_params.items())
            watch.say(f"best      {found.best_value:.4f} of the whole study: {params}")
        # a search of which every trial failed ends in an error of its own
        ended = jobs and all(job.status in ("refused", "crashed", "killed") for job in jobs)
        if error is not None and not (isinstance(error, Exception) and ended):
            if isinstance(error, Exception) and not isinstance(error, InputError) and bad:
                print(f"error: the sweep broke: {reason_of(error)}", file=sys.stderr)
            else:
                raise error
        if bad:
            raise JobsFailedError(f"{len(bad)} of {len(jobs)} jobs did not finish")
    return 0 if not bad else 2 if all(job.status == "refused" for job in bad) else 1


class JobsFailedError(Exception):
    """Ends the tracked run of a sweep as failed."""


# The process of a job.


@dataclass(frozen=True)
class Member:
    """What a job knows of its sweep.

    Attributes
    ----------
    parent
        The tracked run of the sweep.
    cores
        Its share of the machine; ``None`` for all that its process may use.
    told
        The command line of the sweep.
    """

    folder: Path
    number: int
    overrides: list[str]
    choices: dict[str, str]
    parent: str | None
    objective: str
    cores: int | None
    parallel: bool
    swept: list[str]
    told: list[str]

    @property
    def own(self) -> list[str]:
        """The overrides that set this job apart from the others of its sweep."""
        swept = [text for text in self.overrides if text.partition("=")[0] in self.swept]
        return swept or self.overrides

    @property
    def label(self) -> str:
        """They, in one line."""
        return " ".join(self.own)

    @property
    def name(self) -> str:
        """They, without the groups: short enough for a list of runs."""
        pairs = list(pairs_of(self.own))
        short = short_names([key for key, _ in pairs])
        return " ".join(f"{short[key]}={value}" for key, value in pairs)

    def objective_of(self, summary: dict[str, Any]) -> float:
        """The objective of a job that has run.

        Raises
        ------
        InputError
            It has no such figure.
        """
        figures = figures_of(summary)
        if self.objective not in figures:
            raise InputError(
                f"search.objective={self.objective}: this job has no such figure; "
                f"it has {', '.join(sorted(figures))}"
            )
        return figures[self.objective]


def membership() -> Member | None:
    """The sweep that this process runs a job of."""
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        return None
    sweep = json.loads((Path(hydra.sweep.dir) / SWEEP).read_bytes())
    choices = OmegaConf.to_container(hydra.runtime.choices)
    assert isinstance(choices, dict)
    return Member(
        folder=Path(hydra.runtime.output_dir),
        number=int(hydra.job.num),
        overrides=list(hydra.overrides.task),
        choices={
            str(group): str(choice)
            for group, choice in choices.items()
            if choice is not None and not str(group).startswith("hydra/")
        },
        parent=sweep["mlflow_run_id"],
        objective=sweep["objective"],
        cores=sweep["cores"],
        parallel=sweep["parallel"],
        swept=sweep["swept"],
        told=sweep["told"],
    )


def join(
    member: Member, composed: DictConfig, run: Callable[[Config, Member], dict[str, Any]]
) -> float | None:
    """Run a job of a sweep, and let it fail alone: what it raises is written down.

    Returns
    -------
    float or None
        The objective, for searches; ``None`` for a job that failed.
    """

    with FileLock(member.folder / LOCK):
        job: dict[str, Any] = {
            "number": member.number,
            "overrides": member.overrides,
            "given": values_of(member.overrides),
            "choices": member.choices,
            "settings": {},
        }
        write_json(member.folder / JOB, job)
        try:
            guard.check(composed, member.told, ROOT / "conf")
            config = schema.resolve(composed)
            job["settings"] = flat(asdict(config), BESIDE)
            write_json(member.folder / JOB, job)
            check_objective(config, member.objective)
            begun = time.time()
            summary = run(config, member)
            value = member.objective_of(summary)
            write_json(member.folder / JOB, {**job, "finished": True})
        except (KeyboardInterrupt, SystemExit):
            write_json(member.folder / FAILURE, {"kind": "killed", "reason": "it was interrupted"})
            raise
        except Exception as error:
            kind = "refused" if isinstance(error, InputError) else "crashed"
            log.error("%s", error, exc_info=kind == "crashed")
            reason = reason_of(error)
            write_json(member.folder / FAILURE, {"kind": kind, "reason": reason})
            line = harmless(f"error: job {member.number} ({member.label}): {reason}")
            print(line, file=sys.stderr, flush=True)
            return None
        train = summary["stages"].get("train", {})
        how = "from the cache" if train.get("cached") else f"{time.time() - begun:.1f} s"
        line = f"job {member.number}  {member.label}  {member.objective} {value:.4f}  ({how})"
        print(harmless(line), flush=True)
        return value


def ended(folder: Path) -> bool:
    """Whether a job's folder tells how the job ended: its tracked run is closed by then."""
    if (folder / FAILURE).exists():
        return True
    job = folder / JOB
    return job.exists() and bool(json.loads(job.read_bytes()).get("finished"))


@contextmanager
def judged_alone(folder: Path) -> Iterator[None]:
    """Write down that a job took its process with it, when the block raises and nobody did."""
    try:
        yield
    except Exception as error:
        if not ended(folder):
            folder.mkdir(parents=True, exist_ok=True)
            reason = f"its process ended without a word ({reason_of(error)})"
            write_json(folder / FAILURE, {"kind": "killed", "reason": reason})
            print(f"error: job {folder.name}: {reason}", file=sys.stderr)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file that is whole or absent."""
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    aside.replace(path)
