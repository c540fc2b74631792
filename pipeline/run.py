"""Run an experiment or a sweep: ``python pipeline/run.py [group=name ...] [key=value ...]``.

Warning: read a configuration from a stranger before you run it. Hydra refuses to call the most
dangerous functions, but a configuration can name others, and choose where files are written.
"""

import inspect
import logging
import os
import re
import shlex
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# The project lies one folder above this one, and Hydra looks for a package named hydra_plugins.
sys.path = [str(ROOT), *sys.path[1:], str(ROOT / "pipeline" / "sweeps")]

from pipeline.runtime import startup  # noqa: E402

if __name__ == "__main__":  # the imports below take half a second
    startup.start()

import hydra  # noqa: E402
from hydra.core.hydra_config import HydraConfig  # noqa: E402
from hydra.errors import HydraException  # noqa: E402
from omegaconf import DictConfig  # noqa: E402
from omegaconf.errors import OmegaConfBaseException  # noqa: E402
from yaml import MarkedYAMLError  # noqa: E402

from pipeline.config import messages, schema  # noqa: E402
from pipeline.config.program import CONF, command  # noqa: E402
from pipeline.config.settings import REPORTS  # noqa: E402
from pipeline.runtime.exit_status import ExitStatus, ended_by  # noqa: E402
from pipeline.runtime.signals import StopRequest  # noqa: E402
from pipeline.runtime.write_errors import explain_write_errors, write_error_line  # noqa: E402
from pipeline.sweeps.job import job_context, run_job  # noqa: E402
from pipeline.sweeps.session import SweepFailedError, refuse_sweep_without_multirun  # noqa: E402
from pipeline.tracked_run import run_tracked  # noqa: E402
from pipeline.tracking import SharedStore  # noqa: E402
from w2v.engines import compiled_ahead  # noqa: E402
from w2v.errors import InputError, sanitize  # noqa: E402
from w2v.settings import with_home  # noqa: E402

log = logging.getLogger("pipeline")


class Program:
    """Runs an experiment when Hydra calls `run`, and keeps its error or exit status."""

    def __init__(self) -> None:
        self.stop = StopRequest()
        self.started = False  # whether `run` was called: errors before that are Hydra's
        self.error: Exception | None = None  # of a single run; Hydra would print several lines
        self.status: int = ExitStatus.DONE  # of a run that no exception ended

    def run(self, composed: DictConfig, shared: SharedStore | None = None) -> float | None:
        """Run or plan an experiment; for a job of a sweep, return the value to optimize, else None.

        A failed job gives None, too. `shared` has a sweep's MLflow store and queue of calls to it.
        """
        self.started = True
        try:
            context = job_context(shared)
            if context is not None:
                self.stop.file = context.stop_file
                return run_job(context, composed, partial(run_tracked, stop=self.stop))
            refuse_sweep_without_multirun()
            schema.check_overrides(HydraConfig.get().overrides.task)
            schema.check_files(HydraConfig.get())
            config = schema.resolve(composed)
            if config.plan:
                from pipeline.plan import plan_run

                self.status = plan_run(config, Path(HydraConfig.get().runtime.output_dir))
                return None
            trained = config.engine.name * ("train" in config.stages)
            with explain_write_errors(Path(config.outputs)), compiled_ahead(trained):
                run_tracked(config, stop=self.stop)
        except (InputError, OmegaConfBaseException) as error:
            log.error("%s", error)
            self.error = error
        return None


def line_of(error: Exception, starting: bool) -> str | None:
    """Return a one-line message for an error that the user can correct, otherwise ``None``.

    `OSError` is such an error only while `starting`; a run or sweep raises `InputError` instead.
    """
    match error:
        case InputError():
            return str(error)
        case HydraException() | OmegaConfBaseException():
            return schema.error_line(error)
        case OSError() if starting:
            return write_error_line(error)
        case MarkedYAMLError():
            return messages.not_yaml(error)
        case UnicodeEncodeError() if starting:
            name = error.object
            return f"{name}: a name that is not UTF-8; rename the file, or give a glob for it"
        case ValueError() | AssertionError() | KeyError():
            return messages.built_in_error(error)
    return None


def reports_wanted(arguments: Sequence[str]) -> list[Path]:
    """Return the folders of earlier runs to report on, if arguments ``report=FOLDER`` name any.

    Raise `InputError` for folders together with other arguments, such as ``report=best``.
    """
    named = [text for text in arguments if text.startswith("report=")]
    named = [text for text in named if text.removeprefix("report=") not in REPORTS]
    others = [text for text in arguments if text not in named]
    if named and others:
        problem = "report=<folder> takes the settings of the run; leave this out"
        raise InputError(f"{others[0]}: {problem}")
    return [Path(text.removeprefix("report=")) for text in named]


def make_reports(folders: Sequence[Path]) -> None:
    """Write reports of the runs and sweeps in these folders, and print the paths of the reports."""
    from pipeline.stages.report import report_later, runs_below

    for run_dir in [run for folder in folders for run in runs_below(folder)]:
        for page in report_later(run_dir):
            print(f"report    {os.path.relpath(page)}", flush=True)


def main() -> int:
    """Run the command line in ``sys.argv``, and return the exit status."""
    # In Hydra 1.4 the program lists which objects a configuration may make; 1.3 has its own list.
    newer = "execution_whitelist" in inspect.signature(hydra.main).parameters
    options: Any = {"execution_whitelist": ("logging.*",)} if newer else {"version_base": "1.3"}
    # Hydra 1.3 does not understand a -m or --cfg job that stands between settings.
    expanded = [text if "pattern=" in text else with_home(text) for text in sys.argv[1:]]
    setting = re.compile("~|(?!-).*=", re.DOTALL)
    sys.argv[1:] = sorted(expanded, key=lambda text: setting.match(text) is not None)
    flags = [text for text in sys.argv[1:] if text in ("-m", "--multirun")]
    # Python has a keyword of this name, so the field of the settings is named otherwise.
    phrases = "tokenizer.phrases.from"
    sys.argv[1:] = [text.replace(f"{phrases}=", f"{phrases}_=", 1) for text in sys.argv[1:]]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions reach this function as they are
    logging.raiseExceptions = False  # a full disk should not print a traceback for each log line
    schema.register()
    program = Program()
    status: int = ExitStatus.DONE
    try:
        for text in sys.argv:
            text.encode()
        reports = reports_wanted(sys.argv[1:])
        with program.stop.handling_signals():
            if reports:
                make_reports(reports)
                return ExitStatus.DONE
            hydra.main(str(CONF), "config", **options)(program.run)()
        if program.error is not None:
            raise program.error
        status = program.status
    except BrokenPipeError:  # of standard output, as with | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ended_by(signal.SIGPIPE)
    except SweepFailedError as failed:
        status = failed.status
    except Exception as error:
        line = line_of(program.error or error, starting=not flags and not program.started)
        if line is None:
            raise
        print(f"error: {sanitize(' '.join(line.split()), terminal=True)}", file=sys.stderr)
        status = ExitStatus.REFUSED
    except (KeyboardInterrupt, SystemExit):
        if program.stop.signum is None:
            raise
    if program.stop.signum is not None:
        again = shlex.join([*command(Path(sys.executable).name), *sys.argv[1:]])
        print(f"stopped: what is finished is kept; continue with\n  {again}", file=sys.stderr)
        return ended_by(program.stop.signum)
    return status


if __name__ == "__main__":
    sys.exit(main())
