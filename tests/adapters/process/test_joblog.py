from hypothesis import given
from hypothesis import strategies as st

from clary.adapters.process import joblog

PIECES = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([b"\n", b"\r\n", "€".encode(), b"\xe2\x82", b"\xf0\x9f", "😀".encode()]),
)


class Kept(joblog.Log):
    """A log that is kept in memory; what it writes is the log's own doing."""

    def __init__(self, limit=10**9):
        self.data = b""
        super().__init__("/dev/null", limit)

    def _append(self, data):
        self.data += data

    def texts(self):
        return [line.split(b" ", 1)[1].decode() for line in self.data.split(b"\n")[:-1]]


@given(st.lists(PIECES, max_size=40))
def test_lines_do_not_depend_on_how_they_arrive(chunks):
    log = Kept()
    for chunk in chunks:
        log.feed(chunk)
    log.feed(b"", final=True)
    lines = b"".join(chunks).decode("utf-8", "replace").split("\n")
    assert log.texts() == (lines if lines[-1] else lines[:-1])


@given(st.integers(0, 9), st.sampled_from(["a", "é", "€", "😀"]))
def test_long_lines_are_cut_between_characters(extra, character):
    log = Kept()
    text = "x" * extra + character * (joblog.MAX_LINE // len(character.encode()) + 5)
    log.feed(text.encode() + b"\n")
    pieces = log.texts()
    assert "".join(pieces) == text
    assert len(pieces) == 2
    assert joblog.MAX_LINE - 4 < len(pieces[0].encode()) <= joblog.MAX_LINE


@given(st.integers(0, 300), st.lists(st.integers(0, 40), max_size=30))
def test_the_limit_holds_and_is_said_once(limit, sizes):
    log = Kept(limit)
    for size in sizes:
        log.feed(b"y" * size + b"\n")
    full = "clary: this log is full; what follows is not kept"
    lines = log.texts()
    whole = sum(15 + size for size in sizes)
    assert lines.count(full) == (whole > limit)
    kept = [line for line in lines if line != full]
    assert kept == ["y" * size for size in sizes[: len(kept)]]
    assert sum(15 + len(line) for line in kept) <= max(limit, 0)
