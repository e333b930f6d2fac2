"""Mutants of sections 15.2 to 15.4 and 15.9: keys, who hears of them, backups."""

from __future__ import annotations

from quicchat.server.adapters.store_memory import keys as memory
from quicchat.server.adapters.store_memory.keys import MemoryKeys
from quicchat.server.adapters.store_memory.state import State
from quicchat.server.services import keys
from quicchat.server.services.keys import KeyService
from tests.mutants.mutant import mutant, swap
from tests.mutants.source import edit, faulty

# Publishing

faulty(
    "15.2-1/the-first-stays",
    "A device keeps the key that it published first.",
    *(MemoryKeys, "publish"),
    ("kept[key.device] = KeyOf(key,", "kept[key.device] = KeyOf(own.key if own else key,"),
    kills="15.2-1/a-list-and-the-keys-in-it",
)
faulty(
    "15.2-1/without-identity",
    "The identity of a user is not told.",
    *(memory, "told"),
    ("identity=signed.identity", 'identity=b""'),
    kills="15.2-1/a-list-and-the-keys-in-it",
)
faulty(
    "15.2-1/a-part-of-a-list",
    "What comes without its signature or identity is passed over.",
    *(keys, "_signed"),
    ('raise Refused(Code.SCHEMA, "A list comes with its signature and the identity.")', "return None"),
    kills="15.2-1/lists-that-are-none",
)
faulty(
    "15.2-1/any-version",
    "A list may be of any version.",
    *(keys, "_signed"),
    ("devices.version != _LIST or ", ""),
    kills="15.2-1/lists-that-are-none",
)
faulty(
    "15.2-1/serial-0",
    "A list may have the serial 0.",
    *(keys, "_signed"),
    ("not devices.serial or ", ""),
    kills="15.2-1/lists-that-are-none",
)
faulty(
    "15.2-1/twice",
    "A device may stand twice in a list.",
    *(keys, "_signed"),
    (" or len(set(fingerprints)) < len(fingerprints)", ""),
    kills="15.2-1/lists-that-are-none",
)
faulty(
    "15.2-2/of-anybody",
    "A list may be of another account.",
    *(keys, "_signed"),
    ("devices.account != user", "False"),
)
faulty(
    "15.2-3/as-high",
    "Another list may have the serial of the one before.",
    *(MemoryKeys, "publish"),
    ("signed.serial <= earlier.serial", "signed.serial < earlier.serial"),
)
faulty(
    "15.2-3/lower",
    "Another list may have a lower serial, but not the same.",
    *(MemoryKeys, "publish"),
    ("signed.serial <= earlier.serial", "signed.serial == earlier.serial"),
)
faulty(
    "15.2-3/never-again",
    "The list that is there already is refused.",
    *(MemoryKeys, "publish"),
    ("and signed != earlier", ""),
)
faulty(
    "15.2-4/waits-again",
    "A device that is left out of a list waits to be let in.",
    *(MemoryKeys, "publish"),
    ("(each.key.fingerprint in prints or not each.listed)", "True"),
)
faulty(
    "15.2-4/still-told",
    "The certificate of a device that is left out is told.",
    *(MemoryKeys, "publish"),
    ("now = signed or earlier", "now = earlier or signed"),
)
faulty(
    "15.2-4/as-they-came",
    "Certificates are told in the order in which they came.",
    *(memory, "told"),
    (
        "tuple(certificates[each] for each in signed.fingerprints if each in certificates)",
        "tuple(certificates.values())",
    ),
)


@mutant("15.2-5/as-many-as-he-likes", "15.2-5/more-than-may-wait")
def as_many() -> None:
    """As many devices of a user may wait as he likes."""
    swap(memory, "WAITING_EACH", lambda each: 100 * each)


@mutant("15.2-5/told-to-all", "15.2-5/a-device-that-waits")
def told_to_all() -> None:
    """Others are told which devices wait."""
    edit(
        KeyService,
        "get",
        ("all(each.user != actor.name for each in found)", "False"),
        ("waiting(actor.name", "waiting(asked[0][0]"),
    )


@mutant("15.2-5/waits-without-a-token", "15.2-5/a-device-that-waits")
def waits_without_a_token() -> None:
    """A device waits though its token has ended."""
    edit(State, "forget_waiting", ("not keys[device].listed", "False"))
    edit(MemoryKeys, "waiting", ("known.token is not None and ", ""))


faulty(
    "15.2-5/not-told",
    "The user is not told which devices wait.",
    *(KeyService, "get"),
    ("all(each.user != actor.name for each in found)", "True"),
    kills="15.2-5/a-device-that-waits",
)
faulty(
    "15.2-6/of-two",
    "Two devices may have one fingerprint, with a certificate each.",
    *(MemoryKeys, "publish"),
    ("any(keys[device].key.certificate != key.certificate for device in same)", "False"),
)
faulty(
    "15.2-6/for-good",
    "The key of a device cannot become that of another one.",
    *(MemoryKeys, "publish"),
    ("any(keys[device].key.certificate != key.certificate for device in same)", "same"),
)
faulty(
    "15.2-7/any-length",
    "The keys of a user may be as long as they like.",
    *(MemoryKeys, "publish"),
    ("> KEYS_SIZE", "> 10**9"),
)
faulty(
    "15.2-7/another-code",
    "Keys that are too long are refused with QUOTA.",
    *(MemoryKeys, "publish"),
    ("Code.LIMIT", "Code.QUOTA"),
)
faulty(
    "15.2-8/looked-into",
    "A certificate that does not begin as OpenPGP says is refused.",
    *(KeyService, "publish"),
    (
        "if key.size > _WAITING_SIZE:",
        r"if pdu.certificate[:1] != b'\x99':"
        + "\n        raise Refused(Code.SCHEMA)\n    if key.size > _WAITING_SIZE:",
    ),
)

