from __future__ import annotations

import pytest

from clary.governance.environment import CLIENT_DIR
from clary.governance.service import Governance
from clary.kernel.errors import Forbidden, InvalidInput
from clary.kernel.names import Ref

OTHER = "210987654321"


def test_the_homes_own_key_is_a_session_of_the_default_role(governance):
    keys = governance.owner_credentials()
    owner = governance.authenticate(keys.access_key_id)
    assert owner.is_owner
    assert owner.secret_key == keys.secret_key
    assert owner.principal_arn == "arn:aws:sts::123456789012:assumed-role/ClaryRole/owner"
    assert owner.user_id.startswith("AROA")
    assert owner.user_id.endswith(":owner")
    assert owner.secret_key not in repr(owner)


@pytest.mark.parametrize("key", ["", "AKIAAAAAAAAAAAAAAAAA", "\udcff" * 3, "x" * 100_000])
def test_a_key_of_somebody_else_is_refused(governance, key):
    with pytest.raises(Forbidden) as caught:
        governance.authenticate(key)
    assert len(caught.value.message) < 1000


def test_keys_of_a_role_outlive_the_process(governance, store, tmp_path):
    role = governance.roles.ref("123456789012", "ClaryRole")
    identity, keys = governance.assume_role(governance.owner, role, "ada")
    again = Governance(store, tmp_path).authenticate(keys.access_key_id, keys.session_token)
    assert again == identity
    assert again.name == "ClaryRole/ada"
    assert [event.action for event in store.events(ref=role)] == ["role.created", "role.assumed"]


def test_the_owner_reaches_other_accounts_and_nobody_else_does(governance):
    theirs = governance.roles.ref(OTHER, "ClaryRole")
    guest, _ = governance.assume_role(governance.owner, theirs, "guest")
    assert guest.account == OTHER
    ours = governance.roles.ref("123456789012", "ClaryRole")
    with pytest.raises(Forbidden, match="ClaryRole/guest may not assume role ClaryRole"):
        governance.assume_role(guest, ours, "back")


def test_an_absent_role_cannot_be_assumed(governance):
    role = governance.roles.ref("123456789012", "Nobody")
    with pytest.raises(Forbidden, match="role Nobody"):
        governance.assume_role(governance.owner, role, "ada")


@pytest.mark.parametrize(
    ("session", "duration_s", "field"),
    [
        ("a", 3600, "RoleSessionName"),
        ("a b", 3600, "RoleSessionName"),
        ("a" * 65, 3600, "RoleSessionName"),
        ("ada", 899, "DurationSeconds"),
        ("ada", 43_201, "DurationSeconds"),
    ],
)
def test_bad_requests_name_the_member(governance, session, duration_s, field):
    role = governance.roles.ref("123456789012", "ClaryRole")
    with pytest.raises(InvalidInput) as caught:
        governance.assume_role(governance.owner, role, session, duration_s=duration_s)
    assert caught.value.field == field


def test_a_session_token_speaks_for_its_caller(governance):
    keys = governance.session_token(governance.owner, duration_s=900)
    identity = governance.authenticate(keys.access_key_id, keys.session_token)
    assert identity.name == governance.owner.name
    assert not identity.is_owner
    assert governance.session_token(governance.owner).access_key_id != keys.access_key_id
    with pytest.raises(InvalidInput, match="900 to 129600"):
        governance.session_token(governance.owner, duration_s=1)


def test_short_lived_keys_do_not_outlive_themselves(governance):
    role = governance.roles.ref("123456789012", "ClaryRole")
    guest, _ = governance.assume_role(governance.owner, role, "ada", duration_s=43_200)
    with pytest.raises(Forbidden, match="may not renew"):
        governance.session_token(guest)
    governance.assume_role(guest, role, "chained")
    with pytest.raises(InvalidInput, match="900 to 3600"):
        governance.assume_role(guest, role, "chained", duration_s=3601)


def test_a_job_acts_in_its_role_and_never_reaches_aws(governance):
    job = Ref("123456789012", "eu-west-1", "processing-job", "pipelines-abc-Prepare-1")
    around = governance.job_environment(job, "team/Trainer")
    identity = governance.authenticate(around["AWS_ACCESS_KEY_ID"], around["AWS_SESSION_TOKEN"])
    assert identity.name == "Trainer/pipelines-abc-Prepare-1"
    assert around["AWS_SECRET_ACCESS_KEY"] == identity.secret_key
    assert around["AWS_DEFAULT_REGION"] == around["AWS_REGION"] == "eu-west-1"
    assert around["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert around["PYTHONPATH"] == str(CLIENT_DIR)
