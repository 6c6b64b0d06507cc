"""Progress of runs: what a line of a log says, and how the time left is found."""

import io
import time

import pytest
from rich.console import Console

from fedmf_ray.cli import amounts, screens


@pytest.fixture
def shown(monkeypatch):
    """What goes to standard error."""
    text = io.StringIO()
    monkeypatch.setattr(screens, "stderr", Console(file=text, width=80))
    return text


def row(number, test=0.5, wall_s=2.0):
    return {"round": number, "train_mse": 0.25, "test_rmse": test, "wall_s": wall_s}


def test_a_line_names_the_round_of_the_file_and_counts_those_that_ended(shown):
    log = screens.RunLog("x")
    for number in range(3):
        log.round(row(number), 3)
    first, *_, last = shown.getvalue().splitlines()
    assert first == "round 0 (1 of 3): test RMSE 0.5000, train 0.5000, 2 s, 4 s left"
    assert last.startswith("round 2 (3 of 3): ")
    assert last.endswith(", 0 s left")


def test_without_a_test_set_the_training_error_stands_alone(shown):
    screens.RunLog("x").round(row(0, test=float("nan")), 1)
    assert shown.getvalue() == "round 0 (1 of 1): train RMSE 0.5000, 2 s, 0 s left\n"


def test_time_left_is_the_mean_of_what_this_process_has_done(monkeypatch):
    """A run that goes on with round 10 knows nothing of how long the first ten took."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    left = amounts.TimeLeft()
    assert left(11, 20, 3.0) == pytest.approx(27)
    now = 105.0
    assert left(12, 20) == pytest.approx(8 * (3 + 5) / 2)
    cells = amounts.TimeLeft()
    assert cells(0, 4) is None
    now = 115.0
    assert cells(1, 4) == 30


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.00485, "4.85 ms"), (3.2e-6, "3.2 µs"), (1, "1 s"), (90.04, "90 s"), (1234, "20.6 min"),
     (36000, "10.0 h")],
)  # fmt: skip
def test_durations(seconds, text):
    assert amounts.duration(seconds) == text


@pytest.mark.parametrize(("amount", "text"), [(0, "0 B"), (999, "999 B"), (51_260, "51.3 kB"), (2e9, "2 GB")])
def test_sizes(amount, text):
    assert amounts.size(amount) == text


def test_digits_have_no_exponent():
    assert [amounts.digits(value) for value in (1234567, 0.00001234, 99.96, 5)] == [
        "1,230,000", "0.0000123", "100", "5",
    ]  # fmt: skip
