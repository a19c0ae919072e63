"""Runs and audits -> what they show, in sentences whose numbers come from scores."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..audit import Audit
from ..devices import DeviceConfig
from ..evaluation import percent
from ..models import ModelConfig
from ..models.block import CIRCUIT_BLOCKS
from ..runs.config import RunConfig
from ..runs.directory import Run
from .tables import LeaderboardRow, leaderboard, rank, shortfalls


@dataclass(frozen=True)
class Answer:
    """What a reader asks first, and what the numbers say."""

    question: str
    """The question."""
    sentences: tuple[str, ...]
    """The answer, each sentence or two on its own."""


@dataclass(frozen=True)
class Scored:
    """What a model reached, and whether a circuit had a part in it."""

    label: str
    """Its name."""
    accuracy: float
    """Share of the test images classified rightly, in [0, 1]."""
    accuracy_interval: tuple[float, float]
    """95 % interval of the accuracy."""
    has_circuit: bool
    """Whether a circuit is one of its parts."""


def summarize(runs: Sequence[Run], audits: Sequence[Audit] = ()) -> list[Answer]:
    """Says which models learn, and whether their circuits mattered.

    Raises:
        InputError: If there are no runs, or they are on different data sets.
    """
    return summary_of(rank(runs), leaderboard(runs), audits)


def summary_of(
    runs: Sequence[Run], rows: Sequence[LeaderboardRow], audits: Sequence[Audit]
) -> list[Answer]:
    """The same of runs in the order of their rows in the leaderboard."""
    labels = [row.label for row in rows]
    confusion = runs[0].result.scores.confusion
    guess = max(map(sum, confusion)) / runs[0].result.scores.n_test
    models = [_scored(run, label) for run, label in zip(runs, labels, strict=True)]
    learn = (
        _setting(runs),
        *learning_sentences(models, guess),
        *shortfalls(rows),
    )
    matter = (
        *map(verdict_sentence, audits),
        *_without_audit(runs, labels, audits),
    )
    answers = [Answer("Which models learn?", learn)]
    if matter:
        answers.append(Answer("Did the circuit matter?", matter))
    return answers


def learning_sentences(models: Sequence[Scored], guess: float) -> list[str]:
    """Says which is the best and the worst, and which do no better than a guess.

    Args:
        models: At least one, best accuracy first.
        guess: Accuracy of always guessing the most frequent class, in [0, 1].

    Example:
        >>> models = [Scored("linear", 0.84, (0.83, 0.85), False)]
        >>> learning_sentences(models, 0.1)
        ['linear classifies 84.0 % (95 % interval 83.0 to 85.0 %) of them rightly,
        and beats always guessing the most frequent class (10.0 %).']
    """
    return [_learning(models, guess), *_kinds(models)]


def verdict_sentence(audit: Audit) -> str:
    """The verdict of an audit with its numbers, and what it was found on."""
    found = audit.finding
    return (
        f"{audit.model}, audited on {audit.n_train:,} training images of "
        f"{audit.dataset}: {found[0].lower()}{found[1:]}"
    )


def classical_control(run: Run, runs: Iterable[Run]) -> Run | None:
    """Finds the run that differs in one thing: a dense layer in the circuit's place.

    All of the rest of its configuration is equal, but for its name, its device, and
    what describes the circuit alone.
    """
    if run.config.network.block != "circuit":
        return None
    wanted = _without_circuit(run)
    dense = (o for o in runs if o.config.network.block == "dense")
    return next((o for o in dense if _without_circuit(o) == wanted), None)


OF_THE_CIRCUIT = (
    *("block", "circuit", "embedding", "layers", "n_layers", "angle_spread"),
)
"""Fields of a network that a dense layer does not read."""


def _without_circuit(run: Run) -> RunConfig:
    defaults = ModelConfig()
    neutral = {name: getattr(defaults, name) for name in OF_THE_CIRCUIT}
    network = replace(run.config.network, **neutral)
    return replace(run.config, model="", network=network, device=DeviceConfig())


def _setting(runs: Sequence[Run]) -> str:
    results = [run.result for run in runs]
    n_train = _span(result.n_train for result in results)
    n_validation = _span(result.n_validation for result in results)
    n_test = _span(result.scores.n_test for result in results)
    subject = "One model was" if len(runs) == 1 else f"{len(runs)} models were"
    return (
        f"{subject} trained on {n_train} images of {results[0].dataset}, with the best "
        f"epoch chosen on {n_validation} others, and scored on {n_test} test "
        "images."
    )


def _learning(models: Sequence[Scored], guess: float) -> str:
    """The best and the worst, and which do no better than a constant guess."""
    dull = [model.label for model in models if model.accuracy_interval[0] <= guess]
    least = f"always guessing the most frequent class ({percent(guess)} %)"
    best, worst = models[0], models[-1]
    if len(models) == 1:
        than = "does not beat" if dull else "beats"
        return (
            f"{best.label} classifies {_accuracy(best)} of them rightly, and {than} "
            f"{least}."
        )
    ends = (
        f"{best.label} has the highest test accuracy, {_accuracy(best)}, and "
        f"{worst.label} the lowest, {_accuracy(worst)}."
    )
    if dull:
        return f"{ends} Not surely better than {least}: {', '.join(dull)}."
    return f"All beat {least}. {ends}"


def _kinds(models: Sequence[Scored]) -> list[str]:
    """The best model with a circuit beside the best one without."""
    best: dict[bool, Scored] = {}
    for model in models:
        best.setdefault(model.has_circuit, model)
    if len(best) < 2:
        return []
    quantum, classical = best[True], best[False]
    return [
        f"The best model with a circuit is {quantum.label} ({_percent(quantum)}), the "
        f"best without one {classical.label} ({_percent(classical)}); their 95 % "
        f"intervals {_overlap(quantum, classical)}."
    ]


def _without_audit(
    runs: Sequence[Run], labels: Sequence[str], audits: Sequence[Audit]
) -> list[str]:
    """What one seed shows of the circuits without an audit, and that it is little."""
    audited = [audit.config.run.network for audit in audits]
    sentences, names = [], []
    for run, label in zip(runs, labels, strict=True):
        network = run.config.network
        if network.block != "circuit" or network in audited:
            continue
        names.append(label)
        control = classical_control(run, runs)
        if control is not None:
            place = next(i for i, other in enumerate(runs) if other is control)
            other = _scored(control, labels[place])
            sentences.append(_compare(_scored(run, label), other))
    if names:
        sentences.append(
            f"Not audited here: {', '.join(names)}. What their circuits contribute is "
            "not known until an audit (qfm audit) retrains them with the circuit "
            "replaced, over paired seeds."
        )
    return sentences


def _scored(run: Run, label: str) -> Scored:
    scores, block = run.result.scores, run.config.network.block
    has_circuit = block in CIRCUIT_BLOCKS
    return Scored(label, scores.accuracy, scores.accuracy_interval, has_circuit)


def _compare(model: Scored, control: Scored) -> str:
    return (
        f"{model.label} reaches {_percent(model)}, and {control.label}, the same "
        f"network with a dense layer in the circuit's place, {_percent(control)}. "
        f"The 95 % intervals of these two {_overlap(model, control)}; they cover the "
        "choice of test images, not of the seed."
    )


def _overlap(one: Scored, other: Scored) -> str:
    low, high = one.accuracy_interval
    other_low, other_high = other.accuracy_interval
    return "overlap" if low <= other_high and other_low <= high else "do not overlap"


def _accuracy(model: Scored) -> str:
    low, high = (100 * limit for limit in model.accuracy_interval)
    return f"{_percent(model)} (95 % interval {low:.1f} to {high:.1f} %)"


def _percent(model: Scored) -> str:
    return f"{percent(model.accuracy)} %"


def _span(counts: Iterable[int]) -> str:
    """All equal: the number; else the smallest to the largest."""
    distinct = sorted(set(counts))
    ends = distinct if len(distinct) < 2 else (distinct[0], distinct[-1])
    return " to ".join(f"{count:,}" for count in ends)
