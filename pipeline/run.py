"""The entry point: ``python pipeline/run.py [group=name ...] [key=value ...]``."""

import errno
import inspect
import logging
import os
import shlex
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Run as a script, Python looks for modules in this folder first; the project lies one above.
sys.path[0] = str(ROOT)
# Hydra takes sweepers from the namespace package hydra_plugins; ours lies here.
sys.path.append(str(ROOT / "pipeline" / "sweeps"))

from pipeline.runtime.startup import leave_at_once, steady  # noqa: E402

if __name__ == "__main__":  # the imports below take half a second
    steady()
    leave_at_once()

import hydra  # noqa: E402
from hydra.core.hydra_config import HydraConfig  # noqa: E402
from hydra.errors import HydraException  # noqa: E402
from omegaconf import DictConfig, OmegaConf  # noqa: E402
from omegaconf.errors import OmegaConfBaseException  # noqa: E402

from pipeline.config import schema  # noqa: E402
from pipeline.config.values import BESIDE, flat  # noqa: E402
from pipeline.runtime.signals import Stopping  # noqa: E402
from pipeline.sweeps import guard  # noqa: E402
from pipeline.sweeps import session as callbacks  # noqa: E402
from w2v.engines import compiled_ahead  # noqa: E402
from w2v.errors import InputError, harmless  # noqa: E402

log = logging.getLogger("pipeline")


stopping = Stopping()

begun: list[bool] = []
"""Whether a job has begun, and what fails is no longer Hydra's."""

BARRED = (*(errno.EACCES, errno.EPERM, errno.EROFS), *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST))
"""Why a file cannot be written where it should be, but for a full disk."""

refused: list[str] = []
"""What this process refused. Hydra would print more than one line for an exception."""


# From 1.4 on, Hydra makes only those objects for a configuration that the program names.
NEWER = "execution_whitelist" in inspect.signature(hydra.main).parameters
TARGETS = ("pipeline.sweeps.session.SweepCallback", "logging.*")
options: dict[str, Any] = {"execution_whitelist": TARGETS} if NEWER else {"version_base": "1.3"}


@hydra.main(config_path="../conf", config_name="config", **options)
def job(composed: DictConfig) -> float | None:
    """Run one experiment; of a sweep, it returns the objective."""
    member = callbacks.membership()
    if member is not None:
        return callbacks.join(member, composed, run_experiment)
    begun.append(True)
    try:
        callbacks.refuse_a_sweep_without_m()
        config = schema.resolve(composed)
        callbacks.opened.append(Path(config.outputs).absolute())
        with compiled_ahead(config.engine.name):
            run_experiment(config)
    except OmegaConfBaseException as error:  # an interpolation of nothing
        refuse(schema.explain(error))
    except InputError as error:
        log.error("%s", error)
        refuse(str(error))
    except OSError as error:
        reason = obstacle(error)
        if reason is None:
            raise
        refuse(reason)
    return None


def run_experiment(config: schema.Config, member: callbacks.Member | None = None) -> dict[str, Any]:
    """Run the stages, tracked or not, show what came out, and return the summary."""
    # Imported when the settings are known to be good: bad ones should be refused at once.
    from pipeline.experiment import Experiment
    from pipeline.runtime.console import JobWatch, Watch
    from pipeline.tracking.tracker import Tracker, track

    run_dir = Path(HydraConfig.get().runtime.output_dir)
    watch = Watch() if member is None else JobWatch(member.parallel)
    cores = None if member is None else member.cores
    nested = {} if member is None else {"mlflow.parentRunId": member.parent, "job": member.number}
    settings = asdict(config)
    tags = {"corpus": config.corpus_name, "loss": config.loss_name, "engine": config.engine.name}
    recorded = settings
    if config.evaluate.vectors is not None:  # what was not done is not recorded
        tags = {"vectors": config.evaluate.vectors}
        recorded = {"evaluate": settings["evaluate"]}
    if config.tracking.name == "none":
        experiment = Experiment(config, watch, Tracker(), cores, stopping, repeating())
        summary = experiment.run(run_dir)
        if member is not None:
            member.objective_of(summary)
    else:
        outputs = Path(config.outputs)
        where = config.tracking
        if member is not None and where.register is not None:  # the sweep names its best job's
            where = replace(where, register=where.register.partition("@")[0])
        with track(
            where,
            outputs,
            config.run_name if member is None else member.name or config.run_name,
            {
                key: value
                for key, value in flat(recorded, BESIDE).items()
                if not key.startswith("train.checkpoint")
            },
            tags | {tag: str(value) for tag, value in nested.items() if value is not None},
        ) as tracker:
            resolved = run_dir / "config.yaml"
            OmegaConf.save(settings, resolved)
            tracker.files([resolved], "")
            experiment = Experiment(config, watch, tracker, cores, stopping, repeating())
            summary = experiment.run(run_dir)
            if member is not None:
                member.objective_of(summary)
    if member is not None:
        return summary
    if "evaluate" in summary:
        scores = summary["evaluate"]
        watch.results(config.title, scores, scores["neighbours"])
        watch.say(f"report    {os.path.relpath(run_dir / 'report.html')}")
    watch.say(f"summary   {os.path.relpath(run_dir / 'summary.json')}")
    if config.tracking.name != "none":
        watch.say(f"compare   {ui_command(config)}")
    return summary


