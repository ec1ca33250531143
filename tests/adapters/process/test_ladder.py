"""The rungs below the best one: what each still promises."""

import os
import sys
from pathlib import Path

import pytest

from clary.adapters.process import ProcessRunner
from clary.adapters.process.sandbox import Rung, rungs
from clary.kernel.errors import NotSupported, Unavailable
from clary.testing.job_runner import LONG_S, python, specify, texts

PLAIN = Rung(None, own_uid=False)
BROKEN = Rung(Path("/bin/false"), own_uid=False)


def run(runner, argv, log, **more):
    runner.start(specify(runner, "one", argv, log, **more))
    return runner.wait("one", LONG_S), texts(log)


def test_what_does_not_work_is_passed_over_and_reported(tmp_path):
    runner = ProcessRunner(tmp_path / "processes", ladder=[BROKEN, PLAIN])
    report = runner.report()
    assert "plain processes" in report["sandbox"]
    assert any("/bin/false" in name for name in report if name.startswith("not used"))
    status, _ = run(runner, ["/bin/true"], tmp_path / "log")
    assert status.exit_code == 0


def test_nothing_runs_where_nothing_works(tmp_path):
    runner = ProcessRunner(tmp_path / "processes", ladder=[BROKEN])
    with pytest.raises(Unavailable, match="no way to run processes"):
        run(runner, ["/bin/true"], tmp_path / "log")
    assert runner.status("one") is None


def test_the_ladder_ends_with_a_plain_process():
    for root in (True, False):
        ladder = list(rungs(root=root))
        assert ladder[-1] == PLAIN
        assert ladder[0].own_uid == root


def test_every_sandbox_rung_of_this_machine_works(tmp_path):
    working = [rung for rung in rungs(root=os.geteuid() == 0) if rung.binary is not None]
    for number, rung in enumerate(working):
        runner = ProcessRunner(tmp_path / str(number), ladder=[rung])
        status, lines = run(runner, ["/usr/bin/id", "-u"], tmp_path / f"{number}.log")
        assert (status.exit_code, lines) == (0, ["1000"]), rung


def test_a_plain_process_finds_its_directory_by_variable(tmp_path):
    runner = ProcessRunner(tmp_path / "processes", ladder=[PLAIN])
    code = """
import os, sys
base = os.environ["SAGEMAKER_BASE_DIR"]
print(os.getcwd() == base, sys.argv[1] == base + "/input", os.environ["SM_MODEL_DIR"] == base,
      os.environ["NOTE"], os.path.exists("/opt/ml"))
"""
    _, lines = run(
        runner,
        [*python(code), "/opt/ml/input"],
        tmp_path / "log",
        environment={"SM_MODEL_DIR": "/opt/ml", "NOTE": "see /opt/ml and /opt/mlx"},
    )
    assert lines == ["True True True see /opt/ml and /opt/mlx False"]


def test_a_plain_process_cannot_gain_rights(tmp_path):
    runner = ProcessRunner(tmp_path / "processes", ladder=[PLAIN])
    _, lines = run(runner, ["/bin/grep", "NoNewPrivs", "/proc/self/status"], tmp_path / "log")
    assert lines == ["NoNewPrivs:\t1"]


def test_a_job_without_network_is_refused_where_there_are_no_namespaces(tmp_path):
    runner = ProcessRunner(tmp_path / "processes", ladder=[PLAIN])
    with pytest.raises(NotSupported, match="namespaces"):
        run(runner, [sys.executable, "-V"], tmp_path / "log", network=False)
    assert runner.status("one") is None
