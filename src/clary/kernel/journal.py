"""Following the journal: what reacts to events reads them in order, each exactly once.

A follower's position is a resource of its own. The store makes that resource due shortly after a
commit that wrote a line, so that a burst of lines is read together and an idle home costs nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Resource

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from clary.kernel.ports import MetadataStore, Transaction
    from clary.kernel.resource import Event

FOLLOWER = "journal-follower"
"""The kind of the resources that hold positions."""
DELAY_S = 0.3
"""How long after a commit its lines are read, at the earliest."""
_BATCH = 200


class Follower(Protocol):
    """Changes resources when something has happened."""

    @property
    def name(self) -> str:
        """Its position is kept under this name."""

    def follow(self, events: Sequence[Event], transaction: Transaction) -> None:
        """React to the next lines, oldest first, in the transaction that moves its position.

        When it raises, the lines are given to it again. A home that has lines already gives a new
        follower all of them.
        """


class Sender(Protocol):
    """Tells the world outside when something has happened."""

    @property
    def name(self) -> str:
        """Its position is kept under this name."""

    def send(self, events: Sequence[Event]) -> None:
        """Send the next lines, oldest first, outside any transaction: at least once.

        When it raises, or the process dies, the lines are given to it again.
        """


class Journal:
    """Hands the journal's lines to followers and senders.

    Parameters
    ----------
    store
        Where the lines and the positions are.
    followers, senders
        Who reads; their names differ.
    """

    def __init__(
        self,
        store: MetadataStore,
        followers: Sequence[Follower] = (),
        senders: Sequence[Sender] = (),
    ) -> None:
        self._store = store
        self._followers = {follower.name: follower for follower in followers}
        self._senders = {sender.name: sender for sender in senders}

    @property
    def readers(self) -> int:
        """How many read at once."""
        return len(self._followers) + len(self._senders)

    def install(self) -> None:
        """Make the positions that are missing."""
        for name in (*self._followers, *self._senders):
            ref = Ref("", "", FOLLOWER, name)
            if self._store.get(ref) is None:
                with self._store.begin() as transaction:
                    if transaction.get(ref) is None:
                        moment = now()
                        transaction.insert(Resource(ref, {"after": 0}, moment, moment), due=True)

    def run(self, position: Resource, stopping: threading.Event) -> None:
        """Hand over every line behind a position; the worker's handler of ``FOLLOWER``."""
        follower = self._followers.get(position.ref.name)
        sender = self._senders.get(position.ref.name)
        if not (follower or sender):
            return  # another version of clary has it
        while events := self._store.events(after=position.body["after"], limit=_BATCH):
            if sender:
                sender.send(events)
            with self._store.begin() as transaction:
                position = transaction.update(replace(position, body={"after": events[-1].id}))
                if follower:
                    follower.follow(events, transaction)
            if len(events) < _BATCH and stopping.wait(DELAY_S):
                return
