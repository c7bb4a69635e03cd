"""The clock that irreversible acts ask: jumps, sleep, and starts with a wrong time."""

import pytest

from app.clock import SETTLE_SECONDS, SteadyClock

NOON = 1_800_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR


class Machine:
    """A machine whose clocks the test turns."""

    def __init__(self) -> None:
        self.set_by = self.counted = self.slept = 0.0
        self.clock = SteadyClock(
            wall=lambda: NOON + self.counted + self.slept + self.set_by,
            monotonic=lambda: self.counted,
            sleep=lambda: self.slept,
        )

    def wait(self, seconds: float) -> None:
        """Time passes, and the clock is looked at now and then."""
        for _ in range(10):
            self.counted += seconds / 10
            self.clock.sure_now()


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_time_that_passes_is_sure(machine: Machine) -> None:
    machine.wait(HOUR)
    assert machine.clock.sure_now() == machine.clock.now() == NOON + HOUR
    assert machine.clock.has_passed(NOON + HOUR - 1) and not machine.clock.has_passed(NOON + HOUR + 1)


@pytest.mark.parametrize("seconds", [2 * DAY, -2 * DAY])
def test_a_jump_that_is_undone_changes_nothing(machine: Machine, seconds: float) -> None:
    machine.set_by = seconds
    machine.wait(6)
    assert machine.clock.now() == NOON + 6
    assert machine.clock.sure_now() is None
    assert not machine.clock.has_passed(NOON + 1)
    machine.set_by = 0
    assert machine.clock.sure_now() == NOON + 6


@pytest.mark.parametrize("seconds", [2 * DAY, -2 * DAY])
def test_a_clock_that_was_set_right_is_accepted_after_a_while(machine: Machine, seconds: float) -> None:
    machine.set_by = seconds
    machine.wait(SETTLE_SECONDS - 1)
    assert machine.clock.sure_now() is None
    machine.wait(SETTLE_SECONDS)
    assert machine.clock.sure_now() == pytest.approx(NOON + seconds + machine.counted)


def test_a_second_jump_begins_the_wait_again(machine: Machine) -> None:
    machine.set_by = DAY
    machine.wait(SETTLE_SECONDS - 10)
    machine.set_by = 2 * DAY
    machine.wait(SETTLE_SECONDS - 10)
    assert machine.clock.sure_now() is None


def test_a_slow_adjustment_is_no_jump(machine: Machine) -> None:
    for _ in range(100):
        machine.set_by += 1
        machine.wait(10)
        assert machine.clock.sure_now() is not None
    assert machine.clock.now() == NOON + machine.counted + 100


def test_a_machine_that_slept_has_the_time_at_once_and_acts_later(machine: Machine) -> None:
    machine.slept = 8 * HOUR
    assert machine.clock.now() == NOON + 8 * HOUR
    assert not machine.clock.has_passed(NOON + HOUR)
    machine.wait(SETTLE_SECONDS + 1)
    assert machine.clock.has_passed(NOON + HOUR)


def test_a_start_soon_after_the_last_sweep_is_sure(machine: Machine) -> None:
    machine.clock.continue_from(NOON - 60)
    assert machine.clock.sure_now() == NOON


def test_a_start_long_after_the_last_sweep_waits_first(machine: Machine) -> None:
    """A gateway that was down over the weekend, or a clock that is two days ahead."""
    machine.clock.continue_from(NOON - 2 * DAY)
    assert machine.clock.now() == NOON and machine.clock.sure_now() is None
    machine.set_by = -2 * DAY  # it was the clock
    assert machine.clock.now() == NOON - 2 * DAY and machine.clock.sure_now() is None
    machine.wait(SETTLE_SECONDS + 1)
    assert machine.clock.sure_now() == pytest.approx(NOON - 2 * DAY + machine.counted)


def test_a_start_before_the_last_sweep_goes_on_from_there(machine: Machine) -> None:
    """A machine without a battery starts in 1970 and learns the time a moment later."""
    machine.set_by = -NOON
    clock = machine.clock
    clock.continue_from(NOON)
    machine.wait(5)
    assert clock.now() == pytest.approx(NOON + 5) and clock.sure_now() is None
    machine.set_by = 0
    assert clock.sure_now() == NOON + 5
