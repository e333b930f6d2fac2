"""What may stand where somebody types: commands and what they work on, the same for every face. (spec 12-operation)

It comes from the slots of the command table and from what is known here: nobody is asked, and nothing waits but a
directory of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from quicchat.client.state import Person
from quicchat.ui.desk import Desk
from quicchat.ui.paths import paths
from quicchat.ui.picking import MODES, SHARED, place_of, typed_name
from quicchat.ui.slots import RANKS, YES
from quicchat.ui.tables import SHOWS
from quicchat.ui.visible import visible
from quicchat.ui.words import Command
from quicchat.values import dataclass
from quicchat.wire.chapters.files import Mode
from quicchat.wire.chapters.presence import Show
from quicchat.wire.names import ANNOUNCEMENTS, Room, parties

#: Candidates at most: more than anybody reads.
_MOST: Final = 200
#: Messages whose places are offered.
_PLACES: Final = 20
_MYSTIC: Final = "mystic"
_WINDOWS: Final = ("before", "after", "around")
#: The end of a text that may be the beginning of a name.
_NAMING: Final = re.compile(r"(?<![\w@])(@?)([\w-]*)\Z")
#: Reactions by the names that people type between colons.
_EMOJI: Final = {
    "thumbsup": "\U0001f44d",
    "thumbsdown": "\U0001f44e",
    "heart": "\u2764",
    "joy": "\U0001f602",
    "tada": "\U0001f389",
    "eyes": "\U0001f440",
    "thinking": "\U0001f914",
    "cry": "\U0001f622",
    "clap": "\U0001f44f",
    "rocket": "\U0001f680",
}
_LEVELS: Final = {"all": "each message", "mentions": "only what names you", "none": "nothing"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be typed, with a blank where something is to follow; `about` says what it is."""

    text: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """What may stand instead of the text from `start` to the cursor; the likeliest comes first."""

    start: int
    candidates: Sequence[Candidate]

    @property
    def common(self) -> str:
        """What all of them begin with, whatever the case."""
        first, *others = [each.text for each in self.candidates]
        for length in range(len(first), 0, -1):
            if all(other[:length].lower() == first[:length].lower() for other in others):
                return first[:length]
        return ""


#: What is offered behind so many characters of what was typed.
_Offer = tuple[int, Iterable[Candidate]]


def complete(text: str, cursor: int, desk: Desk) -> Completion | None:
    """What may stand before the cursor; None where nothing is known, or the cursor stands inside a word."""
    behind = text[cursor : cursor + 1]
    if behind == "_" or behind.isalnum():
        return None
    start, found = _offered(text[:cursor], desk)
    candidates = list(islice(found, _MOST))
    if behind.isspace():
        candidates = [replace(each, text=each.text.rstrip()) for each in candidates]
    return Completion(start, candidates) if candidates else None


def _offered(head: str, desk: Desk) -> _Offer:
    begun = desk.words.begun(head)
    if begun is not None:
        command, rest = begun
        start, found = _argument(command, rest, desk)
        return len(head) - len(rest) + start, found
    typed = head.lstrip()
    start = len(head) - len(typed)
    word, rest = _first_word(typed)
    if word.lower().removeprefix("/") == _MYSTIC and (rest or typed != word):
        known = {each: command for command in desk.words.commands for each in command.mystic}
        return len(head) - len(rest), _near(rest, _words("", known))
    if typed == word and word.startswith("/") and not word.startswith("//"):
        return start, _commands(word, desk)
    offset, names = _named(typed, desk, is_line=True)
    return start + offset, [*(_plain(word, desk) if typed == word else ()), *names]


def _first_word(text: str) -> tuple[str, str]:
    """Cut at any white space, as commands are."""
    word, rest, *_ = [*text.split(None, 1), "", ""]
    return word, rest


# Commands


def _words(mark: str, known: Mapping[str, Command]) -> list[Candidate]:
    """Command words, with a blank where something may follow."""
    return [
        Candidate(f"{mark}{word}{' ' if command.arguments and not command.hidden else ''}", command.about)
        for word, command in known.items()
    ]


def _commands(word: str, desk: Desk) -> Iterable[Candidate]:
    """Names, not aliases, unless one was typed: that is finished."""
    known = {each.name: each for each in desk.words.commands}
    found = list(_near(word, _words("/", known)))
    finished = desk.words.begun(f"{word} ")
    if finished is not None and finished[0].name != word[1:].lower():
        found = [*_words("", {word: finished[0]}), *(each for each in found if _begins(each, word))]
    return found


def _plain(word: str, desk: Desk) -> Iterator[Candidate]:
    """The words that a style knows without a slash."""
    match desk.words.style:
        case "classic":
            known = {each: command for command in desk.words.commands for each in command.classic}
            yield from (each for each in _words("", known) if _begins(each, word))
        case "mystic" if word and _MYSTIC.startswith(word.lower()):
            yield Candidate(f"{_MYSTIC} ", "a command follows")


