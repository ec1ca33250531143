"""The example of features runs as it stands, and its model knows what it was trained on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

from tests.docs.test_docs import ROOT, clary


def nodes(tree):
    yield tree
    for child in tree["children"]:
        yield from nodes(child)


def test_the_example_runs(tmp_path):
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/features/spending.py")],
        cwd=tmp_path,
        env={**os.environ, "CLARY_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "{'share': 0.02666666666666667, 'orders_30d': 3}" in done.stdout
    assert "0 differences in 2 cells" in done.stdout
    assert "model-package Churn" in done.stdout
    assert (
        "trained on feature-view spending/1"
        in clary("models", "show", "Churn", "--home", home).stderr
    )
    told = json.loads(clary("lineage", "Churn", "--home", home, "--json").stdout)
    roles = {one["ref"]["name"]: one["role"] for one in nodes(told) if one["role"]}
    assert re.fullmatch(r"table version \d+", roles["people"])
    assert re.fullmatch(r"table version \d+", roles["orders"])
    assert roles["spending"] == "view"
    used = json.loads(clary("features", "usage", "orders", "--home", home, "--json").stdout)
    assert {"feature-view", "training-set", "model-package"} <= {one["kind"] for one in used}
    assert next(one for one in used if one["kind"] == "feature-view")["features"] == ["amount"]