def repeating() -> str:
    """The command that repeats this run, or this job of a sweep, from wherever it is given."""
    line = ["python", sys.argv[0], *HydraConfig.get().overrides.task]
    return f"cd {shlex.quote(str(Path.cwd()))}\n{shlex.join(line)}"


def ui_command(config: schema.Config) -> str:
    """The command that opens the MLflow UI on this store."""
    if config.tracking.uri:
        return config.tracking.uri
    mlflow = "mlflow" if shutil.which("mlflow") else str(Path(sys.executable).parent / "mlflow")
    return shlex.join(
        [mlflow, "ui", "--backend-store-uri", f"sqlite:///{config.outputs}/mlflow.db"]
    )


def main() -> int:
    """Run the command line; returns the exit status."""
    for text in sys.argv:
        try:
            text.encode()
        except UnicodeEncodeError:
            refuse(f"{text}: a name that is not UTF-8; rename the file, or give a glob for it")
            return 2
    # Hydra would take what follows -m, if it comes between settings, for something unknown.
    several = [text for text in sys.argv[1:] if text in ("-m", "--multirun")]
    sys.argv[1:] = [*several, *(text for text in sys.argv[1:] if text not in several)]
    schema.register()
    guard.install(ROOT / "conf")
    logging.raiseExceptions = False  # a log on a full disk is not worth a traceback a line
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions reach this function as they are
    try:
        with stopping.listening():
            status = swept_job()
    except InputError as error:
        refuse(str(error))
    except (HydraException, OmegaConfBaseException) as error:
        refuse(schema.explain(error))
    except (ValueError, AssertionError) as error:
        reason = schema.unclear(error)
        if reason is None:
            raise
        refuse(reason)
    except OSError as error:
        reason = obstacle(error)
        if reason is None:
            raise
        refuse(reason)
    except (KeyboardInterrupt, SystemExit):
        if stopping.signum is None:
            raise
    if stopping.signum is not None:
        again = shlex.join([Path(sys.executable).name, *sys.argv])
        print(f"stopped: what is finished is kept; go on with\n  {again}", file=sys.stderr)
        return 128 + stopping.signum
    return 2 if refused else status


def obstacle(error: OSError) -> str | None:
    """The line for what keeps files from being written; ``None`` for other errors."""
    from pipeline.runtime.limits import is_full

    where = f"{error.filename}: " if isinstance(error.filename, str) else ""
    if is_full(error):
        return f"{where}the disk is full; free some, or set outputs to a folder elsewhere"
    ours = where and any(
        Path(error.filename).absolute().is_relative_to(folder) for folder in callbacks.opened
    )
    if where and (
        not (begun or callbacks.opened) or (ours and error.errno in BARRED)
    ):  # Hydra makes the run's folder
        return f"{where}{error.strerror}; outputs must be a folder that can be written"
    return None


def swept_job() -> int:
    """Run what the command line asks for; a sweep is closed whatever ended it."""
    try:
        job()
    except BaseException as error:
        if callbacks.current is None:
            raise
        return callbacks.close(error)
    return 0 if callbacks.current is None else callbacks.close(None)


def refuse(reason: str) -> None:
    """Say in one line on standard error what is wrong; the exit status will tell."""
    line = harmless(" ".join(reason.split()))
    refused.append(line)
    print(f"error: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
