from functools import partial

import pytest

from clary.adapters.file_facts import FactsFiles
from clary.adapters.files import FileObjects
from clary.testing.object_store import ObjectStoreContract


class TestFiles(ObjectStoreContract):
    @pytest.fixture
    def opener(self, tmp_path):
        return partial(FileObjects, tmp_path / "buckets")


class TestFilesWithoutAttributes(ObjectStoreContract):
    @pytest.fixture
    def opener(self, tmp_path):
        return partial(FileObjects, tmp_path / "buckets", facts=FactsFiles)
