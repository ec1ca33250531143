from functools import partial

import pytest

from clary.adapters.logfiles import LogFiles
from clary.testing.log_store import LogStoreContract


class TestFiles(LogStoreContract):
    @pytest.fixture
    def opener(self, tmp_path):
        return partial(LogFiles, tmp_path / "logs")
