"""Who is in the room, and who of them is there. (spec 07-presence)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.cells import set_cell_size

from quicchat.client.state import Person
from quicchat.ui.tui.listing import Listing, Pieces, fit
from quicchat.ui.visible import visible
from quicchat.wire.chapters.presence import Show
from quicchat.wire.chapters.rooms import Rank
from quicchat.wire.names import PARROT, Room, parties

#: [user, whether online, rank]
Member = tuple[str, bool, Rank]

_SIGNS: Final = {
    Show.ONLINE: ("\u2022 ", "good"),
    Show.AWAY: ("\u25e6 ", "good"),
    Show.BUSY: ("\u2022 ", "bad"),
    Show.OFFLINE: ("  ", "dim"),
}
#: Signs of those whose identity was compared, and of those who have another one now.
_TRUSTS: Final = {"verified": (" \u2713", "good"), "changed": (" ?", "bad"), "blocked": (" ?", "bad")}
_NOBODY: Final[Mapping[str, str]] = {}
_RANKS: Final = {Rank.OWNER: "owner", Rank.MODERATOR: "mod", Rank.VISITOR: "mute"}


class Members(Listing):
    """The members of a room, those who are there first."""

    def __init__(self) -> None:
        super().__init__(id="members")
        self.rows: Sequence[tuple[str, Person, Rank]] = ()
        self._members: Sequence[Member] = ()
        self._people: Mapping[str, Person] = {}
        self._trusts: Mapping[str, str] = _NOBODY

    def show_members(
        self, members: Sequence[Member], people: Mapping[str, Person], trusts: Mapping[str, str] = _NOBODY
    ) -> None:
        """These members, as they are by now, and how far they are trusted."""
        if members is self._members and people is self._people and trusts is self._trusts:
            return  # to sort a crowd at every picture is too much
        rows = ordered(members, people)
        if rows != self.rows or trusts != self._trusts:
            self.rows, self._trusts = rows, trusts
            self.show(len(rows) + 1, self._row)
        self._members, self._people, self._trusts = members, people, trusts

    def _row(self, place: int, width: int) -> Pieces:
        if place == 0:
            there = sum(person.show is not Show.OFFLINE for _, person, _ in self.rows)
            return ((fit(f"{there} of {len(self.rows)} here", width), "dim"),)
        user, person, rank = self.rows[place - 1]
        sign, part = _SIGNS[person.show]
        title = _RANKS.get(rank, "")
        kept, look = _TRUSTS.get(self._trusts.get(user, ""), ("", ""))
        left = max(1, width - len(sign) - len(kept) - (len(title) + 1 if title else 0))
        name = fit(visible(user), left)
        status = fit(f" {visible(person.status)}", left - len(name)) if person.status and len(name) < left - 3 else ""
        pad = set_cell_size(status, max(0, left - len(name)))
        shade = "dim" if person.show is Show.OFFLINE else ""
        return (sign, part), (name, shade), (kept, look), (pad, "dim"), (title, "dim")


def ordered(members: Sequence[Member], people: Mapping[str, Person]) -> list[tuple[str, Person, Rank]]:
    """Who is there first, then by name; what is told of somebody by himself is newer than the list."""
    absent = {False: Person(), True: Person(show=Show.ONLINE)}
    rows = [(user, people.get(user) or absent[online], rank) for user, online, rank in members]
    return sorted(rows, key=lambda row: (row[1].show is Show.OFFLINE, row[0]))


def without_list(room: str, user: str, people: Mapping[str, Person]) -> list[Member]:
    """Who may be in a room of which there is no list: the two of a direct conversation, else all that we know of."""
    both = parties(Room(room))
    names = sorted(both) if both is not None else sorted({user, *people} - {PARROT})
    return [(name, name == user or people.get(name, Person()).show is not Show.OFFLINE, Rank.MEMBER) for name in names]
