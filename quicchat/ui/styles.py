"""How things look in each style: tables of templates, no code. (spec 12-operation)

A template of a message is named for its kind and its place, as in `emote.direct`; where there is none, that of
`text` serves. What is empty is not printed at all. Every value has been made harmless before it comes here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Templates = Mapping[str, str]

_DEFAULT: Final[Templates] = {
    "text.general": "{time} [{room}] {user}: {text}",
    "text.room": "{time} [{room}] {user}: {text}",
    "text.direct": "{time} ({user} to {peer}) {text}",
    "text.broadcast": "{time} (to everybody) {user}: {text}",
    "emote.general": "{time} [{room}] * {user} {text}",
    "emote.room": "{time} [{room}] * {user} {text}",
    "emote.direct": "{time} ({user} to {peer}) * {user} {text}",
    "notice.general": "{time} [{room}] -{user}- {text}",
    "notice.room": "{time} [{room}] -{user}- {text}",
    "past": "{seq} {user}: {text}  (sent {sent}, stored {stored}, received {received})",
    "note": "-- {text}",
    "entered": "-- you are {user} at {place}, protocol version {version}",
    "again": "-- connected again as {user}",
    "lost": "-- connection lost: {reason}; trying again",
    "lost.for.good": "-- connection lost: {reason}",
    "waiting": "-- {place} is not there yet ({reason}); trying again and again",
    "unsent": "-- not sent: {count}",
    "denied": "-- refused: {text}",
    "unclear": "-- {text}",
    "asks": "-- {text}",
    "menu": "-- {text}",
    "joined": "-- {user} joined {room}",
    "left": "-- {user} left {room}",
    "came": "-- {user} is {show}",
    "went": "-- {user} left ({reason})",
    "here": "-- you are in {room} now",
    "here.topic": "-- you are in {room} now: {topic}",
    "gone": "-- you left {room}; you are in {now} now",
    "stored.direct": "-- sent to {user}",
    "stored.offline": "-- {user} is offline and gets it later",
    "stored.broadcast": "-- announced",
    "stored.room": "",
    "present": "-- here: {users}",
    "table": "",
    "shown": "-- you appear {show}",
    "echo": "{text}",
    "ping": "{ms} ms",
}

_MYSTIC: Final[Templates] = {
    **{name: template.replace("-- ", "[SERVER] ", 1) for name, template in _DEFAULT.items()},
    "text.general": "[GLOBAL] {user}: {text}",
    "text.room": "[{room}] {user}: {text}",
    "text.direct": "[PM] {user}: {text}",
    "text.broadcast": "[BROADCAST] {user}: {text}",
    "emote.general": "[GLOBAL] {user}: * {text}",
    "emote.room": "[{room}] {user}: * {text}",
    "emote.direct": "[PM] {user}: * {text}",
    "notice.general": "[GLOBAL] {user}: {text}",
    "notice.room": "[{room}] {user}: {text}",
}

_CLASSIC: Final[Templates] = {
    **{name: f"[{template.removeprefix('-- ')}]" for name, template in _DEFAULT.items() if template.startswith("-- ")},
    "text.general": "Group Chat {user}:  {text}",
    "text.room": "[{room}] {user}: {text}",
    "text.direct": "{user}: {text}",
    "text.broadcast": "Group Chat {user}:  {text}",
    "past": _DEFAULT["past"],
    "entered": "[Welcome, You are registered.]",
    "stored.direct": "[Message to {user} received by Server.]",
    "stored.offline": "[Offline Message sent at {stored} received by the server and saved.]",
    "stored.broadcast": "[Group Message received by Server.]",
    "stored.room": "[Group Message received by Server.]",
    "lost.for.good": "[Server not responding]",
    "joined": "",
    "left": "",
    "came": "",
    "went": "",
    "present": "",
    "table": "[Client table updated.]",
    "shown": "[You are {Show}.]",
    "shown.offline": "[You are Offline. Bye.]",
    "echo": "{text}",
    "ping": "{ms} ms",
}

STYLES: Final[Mapping[str, Templates]] = {"default": _DEFAULT, "mystic": _MYSTIC, "classic": _CLASSIC}

#: What --on-server-loss exit prints, in every style (R4.16).
NOT_RESPONDING: Final = ("[Server not responding]", "[Exiting]")
