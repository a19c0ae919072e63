"""metrics.jsonl: what is written comes back, and damage is named."""

import json

import pytest

from qfm_jax._checks import InputError
from qfm_jax.training.history import (
    EpochRecord,
    History,
    append_record,
    best_epoch,
    epochs_since_better,
    keep_records,
    read_records,
)


def records(*accuracies):
    return tuple(
        EpochRecord(i, 10 * i, 1 / i, 0.5, 0.1 + 0.2, accuracy, 4e-3, i / 7, 70 / i)
        for i, accuracy in enumerate(accuracies, start=1)
    )


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for record in records(0.5, 0.7, 0.6):
        append_record(path, record)
    return path


@pytest.mark.parametrize(
    ("accuracies", "best"),
    [((0.4,), 1), ((0.1, 0.9, 0.5), 2), ((0.3, 0.8, 0.8), 3), ((0.0, 0.0), 2)],
)
def test_best_epoch_is_the_latest_of_the_highest(accuracies, best):
    assert best_epoch(records(*accuracies)) == best
    history = History(records(*accuracies), best)
    assert history.best.validation_accuracy == max(accuracies)
    assert history.seconds_training == sum(i / 7 for i in range(1, len(accuracies) + 1))


def test_patience_counts_from_where_the_highest_was_first_reached():
    assert epochs_since_better(records(0.1, 0.9, 0.5, 0.9, 0.9)) == 3
    assert epochs_since_better(records(0.4)) == 0


def test_records_come_back_to_the_last_bit(path):
    assert read_records(path) == records(0.5, 0.7, 0.6)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [
        10,
        20,
        30,
    ]


def test_no_file_is_no_epoch(tmp_path):
    assert read_records(tmp_path / "metrics.jsonl") == ()


@pytest.mark.parametrize("cut", [1, 20, 150])
def test_last_line_that_a_crash_cut_is_passed_over(path, cut):
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert read_records(path) == records(0.5, 0.7)
    keep_records(path, 2)
    append_record(path, records(0.5, 0.7, 0.6)[2])
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "7", '{"epoch": 2}', '{"epoch": 2, "surprise": 1}', ""],
)
def test_damaged_line_in_the_middle_is_named(path, line):
    lines = path.read_text().split("\n")
    lines[1] = line
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"Line 2 of .*metrics.jsonl is not an epoch"):
        read_records(path)


def test_bytes_that_are_no_text_are_named(path):
    path.write_bytes(b"\xff\xfe" + path.read_bytes())
    with pytest.raises(InputError, match=r"Line 1 of .* is not an epoch"):
        read_records(path)


def test_line_of_another_epoch_is_named(path):
    lines = path.read_text().split("\n")
    path.write_text("\n".join([lines[0], *lines[2:]]))  # the second is lost
    with pytest.raises(InputError, match=r"Line 2 .* record: it is of epoch 3"):
        read_records(path)


def test_lines_that_no_checkpoint_covers_are_dropped(path):
    first_line = path.read_bytes().split(b"\n")[0] + b"\n"
    assert keep_records(path, 1) == records(0.5)
    assert path.read_bytes() == first_line


def test_missing_lines_are_named_and_nothing_is_written(path):
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"holds 3 epochs, but the checkpoint .* 4\."):
        keep_records(path, 4)
    assert path.read_bytes() == before
