"""Requests that are merged, and what each gets of it."""

import threading
import time

import numpy as np
import pytest

from serving.batcher import Batcher, Batching


class _Graph:
    """Doubles numbers and sums rows; refuses negative ones. Tells of its runs, and can be held up."""

    def __init__(self):
        self.sizes = []
        self.open = threading.Event()
        self.open.set()
        self.inside = threading.Event()

    def __call__(self, numbers, lists):
        self.inside.set()
        assert self.open.wait(20)
        self.sizes.append(len(numbers))
        if np.any(numbers < 0):
            raise ValueError(f"negative: {numbers[numbers < 0].tolist()}")
        return [2 * numbers, lists.sum(axis=1)]


@pytest.fixture
def graph():
    return _Graph()


def _arrays(*numbers, width=2):
    numbers = np.array(numbers, np.float32)
    return numbers, np.repeat(numbers[:, None], width, axis=1)


def _meanwhile(graph, batcher, *requests):
    """Outcomes of a first request of one row, and of others that come in this order while it runs."""
    outcomes = [None] * (1 + len(requests))

    def ask(i, arrays):
        try:
            outcomes[i] = [values.tolist() for values in batcher(*arrays)]
        except ValueError as error:
            outcomes[i] = str(error)

    graph.open.clear()
    threads = []
    for i, arrays in enumerate([_arrays(0), *requests]):
        threads.append(threading.Thread(target=ask, args=(i, arrays)))
        threads[-1].start()
        assert graph.inside.wait(20)
        end = time.monotonic() + 20
        while len(batcher._queue) < i:
            assert time.monotonic() < end
            time.sleep(0.001)
    graph.open.set()
    for thread in threads:
        thread.join(20)
    return outcomes[1:]


def test_a_lone_request_runs_at_once(graph):
    batcher = Batcher(graph, Batching(max_rows=10))
    for _ in range(3):
        doubled, sums = batcher(*_arrays(1, 2))
        assert doubled.tolist() == [2, 4] and sums.tolist() == [2, 4]
    assert graph.sizes == [2, 2, 2]


def test_those_that_came_meanwhile_share_a_run(graph):
    batcher = Batcher(graph, Batching(max_rows=10))
    outcomes = _meanwhile(graph, batcher, _arrays(1), _arrays(2, 3), _arrays(4))
    assert outcomes == [[[2], [2]], [[4, 6], [4, 6]], [[8], [8]]]
    assert graph.sizes == [1, 4]


def test_no_batch_is_larger_than_it_may_be_and_the_order_is_kept(graph):
    batcher = Batcher(graph, Batching(max_rows=3))
    outcomes = _meanwhile(graph, batcher, _arrays(1, 1), _arrays(2, 2), _arrays(3), _arrays(*[4] * 5))
    assert [o[0] for o in outcomes] == [[2, 2], [4, 4], [6], [8] * 5]
    # The first of the queue, with what fits beside it.
    assert graph.sizes == [1, 3, 2, 5]


def test_other_widths_are_not_merged(graph):
    batcher = Batcher(graph, Batching(max_rows=10))
    outcomes = _meanwhile(graph, batcher, _arrays(1), _arrays(2, width=3), _arrays(3))
    assert outcomes == [[[2], [2]], [[4], [6]], [[6], [6]]]
    assert graph.sizes == [1, 2, 1]


def test_requests_whose_inputs_differ_in_length_do_not_make_up_for_each_other(graph):
    def run(numbers, lists):
        if len(numbers) != len(lists):
            raise ValueError(f"{len(numbers)} numbers, {len(lists)} lists")
        return graph(numbers, lists)

    (one, ones), (two, twos) = _arrays(1), _arrays(2, 2)
    outcomes = _meanwhile(graph, Batcher(run, Batching(max_rows=10)), (two, ones), (one, twos), (one, ones))
    assert outcomes == ["2 numbers, 1 lists", "1 numbers, 2 lists", [[2], [2]]]


def test_a_wrong_request_fails_alone(graph):
    batcher = Batcher(graph, Batching(max_rows=10))
    outcomes = _meanwhile(graph, batcher, _arrays(1), _arrays(2, -3), _arrays(4))
    assert outcomes == [[[2], [2]], "negative: [-3.0]", [[8], [8]]]
    assert batcher(*_arrays(5))[0].tolist() == [10]


def test_the_first_waits_for_others_when_told_to(graph):
    batcher = Batcher(graph, Batching(max_rows=2, wait_seconds=20))
    results = []
    threads = [threading.Thread(target=lambda n=n: results.append(batcher(*_arrays(n))[0].tolist())) for n in (1, 2)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    # The second fills the batch: nobody waits longer.
    assert time.monotonic() - start < 10
    assert sorted(results) == [[2], [4]] and graph.sizes == [2]
    batcher = Batcher(graph, Batching(max_rows=2, wait_seconds=0.01))
    assert batcher(*_arrays(3))[0].tolist() == [6]


def test_nothing_is_lost_or_mixed_up_under_many_threads(graph):
    batcher, wrong = Batcher(graph, Batching(max_rows=8)), []

    def ask(thread):
        for i in range(300):
            number = thread * 1000 + i
            doubled, sums = batcher(*_arrays(*[number] * (1 + i % 3)))
            if doubled.tolist() != [2 * number] * (1 + i % 3) or sums.tolist() != doubled.tolist():
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(t,)) for t in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not wrong and sum(graph.sizes) == 8 * 600
