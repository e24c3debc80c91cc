# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk of another machine, over iSCSI, without the kernel: libiscsi speaks the protocol inside this process.

No module of the kernel is needed, no session is left behind when this process is killed, and the password for CHAP is
in no process list. One command is under way at a time.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.iscsi_target import DISK_LUN

INITIATOR = "iqn.2026-01.weft.fabric:boot-server"

_SESSION_NORMAL = 2
_STATUS_GOOD = 0
_COMMAND = 1 << 20  # bytes in one command
_WRITE_SAME = 32 << 20

_VOID, _TEXT, _INT, _U32, _U64 = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_uint64

#: function -> (what it returns, what it takes)
_FUNCTIONS: t.Dict[str, t.Tuple[t.Any, t.List[t.Any]]] = {
    "iscsi_create_context": (_VOID, [_TEXT]),
    "iscsi_destroy_context": (_INT, [_VOID]),
    "iscsi_set_targetname": (_INT, [_VOID, _TEXT]),
    "iscsi_set_session_type": (_INT, [_VOID, _INT]),
    "iscsi_set_initiator_username_pwd": (_INT, [_VOID, _TEXT, _TEXT]),
    "iscsi_set_timeout": (_INT, [_VOID, _INT]),
    "iscsi_set_noautoreconnect": (None, [_VOID, _INT]),
    "iscsi_full_connect_sync": (_INT, [_VOID, _TEXT, _INT]),
    "iscsi_logout_sync": (_INT, [_VOID]),
    "iscsi_get_error": (_TEXT, [_VOID]),
    "iscsi_testunitready_sync": (_VOID, [_VOID, _INT]),
    "iscsi_readcapacity16_sync": (_VOID, [_VOID, _INT]),
    "iscsi_write16_sync": (_VOID, [_VOID, _INT, _U64, _VOID, _U32, _INT, _INT, _INT, _INT, _INT, _INT]),
    "iscsi_writesame16_sync": (_VOID, [_VOID, _INT, _U64, _VOID, _U32, _U32, _INT, _INT, _INT, _INT]),
    "iscsi_synchronizecache10_sync": (_VOID, [_VOID, _INT, _INT, _INT, _INT, _INT]),
    "scsi_datain_unmarshall": (_VOID, [_VOID]),
    "scsi_free_scsi_task": (None, [_VOID]),
}


class _Capacity(ctypes.Structure):
    _fields_ = (("last", _U64), ("block", _U32))


class _Task(ctypes.Structure):
    """The beginning of what libiscsi tells of a command that has ended."""

    _fields_ = (("status", _INT),)


class Portal(t.NamedTuple):
    """Where a target is, and what opens it."""

    address: str
    port: int
    target: str
    username: str
    password: str


def library() -> t.Any:
    """Load libiscsi, and say what its functions take."""
    name = ctypes.util.find_library("iscsi")
    if name is None:
        raise FabricError(
            "libiscsi is missing on this machine. Install libiscsi-bin (Debian, Ubuntu) or libiscsi-utils (Fedora)"
        )
    loaded = ctypes.CDLL(name)
    for function, (result, arguments) in _FUNCTIONS.items():
        found = getattr(loaded, function)
        found.restype, found.argtypes = result, arguments
    return loaded


