"""The unmodified SDK's athena_query and create_dataset, exact in time."""

from __future__ import annotations

from pathlib import Path

SAID = """\
SQL [{'n': 5, 'top': 30.0}]
EXACT ['customer', 'moment', 'bought', 'income.1'] \
[('1', '1', '10.0'), ('1', '1', '11.0'), ('2', '0', '20.0')]
FILE True True True
KEPT [1, 1, 2, 2]
BEFORE 0
SINCE [('1', '1700000000.0', '10.0'), ('1', '1700000020.0', '11.0'), ('2', '1700000000.0', '20.0')]
"""


def test_offline_records_become_datasets(sdk, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the SDK downloads to where it runs
    done = sdk(Path(__file__).parent / "sdk" / "datasets.py")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("sagemaker.config")]
    assert lines == SAID.splitlines()
    assert " 500 " not in (home.path / "server.log").read_text()
