"""Rows of the study's files, each entry of the type that it is drawn as.

`checked` refuses a row that holds anything else, so that nothing downstream has to
doubt it; entries that a page does not show are not looked at.
"""

from typing import NotRequired, TypedDict

from .hardware_records import Amount, Count, Evaluation, Share
from .hardware_records import checked as checked

Estimate = tuple[Amount, Amount]
"""A value and its standard error."""


class ComparedCell(TypedDict):
    """What was asked of a model."""

    preset: str
    model: str
    dataset: str
    train_size: Count | None
    epochs: Count | None
    seed: Count


class ComparedRow(TypedDict):
    """What a model reached and took, on the protocol of all."""

    cell: ComparedCell
    kind: str
    n_train: Count
    n_test: Count
    accuracy: Share
    accuracy_interval: tuple[Share, Share]
    confusion: NotRequired[list[list[Count]]]
    n_parameters_quantum: Count
    n_parameters_classical: Count | None
    n_parameters_frozen: NotRequired[Count]
    executions_per_image: Count
    seconds_of_epochs: list[Amount]
    seconds_training: Amount
    seconds_per_image: Amount
    peak_memory_bytes: Amount
    trunk: str | None
    warning: str | None
    versions: dict[str, str]


class PricedRow(TypedDict):
    """What an image would cost on a backend; None where Qiskit has no such circuit."""

    seconds_qpu_per_image: Amount | None


class DeviceRow(Evaluation):
    """What a device gave, and of which model."""

    model: str
    n_qubits: Count
    seed: Count


class GrownCell(TypedDict):
    """The size of a circuit."""

    n_qubits: Count
    n_layers: Count


class StepCell(GrownCell):
    """The size of a circuit, and how many samples it had."""

    batch: Count


class StepRow(TypedDict):
    """Times and memory of a step."""

    cell: StepCell
    times_s: list[Amount]
    memory_bytes: Amount
    versions: dict[str, str]


class RandomRow(TypedDict):
    """What a circuit with random weights is like."""

    cell: GrownCell
    gradient_variance: dict[str, Estimate]
    expressibility: Estimate
    expressibility_floor: Amount
    entangling_capability: Estimate
    versions: dict[str, str]


class NamedCell(TypedDict):
    """Which model was trained."""

    model: str


class TrainedRow(TypedDict):
    """Test accuracies over seeds."""

    cell: NamedCell
    accuracy: list[Share]
    versions: dict[str, str]


class Scores(TypedDict):
    """What a recipe reached."""

    n_test: Count
    accuracy: Share
    accuracy_interval: tuple[Share, Share]


class RecordResult(TypedDict):
    """What a recipe reached and took."""

    dataset: str
    n_parameters_quantum: Count
    n_parameters_classical: Count
    scores: Scores
    versions: dict[str, str]
    warning: str | None


class RecordCell(TypedDict):
    """What was asked of a recipe."""

    preset: str
    name: str
    dataset: str


class RecordRow(TypedDict):
    """A recipe and what it reached."""

    cell: RecordCell
    result: RecordResult
