"""The page on tuning works as it says."""

from __future__ import annotations

import json

import pytest
from tests.docs.test_docs import SDK, clary, shown


@pytest.mark.skipif(not SDK.exists(), reason="`make test` builds the SDK's environment")
def test_the_pages_tuning_job_runs(tmp_path):
    [program] = shown("docs/how-to/tune-hyperparameters.md")
    (tmp_path / "tune.py").write_text(program)
    home = tmp_path / "home"
    done = clary("run", "--home", home, "--", SDK, "tune.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(clary("tuning", "show", "first-tuning", "--home", home, "--json").stdout)
    assert len(rows) == 6
    assert rows[0]["value"] == min(row["value"] for row in rows)
    assert f"\n{rows[0]['training job']}\n" in done.stdout
