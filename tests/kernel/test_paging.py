import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.kernel.errors import InvalidInput
from clary.kernel.paging import decode_token, encode_token

POSITIONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(), st.lists
)


@given(POSITIONS)
def test_a_position_survives_as_a_token(position):
    assert decode_token(encode_token(position)) == position


@given(st.text() | st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_any_text_is_a_token_or_refused(text):
    with contextlib.suppress(InvalidInput):
        position = decode_token(text)
        assert decode_token(encode_token(position)) == position


def test_deep_nesting_is_refused():
    with pytest.raises(InvalidInput, match="Marker"):
        decode_token(base64.urlsafe_b64encode(b"[" * 100_000).decode(), field="Marker")
