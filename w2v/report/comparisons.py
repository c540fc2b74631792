"""Write HTML pages that compare several trainings of one text, or the trainings of two texts.

An *ensemble* is a group of trainings of the same text that differ in the random seed or in a
bootstrap sample of the documents.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from w2v.errors import InputError
from w2v.evaluate.change import MIN_COUNT, Change, Shift, change
from w2v.evaluate.ensemble import Agreement, Ensemble
from w2v.evaluate.neighbours import probe_words
from w2v.evaluate.projection import project_by
from w2v.evaluate.settings import Evaluate
from w2v.files import local_path
from w2v.report.map_page import words_to_map, write_map
from w2v.report.page import write_page
from w2v.report.report import count, number, plural, software
from w2v.vectors import Use, WordVectors, find_runs
from w2v.vectors.locate import SUMMARY

ENSEMBLE, ENSEMBLE_MAP, CHANGE = "ensemble.html", "ensemble-map.html", "change.html"

PROBES = 12
"""The maximum number of words chosen for lists of their nearest neighbors, if none are given."""

SHOWN = 25
"""The largest number of words on the page that compares the use of words in two texts."""

NEIGHBOURS = 6
"""The number of a word's nearest neighbors per text, on the page that compares two texts."""

SAME = "No word is shown to be used differently: chance may explain all differences."
UNJUDGED = (
    "How much of this is chance is not known: that takes three trainings or more of one of the "
    "texts, with train.bootstrap=true and several seeds."
)


def write_ensemble(
    folder: Path,
    ensemble: Ensemble,
    *,
    title: str,
    resampled: bool,
    when: datetime,
    probes: Sequence[str] = (),
    paths: Sequence[str] = (),
    methods: Sequence[str] = (),
    map_words: int = 3000,
) -> list[Path]:
    """Write an HTML page on an ensemble (several trainings of one text) and an interactive map.

    The files are ``ensemble.html`` and ``ensemble-map.html`` in `folder`. Return the paths of the
    written files.

    Parameters
    ----------
    resampled
        Whether each training is on a bootstrap sample of the documents.
    when
        The time that the page shows, with a time zone.
    probes
        Words whose nearest neighbors are listed; words that are not in the ensemble are skipped. If
        no word is left, some are chosen from the vocabulary.
    paths
        The paths of the vectors, for the Python example on the page.
    methods
        Methods of projection that the map offers, keys of `w2v.evaluate.projection.NAMES`. Without
        methods, no map is made.
    map_words
        The largest number of words on the map.
    """
    mean = ensemble.mean()
    words = [word for word in probes if word in ensemble] or probe_words(mean, PROBES)
    words = words or ensemble.words[:PROBES]
    pages = [folder / ENSEMBLE]
    if methods:
        pages.append(folder / ENSEMBLE_MAP)
        mapped = words_to_map(mean, words, map_words)
        projections = project_by(mean, mapped, methods)
        write_map(pages[1], mean, mapped, projections, title, len(mean))
    agreement = ensemble.agreement()
    pair = words[0], ensemble.nearest(words[0], 1)[0].word
    write_page(
        pages[0],
        "ensemble.html",
        ("style.css", "report.css"),
        filters=(number, count),
        title=title,
        when=f"{when.day} {when:%B %Y, %H:%M %Z}".strip(),
        runs=len(ensemble),
        resampled=resampled,
        verdict=agreement_verdict(agreement),
        neighbours=[(word, ensemble.nearest(word)) for word in words],
        bands=ensemble.bands(agreement),
        map=ENSEMBLE_MAP if methods else None,
        paths=[repr(path) for path in paths],
        pair=[repr(word) for word in pair],
        software=software(),
    )
    return pages


