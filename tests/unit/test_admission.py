"""Requests that run, wait and are sent away."""

import threading

import grpc
import pytest

from serving.admission import Admission
from serving.request_error import RequestError
from tests.waiting import wait_until


class _Holder(threading.Thread):
    """A request that holds its slot until it is told to end."""

    def __init__(self, admission, seconds=None):
        super().__init__(daemon=True)
        self.admission, self.seconds = admission, seconds
        self.holds, self.end, self.error = threading.Event(), threading.Event(), None
        self.start()

    def run(self):
        try:
            with self.admission.slot(self.seconds):
                self.holds.set()
                self.end.wait(20)
        except RequestError as error:
            self.error = error

    def finish(self):
        self.end.set()
        self.join(20)
        assert not self.is_alive()


def test_one_too_many_is_sent_away_at_once_and_those_that_wait_get_their_turn():
    admission = Admission(running=2, waiting=1)
    assert admission.capacity == 3
    first, second = _Holder(admission), _Holder(admission)
    assert first.holds.wait(20) and second.holds.wait(20)
    third = _Holder(admission)
    wait_until(seconds=20, condition=lambda: admission.waiting == 1)
    with pytest.raises(RequestError, match="2 requests are under way and 1 wait") as caught, admission.slot(60):
        pass
    assert caught.value.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not third.holds.is_set()
    first.finish()
    assert third.holds.wait(20)
    assert (admission.running, admission.waiting) == (2, 0)
    second.finish()
    third.finish()
    assert admission.running == 0
    with admission.slot(0.0):
        assert admission.running == 1


def test_a_deadline_ends_the_waiting_and_leaves_nothing_behind():
    admission = Admission(running=1, waiting=5)
    holder = _Holder(admission)
    assert holder.holds.wait(20)
    with pytest.raises(RequestError, match="deadline") as caught, admission.slot(0.01):
        pass
    assert caught.value.code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert admission.waiting == 0
    holder.finish()
    with admission.slot(0.0):
        pass


def test_turns_are_in_the_order_of_arrival():
    admission, order = Admission(running=1, waiting=10), []

    def work(name):
        with admission.slot():
            order.append(name)

    admission.enter()
    threads = []
    for i in range(3):
        threads.append(threading.Thread(target=work, args=(i,)))
        threads[-1].start()
        wait_until(seconds=20, condition=lambda i=i: admission.waiting == i + 1)
    # The turn is the first one's even before it awakes: who comes now waits behind the others.
    admission.leave()
    work("newcomer")
    for thread in threads:
        thread.join(20)
    assert order == [0, 1, 2, "newcomer"] and (admission.running, admission.waiting) == (0, 0)


def test_a_turn_that_comes_as_the_deadline_passes_is_taken(monkeypatch):
    admission = Admission(running=1, waiting=5)
    admission.enter()

    def too_late(turn, seconds):
        admission.leave()
        return False

    monkeypatch.setattr(threading.Event, "wait", too_late)
    admission.enter(0.0)
    assert (admission.running, admission.waiting) == (1, 0)


# What gRPC says where the caller sets no deadline.
@pytest.mark.parametrize("seconds", [None, 9.223372035058902e18])
def test_who_has_no_deadline_waits(seconds):
    admission = Admission(running=1, waiting=5)
    admission.enter()
    waiting = _Holder(admission, seconds)
    wait_until(seconds=20, condition=lambda: admission.waiting == 1)
    admission.leave()
    assert waiting.holds.wait(20)
    waiting.finish()
    assert waiting.error is None


def test_a_request_that_fails_frees_its_slot():
    admission = Admission(running=1, waiting=0)
    for _ in range(3):
        with pytest.raises(ValueError, match="no"), admission.slot():
            raise ValueError("no")
    assert admission.running == 0


def test_no_slot_is_lost_under_many_threads():
    admission = Admission(running=3, waiting=1000)
    most, sum_, lock = 0, 0, threading.Lock()

    def work():
        nonlocal most, sum_
        for _ in range(200):
            with admission.slot(60):
                with lock:
                    most = max(most, admission.running)
                    sum_ += 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum_ == 1600 and most <= 3
    assert (admission.running, admission.waiting) == (0, 0)
