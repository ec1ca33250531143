import os

import pytest

from clary.adapters.process import ProcessRunner
from clary.testing.forked_runner import ForkedRunner
from clary.testing.job_runner import LONG_S, specify, texts


@pytest.fixture
def home(tmp_path):
    """A home as the platform has one: secrets of its own beside the processes."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "keys").write_text("secret of the platform")
    return home


@pytest.fixture(params=[ProcessRunner, ForkedRunner], ids=["executed", "forked"])
def runner(request, home):
    runner = request.param(home / "processes")
    report = runner.report()
    if "bubblewrap" not in report["sandbox"]:
        pytest.skip(f"this machine has no namespaces to test: {report}")
    if os.geteuid() == 0:
        assert "a user id per process" in report["sandbox"], report
    yield runner
    runner.cool()


@pytest.fixture
def run(runner, tmp_path):
    """Run a command to its end: (status, lines of its log, workspace)."""

    def run(argv, name="one", **more):
        log = tmp_path / f"{name}.log"
        runner.start(specify(runner, name, argv, log, **more))
        status = runner.wait(name, LONG_S)
        assert status is not None
        return status, texts(log), runner.workspace(name)

    return run