def _argument(command: Command, rest: str, desk: Desk) -> _Offer:
    """What may stand at the end of a command's arguments."""
    at = 0
    slots = command.arguments.split() if not command.hidden else []
    for slot in slots:
        name, is_rest = slot.strip("<>[].").lower(), slot.endswith(("...>", "...]"))
        typed = rest[at:]
        value, left = _first_word(typed)
        if is_rest or typed == value:
            offset, found = _OFFERS[name](typed, desk) if name in _OFFERS else (0, ())
            more = "" if slot is slots[-1] else " "
            return at + offset, [replace(each, text=f"{each.text}{more}") for each in found]
        at = len(rest) - len(left)
    return len(rest), ()


# What fits


def _begins(candidate: Candidate, typed: str) -> bool:
    return candidate.text.lower().startswith(typed.lower())


def _near(typed: str, known: Iterable[Candidate]) -> Iterable[Candidate]:
    """Those that begin so; where there is none, those that have these letters in this order."""
    known = list(known)
    found = [each for each in known if _begins(each, typed)]
    if found or len(typed) < 3:
        return found
    return [each for each in known if each.text[0] == typed[0] and _has(each.text.lower(), typed.lower())]


def _has(text: str, letters: str) -> bool:
    rest = iter(text)
    return all(letter in rest for letter in letters)


def _listed(known: Mapping[str, str] | Iterable[str]) -> Callable[[str, Desk], _Offer]:
    """Offers these words; of a mapping with what they are about."""
    candidates = [Candidate(*each) if isinstance(each, tuple) else Candidate(each) for each in _pairs(known)]
    return lambda typed, desk: (0, _near(typed, candidates))


def _pairs(known: Mapping[str, str] | Iterable[str]) -> Iterable[str | tuple[str, str]]:
    return known.items() if isinstance(known, Mapping) else known


# People


def _people(desk: Desk) -> dict[str, str]:
    """Everybody with how available he is: who spoke here last, then who is online, then the others; oneself last."""
    state = desk.chat.state
    order = dict.fromkeys(reversed([*desk.spoke.get(desk.room, {})]))
    rest = sorted(state.people, key=lambda user: (state.people[user].show is Show.OFFLINE, user))
    names = [user for user in {**order, **dict.fromkeys(rest)} if user != state.user]
    return {user: _standing(state.people.get(user)) for user in [*names, *([state.user] if state.user else [])]}


def _standing(person: Person | None) -> str:
    if person is None:
        return ""
    return SHOWS[person.show] + (f" ({visible(person.status)})" if person.status else "")


def _users(typed: str, desk: Desk) -> _Offer:
    mark = typed[:1] if typed.startswith("@") else ""
    return 0, _near(typed, [Candidate(f"{mark}{user}", about) for user, about in _people(desk).items()])


def _named(typed: str, desk: Desk, *, is_line: bool = False) -> _Offer:
    """Names in a text: `@name` anywhere, and who is spoken to first at the beginning of a line."""
    found = _NAMING.search(typed)
    if found is None or not found[0]:
        return len(typed), ()
    mark, end = found[1], ": " if is_line and found.start() == 0 and not found[1] else ""
    own = desk.chat.state.user
    names = (Candidate(f"{mark}{user}{end}", about) for user, about in _people(desk).items() if user != own)
    return found.start(), [each for each in names if _begins(each, found[0])]


# Rooms


def _joined(desk: Desk) -> list[str]:
    """The rooms one is in: where something came last, first."""
    active = dict.fromkeys(room for room, _, _ in reversed([*desk.received]))
    rooms = desk.chat.state.rooms
    return [room for room in {**active, **dict.fromkeys(sorted(rooms))} if room in rooms]


def _rooms(typed: str, desk: Desk) -> _Offer:
    mark = typed[:1] if typed.startswith("#") else ""
    rooms = desk.chat.state.rooms
    known = [Candidate(f"{mark}{each}", visible(rooms[each].topic)) for each in _joined(desk) if each[0] not in "@*"]
    return 0, _near(typed, known)


def _talks(desk: Desk) -> list[Candidate]:
    """Rooms and direct conversations as they are typed."""
    rooms, user = desk.chat.state.rooms, desk.chat.state.user
    return [
        Candidate(place_of(each, user), visible(rooms[each].topic)) for each in _joined(desk) if each != ANNOUNCEMENTS
    ]


def _places(typed: str, desk: Desk) -> _Offer:
    """Where files are."""
    return 0, _near(typed, [*_talks(desk), *_addressed(typed, desk), Candidate(SHARED, "what the server shares")])


def _heeded(typed: str, desk: Desk) -> _Offer:
    """Conversations of which something may be announced; of the one that is open the level alone will do."""
    levels = [Candidate(level, about) for level, about in _LEVELS.items()]
    return 0, _near(typed, [*_talks(desk), *_addressed(typed, desk), *levels])


def _addressed(typed: str, desk: Desk) -> list[Candidate]:
    """People with whom one has not spoken yet: only once it is clear that one of them is meant."""
    if not typed.startswith("@"):
        return []
    user = desk.chat.state.user
    known = {place_of(room, user) for room in desk.chat.state.rooms if parties(Room(room))}
    return [Candidate(f"@{each}", about) for each, about in _people(desk).items() if f"@{each}" not in known]


