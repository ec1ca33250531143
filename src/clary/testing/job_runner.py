"""What every ``JobRunner`` promises; inherit the class and give it an ``opener``."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from clary.jobs.ports import ProcessSpec
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from clary.jobs.ports import JobRunner, ProcessStatus

    Opener = Callable[[], JobRunner]

LONG_S = 60.0
MIB = 1024 * 1024


def python(code: str) -> list[str]:
    """Return the command that runs ``code`` in the interpreter of the tests."""
    return [sys.executable, "-I", "-c", code]


def specify(
    runner: JobRunner, process_id: str, argv: Sequence[str], log: Path, **more: Any
) -> ProcessSpec:
    """Describe a process in its own workspace, with no variables but PATH."""
    return ProcessSpec(
        id=process_id,
        argv=argv,
        environment={"PATH": os.defpath, **more.pop("environment", {})},
        ml=runner.workspace(process_id),
        cwd="/opt/ml",
        log=log,
        **more,
    )


def texts(log: Path) -> list[str]:
    """Return a log's lines without their timestamps, which must be in order."""
    pairs = [line.split(b" ", 1) for line in log.read_bytes().split(b"\n")[:-1]]
    stamps = [int(stamp) for stamp, _ in pairs]
    assert stamps == sorted(stamps)
    return [text.decode() for _, text in pairs]


