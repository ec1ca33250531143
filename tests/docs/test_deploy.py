"""The programs of the page on deploying run as they stand."""

from __future__ import annotations

import sys

import pytest
from tests.docs.test_docs import SDK, clary, shown

PAGE = "docs/how-to/deploy-a-model.md"


@pytest.mark.skipif(not SDK.exists(), reason="`make test` builds the SDK's environment")
def test_the_pages_notebook_deploys(tmp_path):
    (tmp_path / "deploy.py").write_text(shown(PAGE)[0])
    done = clary("run", "--home", tmp_path / "home", "--", SDK, "deploy.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "b'[2.0, 4.0, 6.0]'" in done.stdout


def test_the_pages_boto3_program_deploys(tmp_path):
    (tmp_path / "deploy.py").write_text("\n".join(shown(PAGE)[1:]))
    home = tmp_path / "home"
    done = clary("run", "--home", home, "--", sys.executable, "deploy.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
