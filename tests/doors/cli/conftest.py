from __future__ import annotations

import sys
from dataclasses import dataclass

import msgspec
import pytest

from clary.doors.cli.main import run


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return msgspec.json.decode(self.out)


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("CLARY_HOME", "CLARY_DEBUG", "AWS_PROFILE", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLARY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def clary(home, monkeypatch, capfd):
    """Run ``clary`` with these arguments in this process."""

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["clary", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            run()
        out, err = capfd.readouterr()
        return Said(ended.value.code or 0, out, err)

    return call
