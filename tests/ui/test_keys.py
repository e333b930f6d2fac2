"""Commands about keys: whom one trusts how far, which devices may read, which rooms are encrypted."""

from __future__ import annotations

import pytest

from quicchat.client.e2ee.faults import BadKey
from quicchat.client.e2ee.trust import Trust
from quicchat.errors import Code, Refused
from quicchat.ui import qr
from quicchat.ui.completion import complete
from quicchat.ui.desk import Desk
from quicchat.ui.identities import Approvals, Keyed, Numbers, Recovery
from quicchat.ui.outcomes import Devices, Done, Here
from quicchat.ui.record import record
from quicchat.ui.words import Asks, Call, Choice, Unclear
from quicchat.wire.chapters.rooms import ENCRYPTED
from tests.ui.items import noted, shown
from tests.ui.ring import CODE, DIGITS, HERE, LAPTOP, PHONE, TABLET, House, at_home, do, held, house


async def denied(desk: Desk, line: str) -> str:
    with pytest.raises(Refused) as caught:
        await do(desk, line)
    return caught.value.text


def test_the_keys_of_somebody() -> None:
    """[12.16-1]: how far he is trusted, his identity, each device with what is wrong with it, the next command."""

    async def scenario(desk: Desk, chat: House) -> None:
        assert shown(await do(desk, "/keys bob")) == [
            "bob: not verified; /verify bob compares numbers with him",
            "  identity 626F 622E 2E2E 2E2E 2E2E 2E2E 2E2E 2E2E 2E2E 2E2E",
            "  desk: 6262 6262 6262 6262 6262 6262 6262 6262 6262 6262",
            "  old: 6363 6363 6363 6363 6363 6363 6363 6363 6363 6363  (it has expired)",
        ]
        assert shown(await do(desk, "/keys carol")) == ["carol: no keys are known"]

    at_home(scenario)


def test_ones_own_keys_and_devices() -> None:
    """[12.16-1]: this device, the others, those that wait; /devices tells sessions as well, and scripts get both."""

    async def scenario(desk: Desk, chat: House) -> None:
        own: Keyed = await do(desk, "/keys")
        assert [row[:3] for row in own.devices] == [
            (HERE, LAPTOP, "this"),
            (PHONE, "phone", "listed"),
            (TABLET, "tablet", "waits"),
        ]
        lines = shown(own)
        assert lines[0] == "alice: your own keys"
        assert lines[2].startswith("* laptop: ")
        assert lines[4].endswith("(waits to be let in: /approve tablet)")
        devices: Devices = await do(desk, "/devices")
        assert shown(devices)[1:] == ["With keys for what is encrypted:", *lines[2:]]
        found = record(devices)
        assert found is not None
        assert [each["state"] for each in found["devices"]] == ["this", "listed", "waits"]
        assert record(await do(desk, "/sessions")) == {**found, "devices": None}
        chat.keys.own.listed = False
        chat.keys.persons["alice"] = chat.keys.persons["bob"]
        assert "not let in yet: /restore, or /approve it on another one" in shown(await do(desk, "/keys"))[2]
        chat.keys.here = False
        assert shown(await do(desk, "/devices"))[1:] == []

    at_home(scenario)


def test_numbers_are_compared() -> None:
    """[12.16-2]: twelve groups, what to do with them, and then yes, or the digits as the other side shows them."""

    async def scenario(desk: Desk, chat: House) -> None:
        item: Numbers = await do(desk, "/verify bob")
        lines = shown(item)
        assert lines[1:4] == [f"  {'  '.join(DIGITS.split()[at : at + 4])}" for at in (0, 4, 8)]
        assert "bob types /verify alice" in lines[4]
        assert "/verify bob yes" in lines[5]
        assert record(item) == {"event": "numbers", "user": "bob", "digits": DIGITS}
        assert chat.keys.trust("bob") is Trust.FIRST_USE
        assert await denied(desk, f"/verify bob {'1' * 60}") == "these are not the digits of bob"
        assert chat.keys.trust("bob") is Trust.FIRST_USE
        assert noted(await do(desk, f"/verify bob {DIGITS}"))[0].startswith("-- bob is verified")
        assert chat.keys.trust("bob") is Trust.VERIFIED
        assert noted(await do(desk, "/untrust bob")) == ["-- bob is not verified any more"]
        await do(desk, "/verify @Bob YES")
        assert chat.keys.trust("bob") is Trust.VERIFIED
        await do(desk, "/untrust bob")
        chat.keys.number = DIGITS.replace("0", "9")
        assert await denied(desk, "/verify bob yes") == "these are not the digits of bob"
        assert chat.keys.trust("bob") is Trust.FIRST_USE
        desk.numbers.clear()
        assert await denied(desk, "/verify bob yes") == "Compare the numbers first: /verify bob shows them."
        assert await denied(desk, "/verify carol") == "carol has no keys yet"
        assert isinstance(desk.words.parse("/verify bob 12345"), Unclear)

    at_home(scenario)