class Session(object):
    """A login to a target."""

    def __init__(self, portal: Portal, until: float, patience: int = 60):
        self._until = until
        self._where = "%s:%d" % (portal.address, portal.port)
        self._library = library()
        self._context: t.Optional[int] = self._library.iscsi_create_context(INITIATOR.encode("ascii"))
        if not self._context:
            raise FabricError("libiscsi has no memory for a session")
        try:
            self._log_in(portal, patience)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _log_in(self, portal: Portal, patience: int) -> None:
        lib, context = self._library, self._context
        lib.iscsi_set_targetname(context, portal.target.encode("ascii"))
        lib.iscsi_set_session_type(context, _SESSION_NORMAL)
        lib.iscsi_set_initiator_username_pwd(context, portal.username.encode("utf-8"), portal.password.encode("utf-8"))
        lib.iscsi_set_timeout(context, patience)
        # A write of which nobody knows whether it came is an error here, and the whole image is written again.
        lib.iscsi_set_noautoreconnect(context, 1)
        if lib.iscsi_full_connect_sync(context, self._where.encode("ascii"), DISK_LUN):
            raise FabricError("nobody could log in to the iSCSI target at %s: %s" % (self._where, self._error()))

    def disk(self, lun: int) -> "IscsiDisk":
        """Return a unit of the target."""
        # The first command of a session is answered with the news that it is new.
        for _turn in range(3):
            if self.could("iscsi_testunitready_sync", lun):
                break
        task = self._library.iscsi_readcapacity16_sync(self._context, lun)
        try:
            self._check(task, "asked for its size")
            told = self._library.scsi_datain_unmarshall(task)
            if not told:
                raise FabricError("the iSCSI target at %s did not tell the size of unit %d" % (self._where, lun))
            found = ctypes.cast(told, ctypes.POINTER(_Capacity)).contents
            return IscsiDisk(self, lun, (found.last + 1) * found.block, found.block)
        finally:
            self._free(task)

    def do(self, done: str, function: str, *arguments: t.Any) -> None:
        """Send a command and wait for its end. done says in an error what could not be done."""
        if time.monotonic() > self._until:
            raise FabricError("the time for writing to %s was over" % self._where)
        task = getattr(self._library, function)(self._context, *arguments)
        try:
            self._check(task, done)
        finally:
            self._free(task)

    def could(self, function: str, *arguments: t.Any) -> bool:
        """Send a command that not every target knows. Return whether it was done."""
        task = getattr(self._library, function)(self._context, *arguments)
        try:
            return bool(task) and _status(task) == _STATUS_GOOD
        finally:
            self._free(task)

    def _check(self, task: t.Optional[int], done: str) -> None:
        if not task or _status(task) != _STATUS_GOOD:
            raise FabricError("the disk behind %s could not be %s: %s" % (self._where, done, self._error()))

    def _free(self, task: t.Optional[int]) -> None:
        if task:
            self._library.scsi_free_scsi_task(task)

    def _error(self) -> str:
        told = self._library.iscsi_get_error(self._context)
        return (told or b"").decode("utf-8", "replace").strip() or "no reason was told"

    def close(self) -> None:
        """Log out, if there is still somebody, and forget the session."""
        if self._context:
            context, self._context = self._context, None
            self._library.iscsi_logout_sync(context)
            self._library.iscsi_destroy_context(context)


class IscsiDisk(object):
    """One unit of a target, written like a disk of this machine (disk_block.Disk)."""

    def __init__(self, session: Session, lun: int, size: int, sector_size: int):
        self._session = session
        self._lun = lun
        self.size = size
        self.sector_size = sector_size
        self._makes_zeros = True
        self._zeros = (ctypes.c_ubyte * _COMMAND)()

    def write_aligned(self, offset: int, data: memoryview) -> None:
        """Write whole sectors."""
        length = len(data)
        content = (ctypes.c_ubyte * length).from_buffer(data)
        for start in range(0, length, _COMMAND):
            count = min(_COMMAND, length - start)
            self._write(offset + start, ctypes.addressof(content) + start, count)

    def zero(self, offset: int, length: int) -> bool:
        """Make it read as zeros. Return whether the other machine did so itself, and none were sent."""
        while length and self._makes_zeros:
            count = min(_WRITE_SAME, length)
            self._makes_zeros = self._session.could(
                "iscsi_writesame16_sync", self._lun, offset // self.sector_size, ctypes.addressof(self._zeros),
                self.sector_size, count // self.sector_size, 0, 1, 0, 0,
            )  # fmt: skip
            if self._makes_zeros:
                offset, length = offset + count, length - count
        done = not length
        while length:
            count = min(_COMMAND, length)
            self._write(offset, ctypes.addressof(self._zeros), count)
            offset, length = offset + count, length - count
        return done

    def sync(self) -> None:
        """Return when everything is on the disk, and not in a cache that power takes away."""
        self._session.do("written", "iscsi_synchronizecache10_sync", self._lun, 0, 0, 0, 0)

    def _write(self, offset: int, address: int, count: int) -> None:
        self._session.do(
            "written at byte %d" % offset, "iscsi_write16_sync", self._lun, offset // self.sector_size, address, count,
            self.sector_size, 0, 0, 0, 0, 0,
        )  # fmt: skip


def _status(task: int) -> int:
    return int(ctypes.cast(task, ctypes.POINTER(_Task)).contents.status)