def _sequence(typed: str, desk: Desk) -> _Offer:
    """Places of what came here, the newest first."""
    newest = (f"#{seq}" for room, _, seq in reversed([*desk.received]) if room == desk.room)
    mark = typed if typed.startswith("#") else f"#{typed}"
    return 0, [Candidate(each) for each in islice(newest, _PLACES) if each.startswith(mark)]


def _past(typed: str, desk: Desk) -> _Offer:
    """`[where] [count] [before|after|around #place]`."""
    before = "" if not typed or typed[-1].isspace() else typed.split()[-1]
    words = typed[: len(typed) - len(before)].split()
    start = len(typed) - len(before)
    if words and words[-1].lower() in _WINDOWS:
        return start, _sequence(before, desk)[1]
    windows = [Candidate(f"{word} ") for word in _WINDOWS] if not set(map(str.lower, words)) & set(_WINDOWS) else []
    where = [*_talks(desk), *_addressed(before, desk), Candidate(ANNOUNCEMENTS, "announcements")] if not words else []
    return start, _near(before, [*where, *windows])


# Files


def _remote(typed: str, desk: Desk) -> _Offer:
    """Files that were announced: here, then elsewhere; behind a name, how it is to come."""
    files = list(_announced(desk))
    name, blank, begun = typed.rpartition(" ")
    if blank and any(each.text == name for each in files):
        modes = [
            Candidate(word, "by datagrams" if mode is Mode.FAST else "by a stream") for word, mode in MODES.items()
        ]
        found = [each for each in modes if _begins(each, begun)]
        if found:
            return len(name) + 1, found
    # A place may stand before it, and quotation marks need not be typed.
    bare = typed.removeprefix('"')
    places = [Candidate(f"{each.text}/") for each in [*_talks(desk), Candidate(SHARED)]] if typed else []
    found = [each for each in files if _begins(each, typed) or each.text.removeprefix('"').startswith(bare)]
    return 0, [*found, *(each for each in places if _begins(each, typed) and each.text != typed)]


def _announced(desk: Desk) -> Iterator[Candidate]:
    """Each file once by its name, and where that is the name of several, by its place as well."""
    user = desk.chat.state.user
    newest = reversed([*desk.announced.items()])
    for name, rooms in sorted(newest, key=lambda each: desk.room not in each[1]):
        if not (typed := typed_name(name)):
            continue
        if desk.room in rooms or len(rooms) == 1:
            about = "" if desk.room in rooms else f"in {place_of(next(iter(rooms)), user)}"
            yield Candidate(typed, about)
        places = sorted(place_of(room, user) for room in rooms)
        yield from (Candidate(f"{place}/{typed}") for place in places)


def _local(typed: str, desk: Desk) -> _Offer:
    """Files of this machine, or whom they are for."""
    if typed.startswith("@") and _first_word(typed)[0] == typed:
        return 0, [replace(each, text=f"{each.text} ") for each in _users(typed, desk)[1]]
    start, found = paths(typed)
    return start, (Candidate(each) for each in found)


def _numbers(typed: str, desk: Desk) -> _Offer:
    """Transfers that are not over."""
    moving = [each for each in desk.cargo.transfers if not each.over]
    return 0, _near(typed, [Candidate(str(each.number), visible(each.name)) for each in moving])


def _devices(typed: str, desk: Desk) -> _Offer:
    """One's devices: those that wait to be let in come first."""
    if not desk.has_keys:
        return 0, ()
    waiting = [Candidate(each.name, "waits to be let in") for each in desk.keys.waiting()]
    own = desk.keys.of(desk.chat.state.user)
    listed = [Candidate(name, "one of yours") for _, name, _ in own.devices] if own is not None else []
    return 0, _near(typed, [each for each in (*waiting, *listed) if each.text and visible(each.text) == each.text])


def _reactions(typed: str, desk: Desk) -> _Offer:
    name = typed.strip(":").lower()
    return 0, [Candidate(sign, f":{word}:") for word, sign in _EMOJI.items() if word.startswith(name)]


def _help(typed: str, desk: Desk) -> _Offer:
    mark = typed[:1] if typed.startswith("/") else ""
    return 0, _near(typed, [Candidate(f"{mark}{each.name}", each.about) for each in desk.words.commands])


#: By the names of slots in the command table.
_OFFERS: Final[Mapping[str, Callable[[str, Desk], _Offer]]] = {
    "command": _help,
    "device": _devices,
    "digits": _listed({YES: "the numbers are the same: he is verified"}),
    "emoji": _reactions,
    "file": _remote,
    "files": _local,
    "level": _listed(_LEVELS),
    "number": _numbers,
    "onoff": _listed(("on", "off")),
    "past": _past,
    "place": _places,
    "rank": _listed(RANKS),
    "room": _rooms,
    "seq": _sequence,
    "span": _listed(("on", "off", "30m", "2h", "1d")),
    "user": _users,
    "where": _heeded,
    **dict.fromkeys(("text", "topic", "reason", "status", "words"), _named),
}
