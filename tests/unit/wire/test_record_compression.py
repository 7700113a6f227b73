"""Compressed bodies: each kind, the old flag without a kind, and bytes that are not what they claim."""

from __future__ import annotations

import contextlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_wire import compression
from rocket_wire.compression import Compression
from rocket_wire.errors import ProtocolError


@pytest.mark.parametrize("kind", list(Compression))
@pytest.mark.parametrize("body", [b"", b"a", b"Hello RocketMQ " * 1000])
def test_a_body_comes_back(kind: Compression, body: bytes) -> None:
    assert compression.decompress(compression.compress(body, kind), kind.sys_flag) == body


def test_the_flags_are_the_protocols() -> None:
    assert [kind.sys_flag for kind in (Compression.LZ4, Compression.ZSTD, Compression.ZLIB)] == [0x101, 0x201, 0x301]


def test_no_kind_means_zlib_and_no_flag_means_plain() -> None:
    assert compression.decompress(zlib.compress(b"abc"), 0x1) == b"abc"
    assert compression.decompress(b"abc", 0x300) == b"abc"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ProtocolError, match="unknown type 5"):
        compression.decompress(b"abc", 0x501)


@pytest.mark.parametrize("kind", list(Compression))
def test_a_body_that_grows_too_large_is_refused(kind: Compression) -> None:
    bomb = compression.compress(bytes(10_000_000), kind)
    with pytest.raises(ProtocolError, match="grows beyond"):
        compression.decompress(bomb, kind.sys_flag, max_bytes=1000)
    assert len(compression.decompress(bomb, kind.sys_flag, max_bytes=10_000_000)) == 10_000_000


@pytest.mark.parametrize("kind", list(Compression))
def test_a_body_cut_anywhere_is_refused(kind: Compression) -> None:
    packed = compression.compress(b"Hello RocketMQ " * 50, kind)
    for length in range(len(packed)):
        with pytest.raises(ProtocolError):
            compression.decompress(packed[:length], kind.sys_flag)


@given(st.binary(max_size=200), st.sampled_from([0x1, 0x101, 0x201, 0x301]), st.sampled_from([0, 4]))
def test_any_bytes_are_decompressed_or_refused(content: bytes, sys_flag: int, keep: int) -> None:
    kind = Compression(sys_flag >> 8 or 3)
    candidate = compression.compress(b"some body", kind)[:keep] + content
    with contextlib.suppress(ProtocolError):
        compression.decompress(candidate, sys_flag, max_bytes=1 << 20)
