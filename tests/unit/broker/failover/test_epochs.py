"""Which epoch each part of the log is of, kept in Apache's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocket_broker.failover.epochs import FILE_NAME, Epochs, encode, parse
from rocket_broker.saved import DamagedFile


def test_a_log_without_the_file_is_of_epoch_0(tmp_path: Path) -> None:
    epochs = Epochs(tmp_path)
    assert (epochs.newest, epochs.at(0), epochs.at(1 << 40), epochs.next_begin(0)) == (0, 0, 0, None)


def test_each_part_is_of_the_epoch_that_began_last(tmp_path: Path) -> None:
    epochs = Epochs(tmp_path)
    epochs.begin(2, 100)
    epochs.begin(5, 300)
    assert [epochs.at(position) for position in (0, 99, 100, 299, 300, 999)] == [0, 0, 2, 2, 5, 5]
    assert [epochs.next_begin(position) for position in (0, 100, 300)] == [100, 300, None]
    assert dict(Epochs(tmp_path).begins) == {0: 0, 2: 100, 5: 300}


def test_the_file_has_apaches_form(tmp_path: Path) -> None:
    epochs = Epochs(tmp_path)
    epochs.begin(7, 7000)
    epochs.begin(8, 8000)
    assert (tmp_path / FILE_NAME).read_text().splitlines()[0] == "2"
    assert (tmp_path / FILE_NAME).read_text().splitlines()[2:] == ["7-7000", "8-8000"]


def test_epochs_behind_the_end_of_the_log_are_forgotten(tmp_path: Path) -> None:
    epochs = Epochs(tmp_path)
    epochs.begin(2, 100)
    epochs.begin(5, 300)
    epochs.end_at(299)
    assert dict(epochs.begins) == {0: 0, 2: 100}


def test_a_follower_has_its_masters_epochs_as_far_as_it_has_its_log(tmp_path: Path) -> None:
    epochs = Epochs(tmp_path)
    epochs.begin(3, 150)
    epochs.follow({0: 0, 2: 100, 5: 300}, 300)
    assert dict(epochs.begins) == {0: 0, 2: 100}
    epochs.reach(5, 300)
    epochs.reach(5, 300)
    assert dict(Epochs(tmp_path).begins) == {0: 0, 2: 100, 5: 300}


def test_an_epoch_without_a_record_gives_way_to_the_next_one(tmp_path: Path) -> None:
    epochs = Epochs(tmp_path)
    epochs.begin(2, 100)
    epochs.begin(3, 100)
    assert (epochs.at(100), epochs.next_begin(100)) == (3, None)


@pytest.mark.parametrize("content", [b"", b"2\n0\n7-7000\n", b"1\n5\n7-7000\n", b"1\n0\nx-y\n", b"\xff"])
def test_a_damaged_file_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(DamagedFile):
        Epochs(tmp_path)


def test_a_checksum_of_0_is_none() -> None:
    assert parse(b"1\n0\n7-7000\n") == {7: 7000}
    assert parse(encode({0: 0, 7: 7000})) == {7: 7000}
