"""The page on where rows come from and go works as it says."""

from __future__ import annotations

import os

import pytest
from tests.docs.test_docs import clary, ran, shown
from tests.docs.test_flow_pages import commands

from clary.config import Config
from clary.kernel.clock import now
from clary.kernel.resource import Bucket
from clary.platform import open_platform

pytest.importorskip("deltalake")
PAGE = "docs/how-to/read-and-write-rows.md"


def test_the_page_works_as_it_says(tmp_path):
    home = tmp_path / "home"
    platform = open_platform(Config(home=home))
    account, region = platform.governance.owner.account, platform.config.region
    platform.objects.create_bucket(Bucket("shop", account, region, now()))
    done = ran("\n".join(shown(PAGE)), home, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "['order', 'customer_0', 'amount', 'customer_1', 'city']",
        "2",
        "s3://shop/orders.csv 3",
        "rome.parquet 2",
        "[3, 2]",
    ]
    environment = {**os.environ, "CLARY_HOME": str(home)}
    assert len(commands(PAGE)) == 3
    for words in commands(PAGE):
        done = clary(*words, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
    written = b"".join(platform.objects.read("shop", "again.csv")).decode()
    assert written.splitlines()[0] == "order,customer_0,amount,customer_1,city"
    refused = clary("flow", "run", "rome.flow.json", cwd=tmp_path, env=environment)
    assert "s3://shop/orders.csv lies where" in refused.stderr
