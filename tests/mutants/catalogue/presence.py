"""Mutants of chapter 7: who is there, who is writing."""

from __future__ import annotations

from quicchat.server.adapters.roster import LocalRoster
from quicchat.server.adapters.store_memory.rooms import MemoryRooms
from quicchat.server.feed import Feed
from quicchat.server.services import presence
from quicchat.server.services.messages import Messages
from quicchat.server.services.presence import PresenceService
from quicchat.server.session import Session
from quicchat.wire import codec
from tests.mutants.mutant import mutant, swap
from tests.mutants.source import edit, faulty

faulty(
    "7.1-1/status-lost",
    "What somebody says of himself is not passed on.",
    *(PresenceService, "set"),
    ("pdu.show, pdu.status,", "pdu.show, None,"),
)


@mutant("7.1-1/remembered", "7.1-1/forgotten-with-the-last-session")
def remembered() -> None:
    """What somebody said of himself outlives his last session."""
    edit(LocalRoster, "depart", ("self._standing.pop(user, None)", "pass"))
    edit(
        LocalRoster,
        "arrive",
        ("= Standing(show", "= replace(self._standing.get(actor.name, Standing()), show"),
    )


faulty(
    "7.1-1/not-told",
    "Who sets his presence is not told of to others.",
    *(PresenceService, "set"),
    ("[*effects, self._changed(actor, audible)]", "effects"),
)
faulty(
    "7.1-2/counts-as-online",
    "A message to somebody who holds is acknowledged as if he were online.",
    *(Messages, "_ack"),
    ("self._roster.present(user)", "user == PARROT or self._roster.sessions(user)"),
)
faulty(
    "7.1-2/sent-all-the-same",
    "Who holds is sent all events.",
    *(PresenceService, "set"),
    ("effects.append(Hold(pdu.hold))", "pass"),
)
faulty(
    "7.1-2/no-heads",
    "Who held is not told where the rooms stand.",
    *(Feed, "recover"),
    ("return behind", "return {}"),
)
faulty(
    "7.1-2/shown-as-before",
    "Who holds is shown as before.",
    *(LocalRoster, "standing"),
    ("if self.present(user)", "if self.sessions(user)"),
)
faulty(
    "7.2-1/with-any-session",
    "Somebody goes with any of his sessions.",
    *(LocalRoster, "depart"),
    ("user is not None and not self.sessions(user)", "user is not None"),
    kills="7.2-1/coming-and-going",
)
faulty(
    "7.2-1/without-a-reason",
    "The reason why somebody goes is not told.",
    *(PresenceService, "departed"),
    (", pdu.reason)]", ")]"),
    kills="7.2-1/coming-and-going",
)
faulty(
    "7.2-1/of-himself",
    "A session is told that it came.",
    *(PresenceService, "_changed"),
    (", but=actor.session)", ")"),
    kills="7.2-1/coming-and-going",
)
faulty(
    "7.2-1/comes-unheard",
    "Nobody is told that somebody came.",
    *(PresenceService, "arrived"),
    ("is not before", "is not self._roster.standing(actor.name).show"),
    kills="7.2-1/coming-and-going 7.1-1/forgotten-with-the-last-session",
)
faulty(
    "7.2-1/goes-unheard",
    "Nobody is told that somebody went.",
    *(PresenceService, "departed"),
    ("is before", "is not None"),
    kills="7.2-1/coming-and-going 7.1-1/forgotten-with-the-last-session",
)
faulty(
    "7.2-1/goes-twice",
    "Who was shown as offline is told to go once more.",
    *(PresenceService, "departed"),
    ("is before", "is None"),
    kills="7.2-1/who-went-before",
)
faulty(
    "7.2-1/by-direct-messages",
    "Those who share direct messages hear of each other, those in general do not.",
    *(MemoryRooms, "audible"),
    (
        'len(room.seats) <= PRESENCE_ROOM and not name.startswith("@")',
        "len(room.seats) <= PRESENCE_ROOM and not is_standing(name)",
    ),
    kills="7.2-1/those-who-share-no-room",
)
faulty(
    "7.2-3/never-gone",
    "Who goes without a BYE is there for ever.",
    *(Session, "_lost"),
    ("self._happened(", "if self._parting is not None:\n        self._happened("),
)
faulty(
    "7.3-1/himself-left-out",
    "The snapshot lacks the user himself.",
    *(PresenceService, "_snapshot"),
    ("sorted(urgent[:_ROWS])", "sorted({*urgent[:_ROWS]} - {actor.name})"),
    kills="7.3-1/a-snapshot",
)
faulty(
    "7.3-1/himself-alone",
    "The snapshot has nobody but the user himself.",
    *(PresenceService, "_snapshot"),
    (", **await self._rooms.neighbours(actor.name)}", "}"),
    kills="7.3-1/a-snapshot",
)
faulty(
    "7.3-1/only-who-is-here",
    "The snapshot lacks those who are away.",
    *(PresenceService, "_snapshot"),
    ("sorted(urgent[:_ROWS])", "sorted(user for user in urgent[:_ROWS] if self._roster.present(user))"),
    kills="7.3-1/those-who-are-away",
)
faulty(
    "7.3-1/last-seen-never",
    "It is not said when somebody was last seen.",
    *(PresenceService, "_standing"),
    ("standing.since or seen", "standing.since"),
    kills="7.3-1/those-who-are-away",
)


