"""Names: which are allowed, and what a room's name tells."""

from __future__ import annotations

import pytest

from quicchat.wire.fields import ROOM, USER
from quicchat.wire.names import ANNOUNCEMENTS, GENERAL, PARROT, Room, User, direct, parties


@pytest.mark.parametrize("name", ["a", "alice", "a-b_c9", "0", "-", "x" * 32])
def test_names_of_users(name: str) -> None:
    """U6: accounts are a-z, 0-9, _ and -, up to 32 of them."""
    assert USER.load(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Alice",
        "a b",
        "x" * 33,
        "\u0430dmin",
        "a\u00ad",
        "a\n",
        "a\x00",
        "\uff41",
        "@a",
        "a,b",
        "*",
        "a.b",
        "\u0663",
    ],
)
def test_names_that_are_none(name: str) -> None:
    """U6: no other script, no full width, soft hyphen, space or control, so that no two names look alike."""
    with pytest.raises(ValueError, match="not"):
        USER.load(name)


@pytest.mark.parametrize("name", ["general", "x" * 64, "*", "@a,b", f"@{'a' * 32},{'b' * 32}"])
def test_names_of_rooms(name: str) -> None:
    """spec 05-rooms: one that people make, the announcements, or a direct message."""
    assert ROOM.load(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "x" * 65, "**", "@", "@a", "@a,", "@,b", "@a,b,c", "@a, b", f"@{'a' * 33},b", "#general", "General", "a b"],
)
def test_names_of_rooms_that_are_none(name: str) -> None:
    """R2.21: no spaces; nothing that only looks like one of the three."""
    with pytest.raises(ValueError, match="not"):
        ROOM.load(name)


def test_direct_messages_have_one_room() -> None:
    """R1.14: the same room whoever asks, and both find each other in its name."""
    room = direct(User("bob"), User("alice"))
    assert room == direct(User("alice"), User("bob")) == "@alice,bob"
    assert parties(room) == frozenset({User("alice"), User("bob")})
    assert ROOM.load(room) == room


def test_a_note_to_oneself() -> None:
    """spec 05-rooms: a direct message to oneself has one party."""
    room = direct(User("alice"), User("alice"))
    assert parties(room) == frozenset({User("alice")})
    assert ROOM.load(room) == room


@pytest.mark.parametrize("room", [GENERAL, ANNOUNCEMENTS, Room("a-b")])
def test_other_rooms_have_members_not_parties(room: Room) -> None:
    """Z1: who may read is in the name only where the name says so."""
    assert parties(room) is None
    assert ROOM.load(room) == room


def test_the_parrot_is_a_user_like_any_other() -> None:
    """R3.1: the built-in user has a name that people can write."""
    assert USER.load(PARROT) == "echo"
