from functools import partial

import pytest

from clary.adapters.process import ProcessRunner
from clary.adapters.process.sandbox import Rung
from clary.testing.forked_runner import ForkedRunner
from clary.testing.job_runner import JobRunnerContract


class TestSandboxedProcesses(JobRunnerContract):
    @pytest.fixture
    def opener(self, tmp_path):
        return partial(ProcessRunner, tmp_path / "processes")


class TestForkedProcesses(JobRunnerContract):
    @pytest.fixture
    def opener(self, tmp_path):
        yield partial(ForkedRunner, tmp_path / "processes")
        ForkedRunner(tmp_path / "processes").cool()


class TestPlainProcesses(JobRunnerContract):
    @pytest.fixture
    def opener(self, tmp_path):
        ladder = [Rung(None, own_uid=False)]
        return partial(ProcessRunner, tmp_path / "processes", ladder=ladder)
