"""Zips of code."""

import io
import stat
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.functions import packages
from clary.kernel.errors import ClaryError, InvalidInput, LimitExceeded


def package(*entries):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries:
            made.writestr(name, content)
    return data.getvalue()


def test_files_and_folders_are_unpacked(tmp_path):
    data = package(("app.py", "a"), ("lib/", ""), ("lib/deep/b.py", "b"), ("lib/../c.py", "c"))
    packages.check(data)
    packages.unpack(data, tmp_path)
    assert (tmp_path / "lib/deep/b.py").read_text() == "b"
    assert (tmp_path / "c.py").read_text() == "c"


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "a\\..\\b", ".."])
def test_what_leads_outside_is_refused(name):
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        packages.check(package((name, "x")))


def test_links_are_refused():
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        packages.check(package((link, "/etc/passwd")))


def test_what_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "LARGEST_UNPACKED", 1000)
    with pytest.raises(LimitExceeded, match="unpacks to 1001 bytes"):
        packages.check(package(("a", b"0" * 1001)))
    honest = package(("a", b"0" * 100_000))
    lie = honest.replace(struct.pack("<I", 100_000), struct.pack("<I", 10))
    packages.check(lie)
    with pytest.raises((LimitExceeded, InvalidInput)):
        packages.unpack(lie, tmp_path)
    assert (tmp_path / "a").stat().st_size <= 1000


@given(data=st.binary(max_size=200) | st.binary(max_size=50).map(lambda x: package(("a", x))[:-3]))
def test_garbage_is_refused(data):
    with pytest.raises(ClaryError):
        packages.check(data)
