"""Write HTML pages about configurations of a sweep that were trained with several seeds."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pipeline.stages.report import SUMMARY
from pipeline.sweeps.results import read_json
from w2v.errors import InputError
from w2v.evaluate.ensemble import Ensemble
from w2v.evaluate.settings import Evaluate
from w2v.report.comparisons import CHANGE, compare_texts, write_ensemble
from w2v.vectors import Use, WordVectors

if TYPE_CHECKING:
    from pipeline.sweeps.analysis import Result

MAX_PAGES = 1
"""The most configurations that get a page, the best ones; a page takes some seconds."""


def write_ensembles(folder: Path, result: "Result") -> list[Path]:
    """Write a page about the best configuration of at least two seeds; return the paths of pages.

    With ``evaluate.compare``, a second page compares its vectors with those of another text. If a
    page cannot be written, a warning is printed.
    """
    several = [row for rows in result.ranking.values() for row in rows if len(row["files"]) > 1]
    pages: list[Path] = []
    for number, row in enumerate(several[:MAX_PAGES], start=1):
        config = read_json(folder / row["jobs"].split()[0] / SUMMARY)["config"]
        settings, name = Evaluate(**config["evaluate"]), "" if number == 1 else str(number)
        chosen = [f"{key}={row[key]}" for key in result.settings if row[key] is not None]
        paths = [str(Path(file).parent) for file in row["files"]]
        try:
            ensemble = Ensemble(WordVectors.load(path, cast(Use, settings.use)) for path in paths)
            pages += write_ensemble(
                folder,
                ensemble,
                title=" ".join([*chosen, "on", config["corpus"]["name"]]),
                resampled=config["train"]["bootstrap"],
                when=datetime.now().astimezone(),
                probes=settings.probes or config["corpus"]["probes"] or (),
                paths=paths,
                methods=settings.map,
                map_words=settings.map_words,
                name=name,
            )
            if settings.compare and number == 1:
                pages.append(compare_texts(folder / CHANGE, ensemble, config))
        except (InputError, OSError) as error:
            print(
                f"warning: jobs {row['jobs']} have no page of their own: {error}", file=sys.stderr
            )
    return pages
