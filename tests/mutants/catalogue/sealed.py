"""Mutants of section 15.5: what a server does with sealed messages."""

from __future__ import annotations

from quicchat.server import rules
from quicchat.server.adapters.store_memory import about, keys, log
from quicchat.server.adapters.store_memory.log import MemoryLog
from quicchat.server.adapters.store_memory.state import Place
from quicchat.server.services import messages
from quicchat.server.services.messages import Messages
from tests.mutants.mutant import mutant, swap
from tests.mutants.source import faulty

faulty(
    "15.5-1/text-beside",
    "Text may stand beside what is sealed.",
    *(Messages, "_check_sealed"),
    ("pdu.text or any", "any"),
)
faulty(
    "15.5-1/empty-beside",
    "An empty topic or list of names may stand beside what is sealed.",
    *(Messages, "_check_sealed"),
    ("each is not None", "each"),
)
faulty(
    "15.5-1/named-files",
    "A file beside what is sealed may have name, type and time.",
    *(Messages, "_check_sealed"),
    ("row[2:] != NEUTRAL", "False"),
)
faulty(
    "15.5-1/any-kind",
    "What takes something back, or pins it, may be sealed.",
    *(Messages, "_check_sealed"),
    ("kind not in SEALABLE or ", ""),
)
faulty(
    "15.5-1/unopened",
    "What is no sealed body is stored as one.",
    *(Messages, "_check_sealed"),
    ("    entries = rules", "    if kind is not Kind.KEY:\n        return\n    entries = rules"),
    kills="15.5-1/*",
)
faulty(
    "15.5-2/in-any-message",
    "Entries may stand in any sealed message.",
    *(Messages, "_check_sealed"),
    (" or (kind is not Kind.KEY and entries is not None)", ""),
)
faulty(
    "15.5-2/for-nobody",
    "A KEY event may have no entries.",
    *(Messages, "_check_sealed"),
    ("(kind is Kind.KEY and not entries) or ", ""),
)
faulty(
    "15.5-2/in-plain",
    "A KEY event may be plain.",
    *(Messages, "_checked"),
    ("elif kind is Kind.KEY:", "elif False:"),
)
faulty(
    "15.5-2/with-files",
    "A KEY event may have attachments and be about other events.",
    *(Messages, "_check_sealed"),
    (" or (kind is Kind.KEY and not bare)", ""),
)
faulty(
    "15.5-3/any-handle",
    "A handle that nobody has is passed over.",
    *(keys, "check_entries"),
    ("if entries.keys()", "if False and entries.keys()"),
)
faulty(
    "15.5-3/of-strangers",
    "Entries may be for devices of whoever is not in the room.",
    *(keys, "readers"),
    ("for user in found.seats", "for user in state.accounts"),
)
faulty(
    "15.5-3/who-waits",
    "Entries may be for devices that wait.",
    *(keys, "readers"),
    ("if each.listed and", "if"),
)
faulty(
    "15.5-4/all-entries",
    "Everybody is given all entries of a KEY event.",
    *(log, "parted"),
    ("replace(post, sealed=packed(replace(sealed, entries=None)))", "post"),
)
faulty(
    "15.5-4/not-pushed",
    "A KEY event is pushed without any entry.",
    *(messages, "_told"),
    (", own=own", ""),
)
faulty(
    "15.5-4/not-fetched",
    "A KEY event is fetched without any entry.",
    *(MemoryLog, "page"),
    ("if device is not None and", "if False and"),
)
faulty(
    "15.5-5/written-anew",
    "A sealed body is written anew, without what only its readers know.",
    *(log, "parted"),
    (
        "return post, {}",
        "if post.sealed is not None:\n"
        "            post = replace(post, sealed=packed(replace(opened(post.sealed), extra=None)))\n"
        "        return post, {}",
    ),
)
faulty(
    "15.5-6/by-text-alone",
    "A retry may have another sealed body.",
    *(log, "is_repeat"),
    ("(message.text, message.sealed) == (post.text, post.sealed)", "message.text == post.text"),
)
faulty(
    "15.5-6/other-entries",
    "A retry may have other entries.",
    *(MemoryLog, "append"),
    (" or state.packets.get((sender, post.cid), {}) != packets", ""),
)
faulty(
    "15.5-6/never-a-retry",
    "A KEY event that comes again is another one.",
    *(MemoryLog, "append"),
    ("state.packets[sender, post.cid] = packets", "pass"),
)
faulty(
    "15.5-7/plain-too",
    "What is said in an encrypted room may be plain.",
    *(log, "check_sealed"),
    ("policy & ENCRYPTED", "False"),
)
faulty(
    "15.5-7/plain-reactions",
    "Corrections and reactions in an encrypted room may be plain.",
    *(log, "check_sealed"),
    ("not in _WORDLESS", "not in {*_WORDLESS, Kind.EDIT, Kind.REACT}"),
)


@mutant("15.5-7/nothing-plain-at-all")
def nothing_plain() -> None:
    """What takes something back, or pins it, cannot be said in an encrypted room."""
    swap(rules, "_WORDLESS", lambda _: frozenset())


faulty(
    "15.5-8/sealed-stays",
    "What is sealed stays when it is taken back.",
    *(about, "blanked"),
    ("sealed=None, ", ""),
)
faulty(
    "15.5-8/keys-too",
    "KEY events may be pinned and reacted to.",
    *(about, "check_about"),
    ("(Kind.RETRACT, Kind.KEY)", "(Kind.RETRACT,)"),
)
faulty(
    "15.5-9/unread",
    "KEY events are unread.",
    *(Place, "unread_by"),
    ("place not in self.entries", "True"),
)
faulty(
    "15.5-10/sealed-too",
    "Announcements may be sealed.",
    *(Messages, "_checked"),
    ("if room == ANNOUNCEMENTS:", "if False:"),
)
faulty(
    "15.5-11/says-nothing",
    "Clients of version 1 are told nothing of keys.",
    *(rules, "_fallback"),
    ("return _KEYS", "return None"),
)
faulty(
    "15.5-11/as-it-came",
    "Clients of version 1 are told what is sealed as a text.",
    *(rules, "_fallback"),
    ("else _SEALED", 'else message.sealed.decode("latin-1")'),
)
