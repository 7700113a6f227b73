"""The window between pulled and finished: what may be committed never passes an unfinished message."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from rocket_client.process_queue import ProcessQueue


@dataclass(frozen=True)
class Stored:
    queue_offset: int
    stored_bytes: int = 10


def window_of(*offsets: int, pulled_to: int, start: int = 0) -> ProcessQueue[Stored]:
    window: ProcessQueue[Stored] = ProcessQueue(start)
    window.add([Stored(offset) for offset in offsets], pulled_to)
    return window


def test_an_empty_window_commits_where_it_pulls_next() -> None:
    assert window_of(pulled_to=7).commit_offset == 7


def test_offsets_without_a_message_count_as_finished() -> None:
    window = window_of(3, 5, pulled_to=9)
    assert window.commit_offset == 3
    window.take()
    window.finish(3)
    assert window.commit_offset == 5
    window.take()
    window.finish(5)
    assert window.commit_offset == 9


def test_a_later_message_that_is_finished_first_holds_the_commit_back() -> None:
    window = window_of(0, 1, pulled_to=2)
    window.take()
    window.take()
    assert window.finish(1)
    assert window.commit_offset == 0


def test_messages_come_in_order_and_one_put_back_comes_first_again() -> None:
    window = window_of(0, 1, 2, pulled_to=3)
    first = window.take()
    assert first == Stored(0)
    assert window.take() == Stored(1)
    assert window.put_back(first)
    assert window.take() == first


def test_a_message_may_be_changed_when_it_is_put_back() -> None:
    window = window_of(0, pulled_to=1)
    window.take()
    window.put_back(Stored(0, stored_bytes=99))
    assert window.take() == Stored(0, stored_bytes=99)


def test_only_a_running_message_can_be_finished_or_put_back() -> None:
    window = window_of(0, pulled_to=1)
    assert not window.finish(0)
    assert not window.put_back(Stored(0))
    window.take()
    assert window.finish(0)
    assert not window.finish(0)


def test_what_a_second_pull_brings_again_is_ignored() -> None:
    window = window_of(0, 1, pulled_to=2)
    window.add([Stored(1), Stored(2)], 3)
    assert [window.take() for _ in range(4)] == [Stored(0), Stored(1), Stored(2), None]


def test_it_counts_messages_bytes_and_span() -> None:
    window = window_of(4, 6, pulled_to=10, start=4)
    assert (len(window), window.bytes, window.span) == (2, 20, 6)
    window.take()
    window.finish(4)
    assert (len(window), window.bytes, window.span) == (1, 10, 4)


@given(st.data())
def test_the_commit_offset_only_grows_and_never_passes_an_unfinished_message(data: st.DataObject) -> None:
    window: ProcessQueue[Stored] = ProcessQueue(0)
    unfinished: set[int] = set()
    running: list[Stored] = []
    committed = 0
    for _ in range(data.draw(st.integers(0, 40))):
        action = data.draw(st.sampled_from(["add", "take", "finish", "put back"]))
        if action == "add":
            gaps = data.draw(st.lists(st.integers(0, 3), max_size=4))
            fresh = []
            offset = window.pulled_to
            for gap in gaps:
                offset += gap
                fresh.append(Stored(offset))
                offset += 1
            window.add(fresh, offset + data.draw(st.integers(0, 2)))
            unfinished |= {message.queue_offset for message in fresh}
        elif action == "take" and (message := window.take()) is not None:
            running.append(message)
        elif running:
            message = running.pop(data.draw(st.integers(0, len(running) - 1)))
            if action == "finish":
                window.finish(message.queue_offset)
                unfinished.discard(message.queue_offset)
            else:
                window.put_back(message)
        assert window.commit_offset == min(unfinished, default=window.pulled_to)
        assert window.commit_offset >= committed
        committed = window.commit_offset
        assert len(window) == len(unfinished) == window.waiting + window.running
