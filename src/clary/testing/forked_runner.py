"""A runner that only forks, for suites that must hold for forked processes, too."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clary.adapters.process import ProcessRunner
from clary.testing.job_runner import LONG_S

if TYPE_CHECKING:
    from pathlib import Path

    from clary.jobs.ports import ProcessSpec

_MARK = "wsgiref"
"""A module that no test imports: loaded only where it was preloaded."""
_FORKED = f"import sys; assert {_MARK!r} in sys.modules\n"
_EXECUTE = f"""{_FORKED}
import os, signal
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
try:
    os.execvp(sys.argv[1], sys.argv[1:])
except OSError as error:
    sys.exit(f"{{sys.argv[1]}}: {{error}}")
"""


class ForkedRunner:
    """A ``ProcessRunner`` that forks whatever it is given from a fork server of its own.

    What is no Python is executed by what is forked. A process that was not forked fails, but for
    those that no fork server takes: with variables for the linker, or folders below ``/tmp``.
    """

    def __init__(self, root: Path) -> None:
        self._runner = ProcessRunner(root, fork_servers=root / ".forkservers", idle_s=30)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def start(self, spec: ProcessSpec) -> None:
        """Start it as soon as it would be forked."""
        if spec.readable or "LD_LIBRARY_PATH" in spec.environment:
            self._runner.start(spec)
            return
        spec = forked(spec)
        deadline = time.monotonic() + LONG_S
        while not self._runner.warm(spec):
            assert time.monotonic() < deadline, "the fork server does not listen"
            time.sleep(0.01)
        self._runner.start(spec)


def forked(spec: ProcessSpec) -> ProcessSpec:
    """Describe the same process so that it is forked, or fails."""
    argv = [sys.executable, "-c", _EXECUTE, *spec.argv]
    if list(spec.argv[:3]) == [sys.executable, "-I", "-c"]:
        argv = [sys.executable, "-c", f"{_FORKED}{spec.argv[3]}", *spec.argv[4:]]
    return replace(spec, argv=argv, preload=(_MARK,))
