from __future__ import annotations

import stat
import subprocess
import sys

import pytest

from clary.governance.keys import FILE, open_keys
from clary.kernel.errors import InvalidInput

FIRST_START = """
import sys
from pathlib import Path
from clary.governance.keys import open_keys
sys.stdin.readline()
print(open_keys(Path(sys.argv[1]), "123456789012").access_key_id)
"""


def test_made_once_and_for_the_owner_alone(tmp_path):
    home = tmp_path / "new" / "home"
    first = open_keys(home, "210987654321")
    assert stat.S_IMODE((home / FILE).stat().st_mode) == 0o600
    assert open_keys(home, "123456789012") == first
    assert first.account == "210987654321"
    assert first.access_key_id.startswith("AKIA")
    assert len(first.access_key_id) == 20
    assert len(first.secret_access_key) == 40
    assert [path.name for path in home.iterdir()] == [FILE]


def test_a_race_of_first_starts_makes_one_pair(tmp_path):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST_START, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = {racer.communicate(timeout=60)[0].strip() for racer in racers}
    assert said == {open_keys(tmp_path, "123456789012").access_key_id}


def test_the_secrets_are_not_shown(tmp_path):
    keys = open_keys(tmp_path, "123456789012")
    assert keys.secret_access_key not in repr(keys)
    assert keys.signing_secret not in repr(keys)


@pytest.mark.parametrize(
    "account", ["", "12345678901", "1234567890123", "12345678901x", "\u0661" * 12]
)
def test_an_account_has_12_digits(tmp_path, account):
    with pytest.raises(InvalidInput, match="12 digits"):
        open_keys(tmp_path, account)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[1]", b'{"account": 1}'])
def test_a_damaged_file_is_named_and_kept(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(InvalidInput, match=FILE):
        open_keys(tmp_path, "123456789012")
    assert (tmp_path / FILE).read_bytes() == content
