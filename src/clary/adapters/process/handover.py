"""How a supervisor offers its job to a fork server instead of starting bwrap.

Everything up to ``go`` has no effect outside the fork server's sandbox: until then the job can be
started the ordinary way instead, whatever went wrong.
"""

from __future__ import annotations

import _socket
import marshal
import os

from clary.adapters.process import linux

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PATIENCE_S = 10.0
_FILE_BYTES = 4


class Offer:
    """One offer of a job.

    Parameters
    ----------
    plan
        ``socket``: the fork server's; ``uid``: the job's, in the server's numbers; ``mounts``:
        what it is to see (path outside, path inside, whether writable); and what its worker reads.
    output
        Where its output goes.
    groups
        Control groups to enter.

    Raises
    ------
    OSError
        Nobody is there, or what is to be mounted cannot be.
    """

    def __init__(self, plan: dict[str, Any], output: int, groups: list[str]) -> None:
        self.initfd = self.jobfd = -1
        self.farewell, said = os.pipe()
        files: list[int] = []
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        try:
            self._socket.settimeout(_PATIENCE_S)
            _connect(self._socket, plan["socket"])
            files.append(_in_memory(plan["worker"]))
            files += borrow(plan["mounts"])
            files += [os.open(f"{group}/cgroup.procs", os.O_WRONLY) for group in groups]
            _send(self._socket, b"%d" % plan["uid"], [files[0], output, said, *files[1:]])
        except OSError:
            self._socket.close()
            os.close(self.farewell)
            raise
        finally:
            for file in (said, *files):
                os.close(file)

    def is_taken(self) -> bool:
        """Wait until a worker is ready, and let it go; False when there will be none."""
        try:
            told, files = _receive(self._socket)
            if told == b"init":
                self.initfd, self.jobfd = files
            if files and self._socket.recv(64) == b"ready":
                self._socket.send(b"go")
                return True
        except OSError:
            pass  # as good as an answer
        self._socket.close()
        for file in (self.farewell, self.initfd, self.jobfd):
            if file >= 0:
                os.close(file)
        return False

    def fileno(self) -> int:
        """Return the file that becomes readable when the job has ended."""
        return self._socket.fileno()

    def is_leaving(self) -> bool:
        """Say whether the job has said that it ends well, and has no other process.

        It says so when its program is at its end and only its memory is left to be freed, which
        can take longer than the program took. What it may do yet is its own loss, and ends when
        its namespaces do.
        """
        said = os.read(self.farewell, 1)
        return bool(said) and not _children(self.jobfd) and not _children(self.initfd)

    def ending(self) -> tuple[int, int] | None:
        """Return wait status and most memory in KiB; None when nobody lived to tell."""
        try:
            words = self._socket.recv(64).split()
        except ConnectionResetError:  # it ended before it read its word to go; said once
            words = self._socket.recv(64).split()
        return (int(words[0]), int(words[1])) if words else None


def borrow(mounts: list[tuple[str, str, bool]]) -> list[int]:
    """Return detached mounts, which nothing but their holder can reach.

    Who is not root makes them in a user namespace, where a short-lived child is.
    """
    if os.geteuid() == 0:
        return [linux.detached(outside, writable=writable) for outside, _, writable in mounts]
    here, there = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        try:
            linux.unshare(linux.NEWUSER | linux.NEWNS)
            files = [linux.detached(outside, writable=writable) for outside, _, writable in mounts]
            _send(there, b"1", files)
        finally:
            os._exit(0)
    there.close()
    told, files = _receive(here)
    here.close()
    os.waitpid(pid, 0)
    if not told:
        raise OSError("what the job sees cannot be mounted")
    return files


def _connect(client: _socket.socket, path: str) -> None:
    """Connect by way of the open folder: a socket's path may have 107 bytes."""
    folder, name = os.path.split(path)
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        client.connect(f"/proc/self/fd/{handle}/{name}")
    finally:
        os.close(handle)


def _in_memory(document: dict[str, Any]) -> int:
    file = os.memfd_create("clary")
    with os.fdopen(file, "wb", closefd=False) as stream:
        marshal.dump(document, stream, 4)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _send(to: _socket.socket, message: bytes, files: list[int]) -> None:
    rights = b"".join(file.to_bytes(_FILE_BYTES, "little") for file in files)
    to.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])


def _receive(source: _socket.socket) -> tuple[bytes, list[int]]:
    room = _socket.CMSG_SPACE(_FILE_BYTES * 16)
    message, sent, *_ = source.recvmsg(64, room, _socket.MSG_CMSG_CLOEXEC)
    return message, memoryview(sent[0][2]).cast("i").tolist() if sent else []


def _children(process: int) -> list[str]:
    """List the children of a process that a file stands for; itself when it cannot be said."""
    with open(f"/proc/self/fdinfo/{process}", encoding="ascii") as file:
        pid = next(line.split()[1] for line in file if line.startswith("Pid:"))
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += file.read().split()
    except OSError:
        return [pid]
    return found