def test_a_changed_identity_is_accepted() -> None:
    """[12.16-2]: nothing goes on by itself: /accept is what pins another identity."""

    async def scenario(desk: Desk, chat: House) -> None:
        old = chat.keys.persons["bob"]
        chat.keys.persons["bob"] = type(old)("bob", Trust.BLOCKED, b"n" * 20, old.pinned, 4, old.devices)
        assert "nothing is sent until /verify bob or /accept bob" in shown(await do(desk, "/keys bob"))[0]
        assert noted(await do(desk, "/accept bob")) == [
            "-- the new identity of bob is accepted; /verify bob makes sure that it is his"
        ]
        assert chat.keys.trust("bob") is Trust.FIRST_USE

    at_home(scenario)


def test_a_device_is_let_in_once_somebody_has_said_so() -> None:
    """[12.16-3]: the key is shown before, and an empty line is no; a script says what it means."""

    async def scenario(desk: Desk, chat: House) -> None:
        assert await do(desk, "/approve") == Approvals([(TABLET, "tablet")])
        asked: Choice = await do(desk, "/approve tablet")
        assert "7474 7474" in asked.question
        assert asked.answer("") is asked.no
        assert asked.answer("Y") is asked.yes
        assert (await run(desk, asked.no)).command == "approve.no"
        assert chat.keys.asked == []
        assert (await run(desk, asked.yes)).command == "approve"
        assert chat.keys.asked == [("approve", TABLET)]
        desk.asks = False
        await do(desk, "/approve 7474 74")
        assert chat.keys.asked == [("approve", TABLET)] * 2
        assert "No device phone waits" in await denied(desk, "/approve phone")
        chat.keys.waits.append(chat.keys.waits[0])
        assert "2 devices are called tablet" in await denied(desk, "/approve tablet")
        chat.keys.waits.clear()
        assert noted(await do(desk, "/approve")) == ["-- nothing"]

    at_home(scenario, asks=True)


def test_a_device_is_removed() -> None:
    """[12.16-3]: one of the others; this one cannot put itself out."""

    async def scenario(desk: Desk, chat: House) -> None:
        assert "No device laptop" in await denied(desk, "/remove-device laptop")
        asked: Choice = await do(desk, "/remove-device phone")
        assert (await run(desk, asked.no)).command == "remove-device.no"
        assert (await run(desk, asked.yes)).command == "remove-device"
        assert chat.keys.asked == [("remove", PHONE)]

    at_home(scenario, asks=True)


async def run(desk: Desk, call: Call) -> Done:
    found = await call.command.run(desk, call)
    assert isinstance(found, Done)
    return found


def test_the_recovery_code() -> None:
    """[12.16-4]: shown when it is asked for; typed unseen, and what is wrong with it is told."""

    async def scenario(desk: Desk, chat: House) -> None:
        item: Recovery = await do(desk, "/recovery")
        assert [line.split() for line in shown(item)[1:4]] == [["1234"] * 4, ["1234"] * 4, ["1234"]]
        asks = desk.words.parse("/restore")
        assert isinstance(asks, Asks)
        assert asks.hidden
        assert isinstance(desk.words.parse(f"/restore {CODE}"), Unclear)
        call = desk.words.answered(asks, CODE)
        assert isinstance(call, Call)
        assert CODE not in call.line
        assert noted(await call.command.run(desk, call)) == [
            "-- this device is let in; what was said before becomes readable"
        ]
        wrong = desk.words.answered(asks, "1234")
        assert isinstance(wrong, Call)
        with pytest.raises(Refused, match="36 digits, and this has 4"):
            await wrong.command.run(desk, wrong)

    at_home(scenario)


def test_another_recovery_code_is_made_once_that_was_said() -> None:
    """[12.16-3]: an empty line leaves the one that was written down as it is."""

    async def scenario(desk: Desk, chat: House) -> None:
        asked: Choice = await do(desk, "/new-recovery")
        assert "opens nothing" in asked.question
        assert asked.answer("") is asked.no
        assert (await run(desk, asked.no)).command == "new-recovery.no"
        assert chat.keys.asked == []
        assert await asked.yes.command.run(desk, asked.yes) == Recovery(CODE)
        assert chat.keys.asked == [("new recovery",)]

    at_home(scenario, asks=True)


def test_who_has_lost_everything_begins_anew() -> None:
    """[12.16-3]: once he has said so, and only where his identity is not at hand."""

    async def scenario(desk: Desk, chat: House) -> None:
        assert "nothing to begin anew" in await denied(desk, "/renew")
        chat.keys.own.identity = None
        asked: Choice = await do(desk, "/renew")
        assert asked.answer("") is asked.no
        assert (await run(desk, asked.no)).command == "renew.no"
        assert chat.keys.asked == []
        assert await asked.yes.command.run(desk, asked.yes) == Recovery(CODE)
        assert chat.keys.asked == [("renew",)]

    at_home(scenario, asks=True)