class JobRunnerContract:
    """Give a fixture ``opener``: every call returns a runner, all of the same processes."""

    @pytest.fixture
    def runner(self, opener: Opener) -> JobRunner:
        return opener()

    @pytest.fixture
    def run(
        self, runner: JobRunner, tmp_path: Path
    ) -> Callable[..., tuple[ProcessStatus, list[str], Path]]:
        def run(
            argv: Sequence[str], name: str = "one", **more: Any
        ) -> tuple[ProcessStatus, list[str], Path]:
            log = tmp_path / f"{name}.log"
            runner.start(specify(runner, name, argv, log, **more))
            status = runner.wait(name, LONG_S)
            assert status is not None
            assert status.state == "exited"
            return status, texts(log), runner.workspace(name)

        return run

    def test_workspace_is_found_again(self, runner: JobRunner) -> None:
        workspace = runner.workspace("one")
        assert list(workspace.iterdir()) == []
        (workspace / "input").touch()
        assert runner.workspace("one") == workspace
        assert runner.workspace("two") != workspace

    @pytest.mark.parametrize("name", ["", "..", "a/b", "/etc", ".hidden", "a" * 300, "a\0b", "a\n"])
    def test_a_name_that_is_no_file_name_is_refused(self, runner: JobRunner, name: str) -> None:
        for call in (runner.workspace, runner.status, runner.stop, runner.discard):
            with pytest.raises(InvalidInput):
                call(name)

    def test_unknown_processes(self, runner: JobRunner) -> None:
        assert runner.status("never") is None
        assert runner.wait("never", LONG_S) is None
        runner.stop("never")
        runner.discard("never")
        runner.workspace("prepared")
        assert runner.status("prepared") is None
        runner.discard("prepared")

    def test_runs_in_its_workspace(self, run: Any) -> None:
        code = "import os; print(os.getcwd()); print(open('in').read(), file=open('out', 'w'))"
        status, _, workspace = run(
            ["/bin/sh", "-c", f'echo input > in && exec "$0" -c "{code}"', sys.executable]
        )
        assert status.exit_code == 0
        assert status.ended_by == "itself"
        assert status.started_at <= status.ended_at
        assert (workspace / "out").read_text() == "input\n\n"

    def test_output_and_errors_are_logged_in_order(self, run: Any) -> None:
        script = "echo one; echo two >&2; echo; echo 'drei \u20ac'; printf 'no end'"
        _, lines, _ = run(["/bin/sh", "-c", script])
        assert lines == ["one", "two", "", "drei \u20ac", "no end"]

    def test_log_survives_hostile_output(self, run: Any) -> None:
        code = """
import os, sys
os.write(1, b"\\xff\\xfe ok\\n" + "\u20ac".encode() * 100_000 + b"\\n")
os.write(1, b"a" * 262_144 + b"\\n" + b"b" * 262_145 + b"\\n\\x00\\r\\n")
"""
        _, lines, _ = run(python(code))
        assert lines[0] == "\ufffd\ufffd ok"
        assert "".join(lines[1:3]) == "\u20ac" * 100_000
        assert [len(line) for line in lines[3:6]] == [262_144, 262_144, 1]
        assert lines[6:] == ["\0\r"]

    @pytest.mark.parametrize(
        ("script", "code"), [("exit 0", 0), ("exit 77", 77), ("kill -9 $$", 137), ("kill $$", 143)]
    )
    def test_exit_codes(self, run: Any, script: str, code: int) -> None:
        status, _, _ = run(["/bin/sh", "-c", script])
        assert (status.exit_code, status.ended_by) == (code, "itself")

    def test_a_missing_program_is_a_failure_that_says_so(self, run: Any) -> None:
        status, lines, _ = run(["/no/such/program"])
        assert status.exit_code
        assert "/no/such/program" in lines[-1] or "No such file" in lines[-1]

    def test_nothing_is_inherited(self, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SERVER_SECRET", "hush")
        code = "import os, sys; print(dict(os.environ)); print(repr(sys.stdin.read()))"
        _, lines, _ = run(python(code), environment={"SM_HPS": '{"a": "b c"}'})
        assert "hush" not in lines[0]
        assert "LD_PRELOAD" not in lines[0]
        assert '{"a": "b c"}' in lines[0]
        assert lines[1] == "''"

    def test_signals_are_as_a_program_expects_them(self, run: Any) -> None:
        code = (
            "import signal as s; print([s.getsignal(n).name for n in (s.SIGTERM, s.SIGHUP)], "
            "s.pthread_sigmask(s.SIG_BLOCK, []))"
        )
        _, lines, _ = run(python(code))
        assert lines == ["['SIG_DFL', 'SIG_DFL'] set()"]

    def test_starting_twice_starts_once(self, run: Any, runner: JobRunner, tmp_path: Path) -> None:
        command = ["/bin/sh", "-c", "echo x >> count"]
        first, _, workspace = run(command)
        runner.start(specify(runner, "one", command, tmp_path / "again.log"))
        assert runner.status("one") == first
        assert (workspace / "count").read_text() == "x\n"

    def test_racing_starters_start_it_once(self, opener: Opener, tmp_path: Path) -> None:
        runners = [opener() for _ in range(4)]
        spec = specify(
            runners[0], "raced", ["/bin/sh", "-c", "echo x >> count"], tmp_path / "raced.log"
        )
        threads = [threading.Thread(target=runner.start, args=(spec,)) for runner in runners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        status = runners[-1].wait("raced", LONG_S)
        assert status is not None
        assert status.exit_code == 0
        assert (spec.ml / "count").read_text() == "x\n"

    def test_wait_gives_up_on_a_running_process(self, opener: Opener, tmp_path: Path) -> None:
        runner = opener()
        runner.start(specify(runner, "long", ["/bin/sleep", "60"], tmp_path / "long.log"))
        for observer in (runner, opener()):
            waited = observer.wait("long", 0.05)
            assert waited is not None
            assert waited.state == "running"
            assert waited.started_at is not None
        runner.discard("long")

    def test_stop_lets_it_end_well(self, runner: JobRunner, tmp_path: Path) -> None:
        code = """
import os, signal, sys, time
def end(*_):
    os.write(1, b"saved\\n")  # print may be in the middle of "ready"
    sys.exit(4)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(60)
"""
        log = tmp_path / "kind.log"
        runner.start(specify(runner, "kind", python(code), log))
        until("ready", log)
        runner.stop("kind")
        runner.stop("kind")
        status = runner.wait("kind", LONG_S)
        assert status is not None
        assert (status.exit_code, status.ended_by) == (4, "stop")
        assert texts(log) == ["ready", "saved"]

    def test_stop_kills_what_ignores_it(self, opener: Opener, tmp_path: Path) -> None:
        runner, log = opener(), tmp_path / "deaf.log"
        script = "trap '' TERM; echo ready; while true; do sleep 60; done"
        runner.start(specify(runner, "deaf", ["/bin/sh", "-c", script], log))
        until("ready", log)
        opener().stop("deaf", grace_s=0.2)
        status = runner.wait("deaf", LONG_S)
        assert status is not None
        assert (status.exit_code, status.ended_by) == (137, "stop")

    def test_a_shorter_grace_overrides_a_longer_one(
        self, runner: JobRunner, tmp_path: Path
    ) -> None:
        log = tmp_path / "deaf.log"
        script = "trap '' TERM; echo ready; while true; do sleep 60; done"
        runner.start(specify(runner, "deaf", ["/bin/sh", "-c", script], log))
        until("ready", log)
        runner.stop("deaf", grace_s=3600)
        runner.stop("deaf", grace_s=0)
        status = runner.wait("deaf", LONG_S)
        assert status is not None
        assert status.ended_by == "stop"

    def test_stop_at_once_after_start(self, runner: JobRunner, tmp_path: Path) -> None:
        runner.start(specify(runner, "brief", ["/bin/sleep", "60"], tmp_path / "brief.log"))
        runner.stop("brief")
        status = runner.wait("brief", LONG_S)
        assert status is not None
        assert (status.exit_code, status.ended_by) == (143, "stop")

    def test_timeout(self, run: Any) -> None:
        status, _, _ = run(["/bin/sleep", "60"], timeout_s=0.2)
        assert (status.exit_code, status.ended_by) == (143, "timeout")

    def test_memory(self, run: Any) -> None:
        code = "held = [bytearray(16 << 20) for _ in range(160)]; print(len(held))"
        status, lines, _ = run(python(code), memory_bytes=256 * MIB)
        assert (status.exit_code, status.ended_by) == (137, "memory")
        assert "160" not in lines

    def test_failing_within_the_memory_limit_is_its_own_fault(self, run: Any) -> None:
        status, _, _ = run(["/bin/sh", "-c", "exit 137"], memory_bytes=256 * MIB)
        assert (status.exit_code, status.ended_by) == (137, "itself")

    def test_daemons_die_with_it(self, run: Any) -> None:
        code = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(3):
            os.close(number)
        while True:
            with open("alive", "w") as file:
                file.write(str(time.monotonic()))
            time.sleep(0.01)
    os._exit(0)
while not os.path.exists("alive"):
    time.sleep(0.01)
"""
        status, _, workspace = run(python(code))
        assert status.exit_code == 0
        last = (workspace / "alive").stat().st_mtime_ns
        run(["/bin/sleep", "0.1"], "two")
        assert (workspace / "alive").stat().st_mtime_ns == last

    def test_discard_kills_and_removes(self, opener: Opener, tmp_path: Path) -> None:
        runner = opener()
        script = "trap '' TERM; mkdir -p a/b && chmod 0 a; echo ready; sleep 60"
        log = tmp_path / "gone.log"
        runner.start(specify(runner, "gone", ["/bin/sh", "-c", script], log))
        workspace = runner.workspace("gone")
        until("ready", log)
        opener().discard("gone")
        assert not workspace.exists()
        assert runner.status("gone") is None
        runner.discard("gone")

    def test_names_of_hosts_resolve(self, run: Any) -> None:
        code = "import socket; print(socket.gethostname())"
        status, lines, _ = run(python(code), hostname="algo-2", peers=["algo-1", "algo-3"])
        assert status.exit_code == 0
        assert len(lines) == 1

    def test_report_is_for_people(self, runner: JobRunner) -> None:
        report = runner.report()
        assert {"sandbox", "network", "memory"} <= set(report)
        assert all(isinstance(text, str) and text for text in report.values())


def until(line: str, log: Path) -> None:
    """Wait until a log has a line."""
    deadline = time.monotonic() + LONG_S
    while not log.exists() or line not in texts(log):
        assert time.monotonic() < deadline, f"{log} never said {line!r}"
        time.sleep(0.01)