def agreement_verdict(agreement: Sequence[Agreement]) -> str:
    """Return a text on how many of a word's nearest neighbors two trainings have in common.

    The text gives the mean number over the words, and says how far neighbors can be relied on.
    `agreement` has, for each word, the fraction of its ten nearest neighbors that two trainings
    have in common. In a vocabulary of fewer than eleven words, all other words are neighbors of a
    word.
    """
    k = min(10, len(agreement) - 1)
    share = sum(one.share for one in agreement) / len(agreement)
    line = f"Two trainings have {number(k * share, 1)} of a word’s {k} nearest neighbours in common"
    line += f", on average over {len(agreement):,} words. "
    if share < 0.3:
        return line + "Do not rely on the neighbours of a single training."
    if share < 0.7:
        return line + "Rely only on neighbours that most trainings have."
    return line + "Most neighbours can be relied on."


def compare_texts(folder: Path, after: Ensemble | WordVectors, config: Mapping[str, Any]) -> Path:
    """Write an HTML page on words that two texts use differently; return its path.

    Parameters
    ----------
    folder
        The folder of ``change.html``, the page.
    after
        The vectors of one text.
    config
        The settings of the run that trained `after`, as in its ``summary.json``. The setting
        ``evaluate.compare`` names the vectors of the other text.

    Raises
    ------
    InputError
        The vectors of the other text cannot be read, the vectors differ in their dimensions, a
        vector contains NaN or an infinity, fewer than ten words occur often enough in both texts,
        or bootstrap samples of the documents were used for one text only (`check_bootstraps`).
    """
    settings = Evaluate(**config["evaluate"])
    resampled = config["train"]["bootstrap"]
    paths = find_runs(str(settings.compare))
    check_bootstraps(str(settings.compare), resampled)
    runs = [
        WordVectors.load(run, cast(Use, settings.use), encoding=settings.encoding) for run in paths
    ]
    before = Ensemble(runs) if len(runs) > 1 else runs[0]
    names = str(settings.compare), config["corpus"]["name"]
    return write_change(
        folder / CHANGE,
        change(before, after, resampled),
        (before, after),
        names,
        title=f"{names[1]} against {names[0]}",
        when=datetime.now().astimezone(),
    )


def check_bootstraps(compare: str, resampled: bool) -> None:
    """Check that a run and the vectors it is compared with both used bootstrap samples, or neither.

    Parameters
    ----------
    compare
        The setting ``evaluate.compare`` of the run: the path of the other vectors. They are from
        another run, from the runs of a sweep, or from another tool.
    resampled
        The setting ``train.bootstrap`` of the run: whether its own vectors are trained on bootstrap
        samples of the documents.

    Raises
    ------
    InputError
        Either the run or the vectors it is compared with used bootstrap samples, but not both. No
        error is raised for vectors of another tool, for which this is unknown.
    """
    if bootstraps(compare) == {not resampled}:
        own, other = (f"train.bootstrap={str(one).lower()}" for one in (resampled, not resampled))
        raise InputError(
            f"evaluate.compare={compare}: was trained with {other}, and this run has {own}; the "
            "effect of chance is only known where both are the same"
        )


def bootstraps(path: str) -> set[bool]:
    """Return the values of the setting ``train.bootstrap`` of the runs whose vectors are at a path.

    `path` is a run, a sweep or other vectors, as for `w2v.vectors.find_runs`. The result has True
    if a run used bootstrap samples of the documents, and False if a run did not. It is empty for
    vectors that have no ``summary.json`` of a run, such as those of other tools.
    """
    folder = local_path(path)
    files = [folder / SUMMARY, *folder.glob(f"[0-9]*/{SUMMARY}")]
    if folder.suffix == ".json":
        files = [folder]
    found = [json.loads(file.read_bytes()) for file in files if file.is_file()]
    return {one["config"]["train"].get("bootstrap", False) for one in found if "train" in one}


