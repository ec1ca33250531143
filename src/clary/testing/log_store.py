"""What every ``LogStore`` promises; inherit the class and give it an ``opener``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from clary.jobs.ports import LogLine, LogStore

    Opener = Callable[[], LogStore]
    Record = tuple[int, str]

_START = datetime(2024, 1, 31, 23, 59, 59, tzinfo=UTC)
_GROUP = "/aws/sagemaker/TrainingJobs"
_PLACE = ("123456789012", "eu-west-1", _GROUP)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=12)
_RECORDS = st.lists(st.tuples(st.integers(0, 10**7), _TEXTS), max_size=12)
_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
_SHARED = settings(
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


def _raw(records: list[Record]) -> bytes:
    first = round(_START.timestamp() * 1000)
    return b"".join(f"{first + after} {text}\n".encode() for after, text in records)


def _write(store: LogStore, stream: str, data: bytes) -> None:
    with store.path(*_PLACE, stream).open("ab") as file:
        file.write(data)


class LogStoreContract:
    """The suite; each test gets a store of its own."""

    @pytest.fixture
    def opener(self) -> Opener:
        """Give what opens the same store again."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, opener: Opener) -> LogStore:
        return opener()

    def test_what_is_written_is_read(self, opener: Opener) -> None:
        records = [(0, "first"), (1, ""), (1, " two  words "), (2000, "é\U0001f600\r")]
        _write(opener(), "job/algo-1", _raw(records))
        page = opener().read(*_PLACE, "job/algo-1")
        assert [(line.at, line.text) for line in page.lines] == [
            (_START + timedelta(milliseconds=after), text) for after, text in records
        ]
        assert (page.start, page.end) == (0, len(_raw(records)))

    @_SHARED
    @given(records=_RECORDS, limit=st.integers(1, 5), number=st.integers())
    def test_pages_forwards_and_backwards_are_all_lines_once(
        self, store: LogStore, records: list[Record], limit: int, number: int
    ) -> None:
        stream = f"s{number}"
        store.path(*_PLACE, stream).unlink(missing_ok=True)
        _write(store, stream, _raw(records))
        texts = [text for _, text in records]
        ahead: list[LogLine] = []
        at = 0
        while (page := store.read(*_PLACE, stream, after=at, limit=limit)).lines:
            assert len(page.lines) <= limit
            assert page.start == at
            ahead += page.lines
            at = page.end
        behind: list[LogLine] = []
        before = None
        while (page := store.tail(*_PLACE, stream, limit, before=before)).lines:
            assert len(page.lines) <= limit
            behind = [*page.lines, *behind]
            before = page.start
        assert [line.text for line in ahead] == texts
        assert behind == ahead

    @_SHARED
    @given(records=_RECORDS, offset=st.integers(-5, 300))
    def test_any_offset_leads_to_whole_lines(
        self, store: LogStore, records: list[Record], offset: int
    ) -> None:
        store.path(*_PLACE, "any").unlink(missing_ok=True)
        _write(store, "any", _raw(records))
        known = {line.offset: line for line in store.read(*_PLACE, "any").lines}
        after = store.read(*_PLACE, "any", after=offset)
        assert list(after.lines) == [known[at] for at in sorted(known) if at >= offset]
        before = store.tail(*_PLACE, "any", 99, before=max(0, offset))
        ends = [*sorted(known)[1:], len(_raw(records))]
        whole = [at for at, end in zip(sorted(known), ends, strict=False) if end <= offset]
        assert list(before.lines) == [known[at] for at in whole]

    def test_a_line_still_being_written_is_not_read(self, store: LogStore) -> None:
        _write(store, "job", _raw([(0, "whole")]) + b"1706745600000 ha")
        first = store.read(*_PLACE, "job")
        assert [line.text for line in first.lines] == ["whole"]
        assert [line.text for line in store.tail(*_PLACE, "job", 9).lines] == ["whole"]
        assert store.read(*_PLACE, "job", after=first.end).lines == []
        _write(store, "job", b"lf\n")
        assert [line.text for line in store.read(*_PLACE, "job", after=first.end).lines] == ["half"]

    def test_strange_bytes_are_shown_not_refused(self, store: LogStore) -> None:
        _write(store, "job", b"no stamp\n99999999999999999 x\n1706745600000 \xff\xfe\n\n")
        texts = [line.text for line in store.read(*_PLACE, "job").lines]
        assert texts == ["no stamp", "99999999999999999 x", "\ufffd\ufffd", ""]

    def test_pages_are_bounded_in_bytes(self, store: LogStore) -> None:
        _write(store, "job", _raw([(n, "x" * 200_000) for n in range(30)]))
        page = store.read(*_PLACE, "job")
        assert 5 <= len(page.lines) <= 7
        assert 4 <= len(store.tail(*_PLACE, "job", 30).lines) <= 7

    def test_streams_are_listed_by_name_and_prefix(self, store: LogStore) -> None:
        assert store.streams(*_PLACE) == ()
        _write(store, "b/algo-1", _raw([(5, "x"), (9, "y")]))
        _write(store, "a/algo-2", b"")
        _write(store, "a/algo-1", _raw([(0, "z")]))
        assert [stream.name for stream in store.streams(*_PLACE)] == [
            "a/algo-1",
            "a/algo-2",
            "b/algo-1",
        ]
        (last,) = store.streams(*_PLACE, "b/")
        assert last.first_at == last.created_at == _START + timedelta(milliseconds=5)
        assert last.last_at == _START + timedelta(milliseconds=9)
        assert last.size_bytes == len(_raw([(5, "x"), (9, "y")]))
        assert store.streams(*_PLACE, "a/algo-2")[0].first_at is None
        assert store.streams("123456789012", "us-east-1", _GROUP) == ()

    @_SHARED
    @given(names=st.lists(_NAMES, unique=True, max_size=5))
    def test_names_keep_apart_and_come_back(self, store: LogStore, names: list[str]) -> None:
        for name in [*names, "..", "../x", ".", "a/../../b"]:
            path = store.path(*_PLACE, name)
            assert path.parent.is_dir()
            path.write_bytes(_raw([(0, name.replace("\n", " "))]))
        for name in names:
            (line,) = store.read(*_PLACE, name).lines
            assert line.text == name.replace("\n", " ")
        listed = {stream.name for stream in store.streams(*_PLACE)}
        assert listed >= {*names, "..", "../x", ".", "a/../../b"}

    def test_what_is_not_there_is_said(self, store: LogStore) -> None:
        for name in ("none", "x" * 5000):
            with pytest.raises(NotFound, match="log stream"):
                store.read(*_PLACE, name)
            with pytest.raises(NotFound, match="log stream"):
                store.tail(*_PLACE, name, 1)
        with pytest.raises(InvalidInput):
            store.path(*_PLACE, "x" * 5000)
