"""The unmodified SDK's feature groups: made, filled from a frame, read, changed and deleted."""

from __future__ import annotations

from pathlib import Path

SAID = """\
MADE Created who buys
FAILED []
ONE {{'customer': '1', 'at': '{late}', 'income': '1.0', 'city': 'Turin', 'visits': ['1', '2']}}
LATE {{'income': '14.875', 'visits': ['119', '120']}} {{}}
REFUSED [1]
PUT {{'customer': '1', 'at': '{put}', 'city': 'Ulm'}}
DELETED {{}} {{}}
UPDATED {{'customer': '3', 'at': '{put}', 'segment': 'b'}} {{'Unit': 'Hours', 'Value': 9}}
SAID by value [{{'Key': 'owner', 'Value': 'ann'}}]
TAGS [{{'Key': 'team', 'Value': 'sales'}}]
BATCH [['b'], ['Łódź']] 1
FOUND ['customers'] customers
CREATE EXTERNAL TABLE IF NOT EXISTS sagemaker_featurestore.customers (
GONE
"""


def test_a_feature_groups_life(sdk, home):
    done = sdk(Path(__file__).parent / "sdk" / "features.py")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("sagemaker.config")]
    began = float(lines.pop(0).removeprefix("BEGAN "))
    assert lines == SAID.format(late=began + 60, put=began + 90).splitlines()
    assert " 500 " not in (home.path / "server.log").read_text()
