"""Start sweeps quickly in tests: settings are composed once and used again in later sweeps.

Hydra composes the settings of a sweep from the files in ``conf/``, which takes 0.15 s each time.
"""

import contextlib
import functools
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from pipeline.config import schema
from pipeline.run import Program, line_of
from pipeline.sweeps.compose import SharedComposition
from pipeline.sweeps.overrides import is_group
from tests.commands import ROOT
from tests.test_config import BASE


@functools.cache
def shared_loader() -> Any:
    return SharedComposition(GlobalHydra.instance().config_loader())


@functools.cache
def composed(*choices: str) -> DictConfig:
    """Return the settings of a sweep as Hydra composes them for arguments such as ``loss=softmax``.

    Each argument chooses a file in ``conf/``. The result is cached: callers must not change it.
    """
    hydra: Any = GlobalHydra.instance().hydra
    given = [*choices, "hydra.mode=MULTIRUN"]
    config: DictConfig = hydra.compose_config("config", given, run_mode=RunMode.MULTIRUN)
    return config


def refused_sweep(*arguments: str, cwd: Path) -> str:
    """Start a sweep that must be refused before its first job; return its one-line error message.

    `arguments` are those of the command ``pipeline/run.py -m``. To save time, Hydra composes the
    configuration only once for each choice of files in ``conf/``, such as ``loss=softmax``. Other
    settings, such as ``train.lr=0.1``, are set in a copy of this configuration, without Hydra.
    """
    schema.register()
    with contextlib.chdir(cwd), initialize_config_dir(str(ROOT / "conf"), **BASE):
        loader = shared_loader()
        parsed = OverridesParser.create().parse_overrides([*arguments])
        given = {str(one.input_line): one for one in parsed}
        single = {text: one for text, one in given.items() if not one.is_sweep_override()}
        choices = [text for text, one in single.items() if is_group(one.key_or_group, loader)]
        config = composed(*choices).copy()
        with open_dict(config):
            for text, one in single.items():
                if text not in choices:
                    OmegaConf.update(config, one.key_or_group, one.value(), merge=True)
            hydras = [text for text, one in given.items() if one.is_hydra_override()]
            config.hydra.overrides.task = [text for text in given if text not in hydras]
            config.hydra.overrides.hydra = [*hydras, "hydra.mode=MULTIRUN"]
        with pytest.raises(Exception) as refusal:  # noqa: PT011
            Plugins.instance().instantiate_sweeper(
                hydra_context=HydraContext(loader, Callbacks()),
                task_function=Program().run,
                config=config,
            ).sweep(config.hydra.overrides.task)
    line = line_of(refusal.value, starting=False)
    assert line is not None, refusal.value
    assert line == " ".join(line.split())
    return line
