"""Mutants of section 6.11: edits, reactions, pins, and what is taken back."""

from __future__ import annotations

from dataclasses import replace

from quicchat.server.adapters.store_memory import about as about_others
from quicchat.server.adapters.store_memory.log import MemoryLog
from quicchat.server.services.messages import Messages
from quicchat.wire.chapters.messages import blanked
from tests.mutants.mutant import mutant, swap
from tests.mutants.source import faulty

faulty(
    "6.11-1/the-first-of-several",
    "Of several places that an event is about the first counts.",
    *(Messages, "_checked"),
    ("len(pdu.refs or ()) != 1", "not pdu.refs"),
)
faulty(
    "6.11-1/about-nothing",
    "An event may be about a place that is not taken yet.",
    *(about_others, "check"),
    ("check_about(", "target and check_about("),
)
faulty(
    "6.11-1/about-what-is-gone",
    "What was taken back may be edited, pinned, and reacted to.",
    *(about_others, "check_about"),
    ("target is None or is_blank(target)", "target is None"),
)
faulty(
    "6.11-2/in-place",
    "An edit changes what stands in the log.",
    *(about_others, "apply"),
    (
        "found.edits.setdefault(target, []).append(message.seq)",
        """found.edits.setdefault(target, []).append(message.seq)
        from dataclasses import replace
        edited = replace(found.message(target), text=message.text)
        found.log[target - 1] = encode_body(edited, version=2)""",
    ),
    kills="6.11-2/an-edit",
)
faulty(
    "6.11-2/anybody-edits",
    "Everybody in a room may correct what another one said.",
    *(about_others, "check_about"),
    ("own and target.kind in SAID", "target.kind in SAID"),
    kills="6.11-2/an-edit-of-*",
)
faulty(
    "6.11-2/moderators-edit",
    "A moderator may put words into another's mouth.",
    *(about_others, "check_about"),
    ("own and target.kind in SAID", "(own or moderator) and target.kind in SAID"),
    kills="6.11-2/an-edit-of-*",
)
faulty(
    "6.11-2/reactions-are-edited",
    "One's own reactions can be edited.",
    *(about_others, "check_about"),
    ("own and target.kind in SAID", "own"),
    kills="6.11-2/an-edit-of-*",
)
faulty(
    "6.11-3/anybody-takes-back",
    "Everybody in a room may take back what another one said.",
    *(about_others, "check_about"),
    ("(own or (moderator and not direct))", "(own or not direct)"),
    kills="6.11-3/who-may-take-back",
)
faulty(
    "6.11-3/only-ones-own",
    "A moderator may not take back what another one said.",
    *(about_others, "check_about"),
    ("(own or (moderator and not direct))", "own"),
    kills="6.11-3/who-may-take-back",
)
faulty(
    "6.11-3/what-the-server-recorded",
    "What the server itself recorded can be taken back.",
    *(about_others, "check_about"),
    ("target.kind in POSTABLE and", "True and"),
    kills="6.11-3/who-may-take-back",
)
faulty(
    "6.11-3/both-take-back",
    "Of two who talk each may take back what the other one said.",
    *(about_others, "check_about"),
    ("(moderator and not direct)", "moderator or direct"),
    kills="6.11-3/not-in-direct-messages",
)
faulty(
    "6.11-4/corrections-stay",
    "What was taken back stands on in its corrections.",
    *(about_others, "apply"),
    ("for place in (target, *found.edits.get(target, ())):", "for place in (target,):"),
    kills="6.11-4/what-was-taken-back-is-gone",
)


@mutant("6.11-4/unknown-keys-stay", "6.11-4/what-was-taken-back-is-gone")
def extra_stays() -> None:
    """Of what was taken back the keys that the server does not know stay."""
    swap(about_others, "blanked", lambda _: lambda message: replace(blanked(message), extra=message.extra))


@mutant("6.11-4/names-stay", "6.11-4/what-was-taken-back-is-gone")
def names_stay() -> None:
    """Of what was taken back it stays who was named."""
    swap(about_others, "blanked", lambda _: lambda message: replace(blanked(message), mentions=message.mentions))


faulty(
    "6.11-4/forgotten",
    "What was taken back is stored anew when it is said again.",
    *(about_others, "_blank"),
    ("state.said[User(message.sender), message.cid] = left", "del state.said[User(message.sender), message.cid]"),
    kills="6.11-4/a-retry-*",
)
faulty(
    "6.11-4/other-words",
    "A retry of what was taken back is another message, since its words are not those that are left.",
    *(MemoryLog, "append"),
    ("not is_repeat(earlier, room, post)", "(not is_repeat(earlier, room, post) or earlier.text != post.text)"),
    kills="6.11-4/a-retry-*",
)
faulty(
    "6.11-5/long-reactions",
    "A reaction may be as long as any text.",
    *(Messages, "_checked"),
    ("len(pdu.text.encode()) > REACTION", "False"),
)
faulty(
    "6.11-5/characters",
    "The length of a reaction is counted in characters.",
    *(Messages, "_checked"),
    ("len(pdu.text.encode()) > REACTION", "len(pdu.text) > REACTION"),
)
faulty(
    "6.11-5/reactions-stay",
    "A reaction cannot be taken back.",
    *(about_others, "check_about"),
    ("target.kind in POSTABLE and", "target.kind in SAID and"),
)
faulty(
    "6.11-6/anybody-pins",
    "Everybody in a room may pin something.",
    *(about_others, "check_about"),
    ("Kind.PIN: direct or moderator", "Kind.PIN: True"),
)
faulty(
    "6.11-6/owners-pin-in-rooms",
    "Of two who talk nobody may pin something.",
    *(about_others, "check_about"),
    ("Kind.PIN: direct or moderator", "Kind.PIN: moderator"),
)
faulty(
    "6.11-7/all-carry",
    "Reactions and pins may name people and have attachments.",
    *(Messages, "_checked"),
    ("kind is not Kind.EDIT and (pdu.attachments or pdu.mentions)", "False"),
)
faulty(
    "6.11-7/nothing-carries",
    "An edit that names people is refused.",
    *(Messages, "_checked"),
    ("kind is not Kind.EDIT and", ""),
)
