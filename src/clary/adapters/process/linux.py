"""Calls of the Linux kernel that Python has no function for; all raise OSError.

For the programs that hold and become jobs: nothing but the standard library's fast parts.
"""

from __future__ import annotations

import ctypes
import os

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
PDEATHSIG, DUMPABLE, SECCOMP, CAPBSET_DROP, SUBREAPER, NO_NEW_PRIVS = 1, 4, 22, 24, 36, 38

# the same on every architecture
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC, _MOVE_MOUNT_F_EMPTY_PATH = 1, os.O_CLOEXEC, 4
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_CAP_VERSION, _LAST_CAP = 0x20080522, 63
_PR_CAP_AMBIENT, _CLEAR_ALL = 47, 4
_SECCOMP_FILTER = 2

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _syscall(what: str, number: int, *words: int | bytes | ctypes.Array[ctypes.c_char]) -> int:
    given = [ctypes.c_long(word) if isinstance(word, int) else word for word in words]
    return _check(_libc.syscall(ctypes.c_long(number), *given), what)


def prctl(option: int, value: int = 0, more: int = 0) -> None:
    """Call prctl(2)."""
    words = [ctypes.c_ulong(word) for word in (value, more, 0, 0)]
    _check(_libc.prctl(option, *words), f"prctl({option}, {value})")


def unshare(flags: int) -> None:
    """Leave the namespaces of ``flags`` for new ones."""
    _check(_libc.unshare(ctypes.c_int(flags)), f"unshare({flags:#x})")


def setns(file: int, flags: int) -> None:
    """Enter namespaces: of the process whose pidfd ``file`` is, or the one it stands for."""
    _check(_libc.setns(file, ctypes.c_int(flags)), f"setns({flags:#x})")


def mount(kind: str, target: str, flags: int, options: str = "") -> None:
    """Mount a new file system of a kind that has no source."""
    words = (kind.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _check(_libc.mount(*words), f"mounting {kind} on {target}")


def detached(path: str, *, writable: bool) -> int:
    """Return a mount of what ``path`` names that is attached nowhere yet (Linux 5.12)."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC
    file = _syscall(f"opening {path}", _OPEN_TREE, _AT_FDCWD, os.fsencode(path), flags)
    wanted = _ATTR_NOSUID | _ATTR_NODEV | (0 if writable else _ATTR_RDONLY)
    attributes = wanted.to_bytes(8, "little") + bytes(24)
    words = (file, b"", _AT_EMPTY_PATH, attributes, len(attributes))
    try:
        _syscall(f"restricting {path}", _MOUNT_SETATTR, *words)
    except OSError:
        os.close(file)
        raise
    return file


def attach(file: int, target: str) -> None:
    """Attach a detached mount."""
    words = (file, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)
    _syscall(f"mounting on {target}", _MOVE_MOUNT, *words)


def become(uid: int) -> None:
    """Become a user and group of this number without any capability, now or ever."""
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    for number in range(_LAST_CAP):
        if _libc.prctl(CAPBSET_DROP, ctypes.c_ulong(number), 0, 0, 0) < 0:
            break  # the kernel knows no more of them
    prctl(_PR_CAP_AMBIENT, _CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_CAP_VERSION, 0)
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)()), "dropping the capabilities")
    prctl(NO_NEW_PRIVS, 1)


def filter_calls(program: bytes) -> None:
    """Install a seccomp filter; needs ``NO_NEW_PRIVS``."""

    class Program(ctypes.Structure):
        _fields_ = (("count", ctypes.c_ushort), ("lines", ctypes.c_char_p))

    given = Program(len(program) // 8, program)
    prctl(SECCOMP, _SECCOMP_FILTER, ctypes.addressof(given))
