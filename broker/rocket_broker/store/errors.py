"""Why the store refuses something, by what its caller can do about it."""

from __future__ import annotations

import errno
from typing import Final

from rocket_wire.errors import ServerError

#: No room: the disk, the quota, or the limit on a file's size.
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StoreError(ServerError):
    """The store cannot do what was asked; what it held before, it still holds."""


class StoreFull(StoreError):
    """There is no room for the message. Reads go on, and so do writes once there is room."""


class StoreLocked(StoreError):
    """Another process has this store open."""


def is_no_room(error: OSError) -> bool:
    """Whether the disk refused for want of room."""
    return error.errno in _NO_ROOM


def refused(what: str, error: OSError) -> StoreError:
    """The error to raise instead of the operating system's."""
    kind = StoreFull if is_no_room(error) else StoreError
    return kind(f"{what}: {error.strerror or error}")
