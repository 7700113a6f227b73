"""Where a follower's log stops being its master's, and which times a group may be given."""

from __future__ import annotations

import pytest

from rocket_broker.failover.member import Timing, consistent_end


@pytest.mark.parametrize(
    ("own", "own_end", "masters", "masters_end", "expected"),
    [
        ({1: 0}, 500, {1: 0}, 700, 500),
        ({1: 0}, 900, {1: 0, 2: 700}, 800, 700),
        ({1: 0, 2: 600}, 800, {1: 0, 3: 700}, 900, 600),
        ({1: 0, 2: 600, 4: 800}, 950, {1: 0, 2: 600, 3: 700, 5: 900}, 990, 700),
        ({1: 0, 2: 600}, 800, {2: 500}, 900, 0),
        ({}, 0, {1: 0}, 700, 0),
    ],
    ids=[
        "it lacks the end", "it has more of an old epoch", "it was a master that nobody followed",
        "it missed an epoch", "an epoch begins elsewhere", "it is empty",
    ],
)  # fmt: skip
def test_up_to_where_a_followers_log_is_its_masters(
    own: dict[int, int], own_end: int, masters: dict[int, int], masters_end: int, expected: int
) -> None:
    assert consistent_end(own, own_end, masters, masters_end) == expected


@pytest.mark.parametrize(("lease", "renew", "retry"), [(10, 10, 2), (15, 10, 6), (15, 10, 0), (11, 10, 2)])
def test_times_that_would_let_two_act_or_one_trip_are_refused(lease: float, renew: float, retry: float) -> None:
    with pytest.raises(ValueError, match="others must wait a try longer than it is trusted"):
        Timing(lease=lease, renew=renew, retry=retry)
