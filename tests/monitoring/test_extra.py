"""Without the extra, monitoring says in a sentence what to install."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys

hidden = sys.argv[1]


class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=hidden)


sys.meta_path.insert(0, Hide())
import clary

try:
    clary.monitoring.baseline("x.csv")
except clary.NotSupported as error:
    print(error)
"""


@pytest.mark.parametrize("package", ["duckdb", "scipy"])
def test_what_is_not_installed_is_named(package):
    asked = [sys.executable, "-c", PROGRAM, package]
    said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout
    expected = f'clary.monitoring needs the package {package}: pip install "clary[monitoring]"\n'
    assert said == expected
