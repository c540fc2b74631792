"""Run one experiment, record it with MLflow, and print where the summary of its results is."""

import os
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from pipeline.config.program import command
from pipeline.config.settings import Config
from pipeline.config.values import NOT_IDENTITY, flatten, yaml_page
from pipeline.runtime.signals import StopRequest
from pipeline.sweeps.job import JobContext
from pipeline.sweeps.objective import objective_value
from w2v.files import written_aside


def run_tracked(
    config: Config, job: JobContext | None = None, *, stop: StopRequest
) -> dict[str, Any]:
    """Run and record an experiment, alone (`job`: None) or as a sweep's job; return the summary."""
    # Imported when the settings are known to be good, so that bad ones are refused at once.
    from pipeline.experiment import Experiment, check_paths
    from pipeline.runtime.console import Display
    from pipeline.stages.base import Context
    from pipeline.tracking import track
    from w2v.training.memory import available_cores

    check_paths(config)
    hydra = HydraConfig.get()
    run_dir = Path(hydra.runtime.output_dir)
    display = Display() if job is None else Display(quiet=True, bars=False)
    tracking, name = config.tracking, config.run_name
    if job is not None:
        name = job.name or name
        if tracking.register is not None:  # the alias is for the best job of the sweep
            tracking = replace(tracking, register=tracking.register.partition("@")[0])
    shared = None if job is None else job.shared
    recorded = tracking, Path(config.outputs), name, parameters(config), tags(config, job)
    with track(*recorded, shared) as tracker:
        with written_aside(run_dir / "config.yaml") as aside:
            aside.write_text(yaml_page(config.as_dict()), encoding="utf-8")
        tracker.files([run_dir / "config.yaml"], "")
        cores = (job.cores if job is not None else None) or available_cores()
        threads = config.engine.threads or cores
        if "jax" in (config.engine.name, *getattr(config.measure, "engines", ())):
            # JAX keeps compiled programs there, unless the user has chosen another folder.
            compiled = Path(config.outputs).absolute() / "compiled"
            os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(compiled))
            os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        files = [f"--config-name={hydra.job.config_name}"] * (hydra.job.config_name != "config")
        for one in hydra.runtime.config_sources:
            files += [f"--config-dir={one.path}"] * (one.provider == "command-line")
        # Without -m, a job's settings must not choose a search, a launcher or values to vary.
        given = [text for text in hydra.overrides.task if not text.startswith("search=")]
        given += ["search=grid"] * (hydra.runtime.choices["hydra/sweeper"] != "grid")
        given += ["hydra/launcher=basic"] * (hydra.runtime.choices["hydra/launcher"] != "basic")
        given += ["hydra.sweeper.params=null"] * bool(hydra.sweeper.params)
        given += [text for text in hydra.overrides.hydra if text.startswith("hydra.searchpath=")]
        again = f"{shlex.join(['cd', str(Path.cwd())])}\n{shlex.join([*command(), *files, *given])}"
        entries = {} if job is None else job.entries
        context = Context(config, display, tracker, stop, cores, threads, again, entries=entries)
        if job is not None:
            context.job, context.sweep_dims = job.number, job.dims
        summary = Experiment(context).run(run_dir)
        if job is not None:
            objective_value(summary, job.objective)  # without such a figure, the tracked run fails
            return summary
    display.say(f"summary   {os.path.relpath(run_dir / 'summary.json')}")
    if config.tracking.name != "none":
        display.say(f"compare   {ui_command(config)}")
    return summary


def parameters(config: Config) -> dict[str, Any]:
    """Return a run's MLflow parameters: the settings that affect results and are not null."""
    settings = config.as_dict()
    if config.evaluate.vectors is not None:  # nothing is trained
        settings = {"evaluate": settings["evaluate"]}
    left_out = (*NOT_IDENTITY, "train.checkpoint_every", "train.checkpoint_words")
    return {key: value for key, value in flatten(settings, left_out).items() if value is not None}


def tags(config: Config, job: JobContext | None) -> dict[str, str]:
    """Return a run's MLflow tags; for a sweep's `job`, also its number and its parent run's ID."""
    names = ("corpus", "model", "loss", "engine")
    found = {name: str(getattr(config, name).name) for name in names}
    if config.evaluate.vectors is not None:
        found = {"vectors": config.evaluate.vectors}
    if job is not None:
        found["job"] = str(job.number)
        if job.parent is not None:
            found["mlflow.parentRunId"] = job.parent
    return found


def ui_command(config: Config) -> str:
    """Return where to see runs: ``tracking.uri`` if set, or a command that starts MLflow's UI."""
    if config.tracking.uri:
        return config.tracking.uri
    mlflow = "mlflow" if shutil.which("mlflow") else str(Path(sys.executable).parent / "mlflow")
    store = f"sqlite:///{config.outputs}/mlflow.db"
    return shlex.join([mlflow, "ui", "--backend-store-uri", store])
