"""The two sides of a shared sandbox's socket, each against a real and against a bad other side."""

from __future__ import annotations

import array
import json
import marshal
import os
import socket
import subprocess
import sys
from base64 import b64decode
from contextlib import contextmanager
from pathlib import Path

import pytest

from clary.adapters.process.runner import ProcessRunner
from clary.adapters.process.sandbox import rungs
from clary.jobs.hosting import Host, HostLostError
from clary.jobs.launch import CONTAINERS

CODE = b"import sys, os\nexec(sys.argv[1])\n"


@contextmanager
def host(base):
    """Run the program, outside of any sandbox; yields its process and the socket to it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"{base}/socket")
        listener.listen(1)
        argv = [sys.executable, str(CONTAINERS / "step_host.py")]
        process = subprocess.Popen(argv, env={"SAGEMAKER_BASE_DIR": str(base)})
        connection, _ = listener.accept()
        with connection:
            yield process, connection
        process.wait(20)


def step(number, text, *, stored=(), files=None):
    return marshal.dumps(
        {
            "number": str(number),
            "code": "c",
            "files": {"run.py": CODE, "beside.py": b"x = 5\n"} if files is None else files,
            "folders": ["work", "output/a"],
            "given": {"work/in": b"given"},
            "made": ["output"],
            "script": "run.py",
            "words": [text],
            "environment": {"WORD": "w"},
            "cwd": "work",
            "stored": list(stored),
        }
    )


def ask(connection, *args, **more):
    connection.send(step(*args, **more))
    found = json.loads(connection.recv(1 << 18))
    log = None if found["log"] is None else b64decode(found["log"]).decode()
    return found["code"], log, found["files"]


def test_a_step_has_its_files_its_words_and_its_modules(tmp_path):
    with host(tmp_path) as (_, connection):
        text = (
            "import beside; print(open('in').read(), os.environ['WORD'], beside.x, __name__); "
            "open('../output/a/out', 'w').write('made')"
        )
        for number in (1, 2):
            code, log, files = ask(connection, number, text, files={} if number == 2 else None)
            assert (code, log.split(" ", 1)[1]) == (0, "given w 5 __main__\n")
            assert {name: b64decode(data) for name, data in files.items()} == {
                "output/a/out": b"made"
            }
        assert (tmp_path / "1").exists()
        ask(connection, 3, "pass", stored=["1"])
        assert not (tmp_path / "1").exists()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("sys.exit(7)", 7),
        ("sys.exit('words')", 1),
        ("os._exit(300)", 300 & 0xFF),
        ("os.kill(os.getpid(), 11)", 128 + 11),
        ("1 / 0", 1),
        ("os.closerange(0, 100)", 0),
        ("import threading; threading.Timer(0.1, os._exit, [9]).start()", 9),
    ],
)
def test_exit_codes(tmp_path, text, code):
    with host(tmp_path) as (_, connection):
        assert ask(connection, 1, text)[0] == code
        assert ask(connection, 2, "print('next')")[1].endswith("next\n")


def test_what_is_too_much_for_a_packet_stays_in_the_folder(tmp_path):
    with host(tmp_path) as (_, connection):
        assert ask(connection, 1, "open('../output/a/b', 'wb').write(bytes(100_000))")[2] is None
        assert ask(connection, 2, "os.symlink('/etc/passwd', '../output/a/b')")[2] is None
        code, log, files = ask(connection, 3, r"os.write(1, b'\n' * 30_000)")
        assert (code, log, files) == (0, None, None)
        lines = (tmp_path / "3" / "log").read_bytes().splitlines()
        assert len(lines) == 30_000


def send_last(connection, log):
    with log.open("ab") as file:
        rights = array.array("i", [file.fileno()])
        connection.sendmsg([b"last"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    connection.close()


@pytest.mark.parametrize("has_ended", [True, False])
def test_the_program_ends_as_its_last_step_does(tmp_path, has_ended):
    log = tmp_path / "log"
    with host(tmp_path) as (process, connection):
        pause = "" if has_ended else "import time; time.sleep(0.5); "
        connection.send(step(1, f"print('said'); {pause}sys.exit(5)"))
        if has_ended:  # the answer is on its way while the other side gives up waiting
            connection.recv(1, socket.MSG_PEEK)
        send_last(connection, log)
        assert process.wait(20) == 5
        assert log.read_text().split()[1:] == ["said"]


def test_it_ends_when_nobody_is_there_any_more(tmp_path):
    with host(tmp_path) as (process, connection):
        connection.send(step(1, "import time; time.sleep(1000)"))
        connection.close()
        assert process.wait(20) == 1


@pytest.mark.parametrize(
    "packet",
    [
        b"nonsense",
        b'{"code": 0, "log": "", "files": {"../../x": ""}}',
        b'{"code": 0, "log": "", "files": {"a/\\u0000": ""}}',
        b'{"code": 0, "log": "", "files": {"/x": ""}}',
        b'{"code": 700, "log": "", "files": {}}',
        b'{"code": 0, "log": 5, "files": {}}',
        b'{"code": 0}',
        b"{" * (1 << 17),
    ],
)
def test_a_sandbox_that_talks_nonsense_is_lost(tmp_path, packet):
    one = Host(ProcessRunner(tmp_path / "processes"), "one")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect(os.fspath(Path(one.ml) / "socket"))
        one.accept()
        client.send(packet)
        with pytest.raises(HostLostError):
            one.end()
    with pytest.raises(HostLostError):
        one.run({}, ("c", {}))
    one.discard()
    assert not list((tmp_path / "processes").glob("[a-z]*"))


def test_what_is_mounted_below_a_shared_place_is_let_be(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("kept")
    inside = "/tmp/user/mounted"
    program = (
        "import os, sys; from step_host import remove; "
        "os.makedirs('/tmp/left/deep'); open('/tmp/left/deep/file', 'w').close(); "
        "remove('/tmp'); print(os.listdir('/tmp'))"
    )
    root = ["--ro-bind", "/", "/", "--dev", "/dev", "--tmpfs", "/tmp", "--bind", str(tmp_path)]
    binary = next(str(one.binary) for one in rungs(root=os.geteuid() == 0) if one.binary)
    argv = [binary, *root, inside, "--setenv", "PYTHONPATH", str(CONTAINERS)]
    done = subprocess.run(
        [*argv, sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "['user']\n"
    assert (tmp_path / "kept" / "file").read_text() == "kept"