# Asking

faulty(
    "15.3-1/any-order",
    "Users may be asked for in any order.",
    *(KeyService, "get"),
    ("list(pdu.users) != sorted(set(pdu.users)) or ", ""),
    kills="15.3-1/users-in-order",
)
faulty(
    "15.3-1/all-at-once",
    "The answer has all users, fit or not.",
    *(MemoryKeys, "of"),
    ("budget < 0 and found", "False"),
    kills="15.3-1/as-many-as-fit",
)
faulty(
    "15.3-1/those-that-fit",
    "Users whose keys do not fit are left out between others.",
    *(MemoryKeys, "of"),
    ("for user, held in users:", "for user, held in reversed(users):"),
    ("return found", "return found[::-1]"),
    kills="15.3-1/as-many-as-fit",
)
faulty(
    "15.3-2/told-again",
    "What the client holds is told again.",
    *(MemoryKeys, "of"),
    (" or signed.serial == held", ""),
)
faulty(
    "15.3-2/any-serial",
    "Whichever list a client holds, it is told that it is the newest.",
    *(MemoryKeys, "of"),
    ("signed.serial == held", "held"),
)
faulty(
    "15.3-3/left-out",
    "Who has no list is left out of the answer.",
    *(MemoryKeys, "of"),
    ("budget -= keys.size", "if signed is None:\n            continue\n        budget -= keys.size"),
)
faulty(
    "15.3-3/refused",
    "Who asks for somebody who does not exist is refused.",
    *(MemoryKeys, "of"),
    (
        "signed = self",
        "if user not in self._state.accounts:\n            raise Refused(Code.NO_SUCH_USER)\n        signed = self",
    ),
)
faulty(
    "15.3-4/first-first",
    "The device that waits longest comes first.",
    *(MemoryKeys, "waiting"),
    ("-each.at,", "each.at,"),
)

# Hearing of it

faulty(
    "15.4-1/himself-alone",
    "Only the user himself hears of his keys.",
    *(KeyService, "publish"),
    ("if rooms and", "if not rooms and"),
)
faulty(
    "15.4-1/back",
    "The session that published hears of it.",
    *(KeyService, "publish"),
    (", but=actor.session", ""),
)
faulty(
    "15.4-1/lists-alone",
    "Nobody hears of another key in the place of one.",
    *(MemoryKeys, "publish"),
    (" or own.key != key", ""),
)
faulty(
    "15.4-1/rooms-alone",
    "Who shares direct messages alone does not hear of keys.",
    *(MemoryKeys, "concerned"),
    (
        'name.startswith("@") or room.policy & ENCRYPTED or len(room.seats) <= PRESENCE_ROOM',
        'not name.startswith("@") and name not in ("general", "*")',
    ),
)
faulty(
    "15.4-2/told-to-all",
    "Others hear that a device waits.",
    *(KeyService, "publish"),
    ("if rooms and (signed is not None or published.listed)", "if rooms"),
)
faulty(
    "15.4-2/told-to-nobody",
    "The user does not hear that a device waits.",
    *(KeyService, "publish"),
    ("not published.news", "not (published.news and (signed or published.listed))"),
)
faulty(
    "15.4-3/always-news",
    "What is there already is told again.",
    *(MemoryKeys, "publish"),
    ("Published(news=news", "Published(news=True"),
)

# Backups

faulty(
    "15.9-1/any-generation",
    "A part of an older backup is taken into the newer one.",
    *(MemoryKeys, "back_up"),
    ("generation < before", "False"),
    kills="15.9-1/a-backup-in-parts",
)
faulty(
    "15.9-1/with-gaps",
    "Parts of a backup need not follow each other.",
    *(MemoryKeys, "back_up"),
    ("part > len(parts)", "False"),
    kills="15.9-1/a-backup-in-parts",
)
faulty(
    "15.9-1/with-the-old",
    "A new backup has the parts of the one before that it does not bring.",
    *(MemoryKeys, "back_up"),
    ("[] if generation > before else list(parts)", "list(parts)"),
    kills="15.9-1/a-backup-in-parts",
)
faulty(
    "15.9-1/added",
    "A part that comes again is added at the end.",
    *(MemoryKeys, "back_up"),
    ("parts[part : part + 1]", "parts[len(parts) :]"),
    kills="15.9-1/a-backup-in-parts",
)
faulty(
    "15.9-1/of-32-bits",
    "The generation of a backup is kept in 32 bits.",
    *(MemoryKeys, "back_up"),
    ("= generation, parts", "= generation % 2**32, parts"),
    kills="15.9-1/a-backup-outlives-the-session",
)


@mutant("15.9-1/of-anybody", "15.9-1/a-backup-in-parts")
def of_anybody() -> None:
    """All users have one backup."""
    edit(MemoryKeys, "back_up", ("backups[user]", 'backups["anybody"]'), ("backups.get(user", 'backups.get("anybody"'))
    edit(MemoryKeys, "restore", ("backups.get(user", 'backups.get("anybody"'))


@mutant("15.9-1/forgotten", "15.9-1/a-backup-outlives-the-session")
def forgotten() -> None:
    """A backup is forgotten when a session of its user ends."""
    from quicchat.server.adapters.store_memory.accounts import MemoryAccounts

    edit(MemoryAccounts, "seen", ("self._state.check_open()", "self._state.backups.pop(user, None)"))