def write_change(
    path: Path,
    change: Change,
    sides: tuple[Ensemble | WordVectors, Ensemble | WordVectors],
    names: tuple[str, str],
    *,
    title: str,
    when: datetime,
) -> Path:
    """Write an HTML page on the words that are used differently in two texts; return `path`.

    Parameters
    ----------
    path
        The file to write.
    change
        The comparison of the texts.
    sides
        The vectors of the first and of the second text, from which nearest neighbors are taken.
    names
        What the page calls the first and the second text.
    when
        The time that the page shows, with a time zone.
    """
    judged = change.shifts[0].p is not None
    shown = change.shifts[:SHOWN]
    write_page(
        path,
        "change.html",
        ("style.css", "report.css"),
        filters=(number, count, plural),
        title=title,
        when=f"{when.day} {when:%B %Y, %H:%M %Z}".strip(),
        verdict=verdict(change),
        before=names[0],
        after=names[1],
        runs=change.runs,
        words=len(change.shifts),
        min_count=MIN_COUNT,
        chance=chance(change),
        reading=reading(change),
        judged=judged,
        rows=[
            {
                "shift": shift,
                "verdict": verdict_on(shift),
                "before": near(sides[0], shift.word),
                "after": near(sides[1], shift.word),
            }
            for shift in shown
        ],
        software=software(),
    )
    return path


def verdict(change: Change) -> str:
    """Return a sentence that says how many words are used significantly differently in two texts.

    Without a test of significance, the sentence says that the effect of chance is not known.
    """
    if change.shifts[0].p is None:
        return UNJUDGED
    found = sum(shift.found for shift in change.shifts)
    if not found:
        return SAME
    verb = "is" if found == 1 else "are"
    return f"{plural(found, 'word')} of {len(change.shifts):,} {verb} used differently."


def chance(change: Change) -> str:
    """Return a remark on chance for the page on words that two texts use differently.

    Vectors also differ by chance between trainings on the same text. The remark says whether these
    trainings differ in the seed only, or also in the bootstrap sample of the documents. With one
    training of each text, it says that the effect of chance is not known.
    """
    if change.runs == (1, 1):
        return "One training of each text does not show what chance alone would move."
    if change.resampled:
        return (
            "Each training drew its documents anew, so chance is which documents happen to be in a "
            "text, and the seed."
        )
    return (
        "The trainings of a text differ only in their seed. A word that few documents use may have "
        "moved because of which documents happen to be in a text; train.bootstrap=true tells."
    )


def reading(change: Change) -> str:
    """Return the text that explains a table of words that two texts may use differently.

    It stands above the table on an HTML page. It explains the distances in the table and, if
    significance was tested, the verdicts.
    """
    if change.shifts[0].p is None:
        return "Distance is 1 − cosine after the vectors of the texts were aligned."
    return (
        "How far a word is from itself in the other text (1 − cosine, after the vectors were "
        "aligned), less what chance moves words of its frequency, with a 95 % interval. The "
        "verdict allows for the number of words: if none had changed, at most one comparison in "
        "twenty would call any word used differently."
    )


def verdict_on(shift: Shift) -> str:
    """Return the verdict on one word: ``used differently``, ``may be chance`` or ``not judged``.

    `shift` has the difference between the vectors of the word in two texts. ``used differently``
    means that this difference is significant, ``may be chance`` that it is not, and ``not judged``
    that its significance was not tested.
    """
    if shift.p is None:
        return "not judged"
    return "used differently" if shift.found else "may be chance"


def near(side: Ensemble | WordVectors, word: str) -> list[str]:
    """Return the `NEIGHBOURS` nearest neighbors of a word by the vectors in `side`.

    When two texts are compared, `side` is what was trained on one of them: the vectors of one run,
    or an `Ensemble` of several runs. `InputError` is raised if the word has no vector.
    """
    if isinstance(side, Ensemble):
        return [one.word for one in side.nearest(word, NEIGHBOURS)]
    return [other for other, _ in side.nearest(word, NEIGHBOURS)]
