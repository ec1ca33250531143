from __future__ import annotations

import threading

import pytest

from clary.governance.model import Role
from clary.governance.roles import Roles
from clary.kernel.clock import now
from clary.kernel.errors import (
    AlreadyExists,
    Conflict,
    InvalidInput,
    LimitExceeded,
    NotFound,
)

ACCOUNT = "123456789012"
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


@pytest.fixture
def roles(store):
    return Roles(store)


def make(roles, name, **members):
    given = {"account": ACCOUNT, "created_at": now(), "trust_policy": POLICY, **members}
    return roles.create(Role(name=name, **given), actor="ada", tags={"team": "sea"})


def test_every_account_has_the_default_role(roles):
    for account in (ACCOUNT, "210987654321"):
        role = roles.get(roles.ref(account, "ClaryRole"))
        assert role.arn == f"arn:aws:iam::{account}:role/ClaryRole"
        assert [item.name for item in roles.list(account)[0]] == ["ClaryRole"]
        with pytest.raises(Conflict):
            roles.delete(role.ref, actor="ada")
        with pytest.raises(AlreadyExists):
            make(roles, "ClaryRole", account=account)


def test_made_read_changed_removed(roles, store):
    role = make(roles, "Trainer", path="/team/", description="trains")
    ref = roles.ref(ACCOUNT, "team/Trainer")
    assert roles.get(ref) == role
    assert role.arn == f"arn:aws:iam::{ACCOUNT}:role/team/Trainer"
    assert roles.tags(ref) == {"team": "sea"}
    with pytest.raises(AlreadyExists):
        make(roles, "Trainer")
    roles.update(ref, actor="ada", description="", max_session_s=7200)
    roles.set_trust_policy(ref, POLICY.replace("Allow", "Deny"), actor="ada")
    changed = roles.get(ref)
    assert (changed.description, changed.max_session_s) == ("", 7200)
    assert "Deny" in changed.trust_policy
    roles.delete(ref, actor="bob")
    with pytest.raises(NotFound):
        roles.get(ref)
    journal = [(event.actor, event.action) for event in store.events(ref=ref)]
    assert journal == [
        ("ada", "role.created"),
        ("ada", "role.updated"),
        ("ada", "role.updated"),
        ("bob", "role.deleted"),
    ]


def test_policies_hang_on_a_role_until_they_are_taken_off(roles, store):
    ref = make(roles, "Trainer").ref
    roles.put_policy(ref, "own", POLICY, actor="ada")
    roles.attach(ref, "arn:aws:iam::aws:policy/A", actor="ada")
    before = len(store.events(ref=ref))
    roles.attach(ref, "arn:aws:iam::aws:policy/A", actor="ada")
    assert len(store.events(ref=ref)) == before
    with pytest.raises(Conflict, match="still has policies"):
        roles.delete(ref, actor="ada")
    roles.delete_policy(ref, "own", actor="ada")
    roles.detach(ref, "arn:aws:iam::aws:policy/A", actor="ada")
    with pytest.raises(NotFound):
        roles.detach(ref, "arn:aws:iam::aws:policy/A", actor="ada")
    with pytest.raises(NotFound):
        roles.delete_policy(ref, "own", actor="ada")
    roles.delete(ref, actor="ada")


def test_policies_are_bounded(roles):
    ref = make(roles, "Trainer").ref
    for number in range(20):
        roles.attach(ref, f"arn:aws:iam::aws:policy/P{number}", actor="ada")
    with pytest.raises(LimitExceeded):
        roles.attach(ref, "arn:aws:iam::aws:policy/P20", actor="ada")
    roles.put_policy(ref, "big", POLICY + " " * 10_000, actor="ada")
    with pytest.raises(LimitExceeded):
        roles.put_policy(ref, "more", POLICY + " " * 1000, actor="ada")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"Statement": []}', "[" * 5000])
def test_a_policy_has_statements(roles, text):
    ref = make(roles, "Trainer").ref
    with pytest.raises(InvalidInput, match="PolicyDocument"):
        roles.put_policy(ref, "p", text, actor="ada")


def test_changes_at_once_are_all_kept(roles):
    ref = make(roles, "Trainer").ref
    threads = [
        threading.Thread(
            target=roles.attach, args=(ref, f"arn:aws:iam::aws:policy/P{n}"), kwargs={"actor": "a"}
        )
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(roles.get(ref).attached) == 8


def test_lists_in_pages_and_by_path(roles):
    for number in range(5):
        make(roles, f"R{number}", path="/odd/" if number % 2 else "/")
    names, token = [], ""
    while True:
        page, token = roles.list(ACCOUNT, limit=2, token=token)
        names += [role.name for role in page]
        if not token:
            break
    assert names == ["ClaryRole", "R0", "R1", "R2", "R3", "R4"]
    assert [role.name for role in roles.list(ACCOUNT, path_prefix="/odd/")[0]] == ["R1", "R3"]