def test_rooms_are_encrypted_on_but_never_off() -> None:
    """[12.16-5]: from the first word, or later by its owner, who is asked; the other bits of its policy stay."""

    async def scenario(desk: Desk, chat: House) -> None:
        here: Here = await do(desk, "/create-encrypted cellar down there")
        assert chat.made == [("create", "cellar", {"topic": "down there", "policy": ENCRYPTED})]
        assert noted(here) == [
            "-- you are in cellar now: down there",
            "-- what is said in cellar is encrypted from end to end",
        ]
        asked: Choice = await do(desk, "/encrypt lab")
        assert asked.answer("") is asked.no
        assert (await run(desk, asked.no)).command == "encrypt.no"
        assert len(chat.made) == 1
        await run(desk, asked.yes)
        assert chat.made[1] == ("set", "lab", {"policy": 2 | ENCRYPTED})
        assert "already" in await denied(desk, "/encrypt vault")
        desk.room = "@alice,bob"
        assert "anyway" in await denied(desk, "/encrypt")
        assert "not encrypted" in await denied(desk, "/rotate")
        assert noted(await do(desk, "/rotate cellar")) == ["-- your next message in cellar begins a new key"]
        assert chat.keys.asked == [("rotate", "cellar")]

    at_home(scenario, asks=True)


def test_where_one_goes_it_is_told_what_protects_it() -> None:
    """[12.16-5]: also why something would be held back there."""

    async def scenario(desk: Desk, chat: House) -> None:
        chat.keys.rooms["@alice,bob"] = held("bob shows another identity: /accept bob or /verify bob")
        here = await do(desk, "/query bob")
        assert noted(here) == [
            "-- what you type goes to bob now",
            "-- what you say in @bob is held back: bob shows another identity: /accept bob or /verify bob",
        ]
        found = record(here)
        assert found is not None
        assert found["encryption"] == "held"
        assert noted(await do(desk, "/join lab")) == ["-- you are in lab now"]

    at_home(scenario)


@pytest.mark.parametrize(
    "line", ["/keys", "/verify bob", "/accept bob", "/approve", "/recovery", "/create-encrypted x"]
)
def test_a_client_without_keys_says_so(line: str) -> None:
    """[12.16-1]: with what helps."""

    async def scenario(desk: Desk, chat: House) -> None:
        chat.keys.here = False
        with pytest.raises(Refused, match=r"pip install") as caught:
            await do(desk, line)
        assert caught.value.code is Code.UNSUPPORTED
        assert chat.made == chat.keys.asked == []

    at_home(scenario)


def test_what_is_wrong_with_keys_is_a_refusal() -> None:
    """[12.16-1]: in the words of what is wrong."""

    async def scenario(desk: Desk, chat: House) -> None:
        chat.keys.fault = BadKey("it has expired")
        for line in ("/accept bob", "/untrust bob", "/verify bob", "/approve tablet", "/rotate vault", "/recovery"):
            if line == "/rotate vault":
                chat.keys.rooms["vault"] = held("")
            assert await denied(desk, line) == "it has expired"

    at_home(scenario)


def test_completion_knows_devices() -> None:
    """[12.11-6]: those that wait first; nothing is offered that could not be typed."""
    desk, chat = house()

    def offered(text: str) -> list[str]:
        found = complete(text, len(text), desk)
        return [each.text for each in found.candidates] if found is not None else []

    assert offered("/approve ") == ["tablet", LAPTOP, "phone"]
    assert offered("/remove-device ph") == ["phone"]
    assert offered("/verify bob ") == ["yes"]
    chat.keys.waits[0].name = "evil\x1b[2J"
    assert "tablet" not in offered("/approve ")
    chat.keys.here = False
    assert offered("/approve ") == []


def test_a_picture_of_the_numbers() -> None:
    """[12.16-2]: half blocks, light around it, and as a camera reads it; it holds what the digits say."""
    segno = pytest.importorskip("segno")
    text = f"quicchat:bob:{DIGITS.replace(' ', '')}"
    rows = qr.rows(text)
    assert {len(row) for row in rows} == {37}
    assert len(rows) == 19
    assert set("".join(rows)) <= set("\u2588\u2580\u2584 ")
    assert rows[0] == "\u2588" * 37
    modules = [[each == 0 for each in row] for row in segno.make(text, micro=False).matrix_iter(border=2)]
    drawn = [[cell in upper for cell in row] for row in rows for upper in ("\u2588\u2580", "\u2588\u2584")]
    assert drawn[:37] == modules
