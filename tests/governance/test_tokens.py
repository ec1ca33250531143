from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.governance.model import CredentialsExpired
from clary.governance.tokens import Claims, mint, verify
from clary.kernel.errors import Forbidden

SECRET = b"s" * 32
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
CLAIMS = Claims("123456789012", "ClaryRole", "job-1", int(NOON.timestamp()), "n")


@given(st.from_regex(r"[0-9]{12}", fullmatch=True), st.text(max_size=64), st.text(max_size=64))
def test_a_token_says_what_it_was_minted_for(account, role, session):
    claims = Claims(account, role, session, int(NOON.timestamp()), "n")
    keys = mint(SECRET, claims)
    identity = verify(SECRET, keys.access_key_id, keys.session_token, NOON - timedelta(seconds=1))
    assert (identity.account, identity.role, identity.session) == (account, role, session)
    assert identity.secret_key == keys.secret_key
    assert not identity.is_owner
    assert keys == mint(SECRET, claims)


def test_it_ends_on_the_second():
    keys = mint(SECRET, CLAIMS)
    assert keys.expires_at == NOON
    with pytest.raises(CredentialsExpired, match="2030-01-01T12:00:00Z"):
        verify(SECRET, keys.access_key_id, keys.session_token, NOON)


@given(st.data())
def test_no_other_token_passes(data):
    keys = mint(SECRET, CLAIMS)
    token = keys.session_token
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters())
    forged = token[:at] + letter + token[at + 1 :]
    try:
        identity = verify(SECRET, keys.access_key_id, forged, NOON - timedelta(hours=1))
    except Forbidden:
        return
    # base64 ignores the last bits of its last letter: the same bytes, so the same identity
    assert identity == verify(SECRET, keys.access_key_id, token, NOON - timedelta(hours=1))


@given(st.text(max_size=3000))
def test_noise_is_refused(token):
    with pytest.raises(Forbidden):
        verify(SECRET, "ASIAAAAAAAAAAAAAAAAA", token, NOON)


def test_the_key_and_the_secret_must_fit():
    keys = mint(SECRET, CLAIMS)
    for secret, key in ((SECRET, "ASIAAAAAAAAAAAAAAAAA"), (b"t" * 32, keys.access_key_id)):
        with pytest.raises(Forbidden):
            verify(secret, key, keys.session_token, NOON - timedelta(hours=1))


def test_the_secret_parts_are_not_shown():
    keys = mint(SECRET, CLAIMS)
    assert keys.secret_key not in repr(keys)
    assert keys.session_token not in repr(keys)