@mutant("7.3-2/told-to-version-1")
def told_to_version_1() -> None:
    """Clients of version 1 are sent PRESENCE."""
    edit(PresenceService, "_changed", (", but=actor", ", older=told, but=actor"))
    edit(codec, "_pack", ("if not plan.exists", 'if not plan.exists and plan.name != "PRESENCE"'))


@mutant("7.3-2/newer-fields")
def newer_fields() -> None:
    """Clients of version 1 are sent standings in the snapshot."""
    edit(codec, "_plan", ("if field.since <= version]", 'if field.since <= version or field.name == "standings"]'))
    codec._PLANS.clear()


faulty(
    "7.3-3/fewer-standings",
    "There are standings of those only who are here.",
    *(PresenceService, "_snapshot"),
    ("seen[user]) for user in users)", "seen[user]) for user in users if self._roster.present(user))"),
)
faulty(
    "7.3-3/all-are-available",
    "Whoever is away stands as available.",
    *(PresenceService, "_standing"),
    ("return standing.show", "return Show.ONLINE"),
)
faulty(
    "7.4-1/whoever-he-says",
    "TYPING is passed on with the user that the client names.",
    *(PresenceService, "typing"),
    ("user=actor.name", "user=pdu.user or actor.name"),
)
faulty(
    "7.4-1/to-himself",
    "TYPING is sent back to who said it.",
    *(PresenceService, "typing"),
    (", but=actor.session", ""),
)
faulty(
    "7.4-1/for-how-long",
    "TYPING is passed on for ten seconds, whatever it says.",
    *(PresenceService, "typing"),
    ("ttl=pdu.ttl", "ttl=10_000"),
)
faulty(
    "7.4-2/from-anywhere",
    "TYPING of somebody who is not in a room is passed on.",
    *(PresenceService, "_voice"),
    ("heard = False", "heard = True"),
)


@mutant("7.4-3/as-often-as-it-comes")
def as_often() -> None:
    """All TYPING is passed on, as often as it comes."""
    swap(presence, "_TYPING_EVERY", lambda _: 0)


faulty(
    "7.4-3/stops-again",
    "Who stops to type is told of as often as he says so.",
    *(PresenceService, "typing"),
    ("not voice.typing if stops", "False if stops"),
)
faulty(
    "7.4-4/every-tick",
    "Every TICK is passed on.",
    *(PresenceService, "tick"),
    ("now < self._ticked.get", "False and now < self._ticked.get"),
)
faulty(
    "7.4-4/whoever-he-says",
    "TICK is passed on with the user that the client names.",
    *(PresenceService, "tick"),
    ("Tick(user=actor.name", "Tick(user=pdu.user or actor.name"),
)
