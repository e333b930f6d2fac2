"""Sign-up and login against a whole server, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from quicchat.client.api import Chat
from quicchat.client.login import Identity, log_in
from quicchat.client.requests import Requests
from quicchat.errors import Code, LinkLost, LocalProtocolError, Refused
from quicchat.protocol import scram
from quicchat.server.adapters.store_memory import MemoryStore
from quicchat.server.model import Credentials, Patience
from quicchat.wire import codec, frame
from quicchat.wire.chapters.accounts import HEADS, MECHANISM, AuthChallenge, AuthOk, AuthResponse, AuthStart, Signup
from quicchat.wire.chapters.messages import Post
from quicchat.wire.chapters.session import Ok
from quicchat.wire.names import Device, User, direct
from quicchat.wire.registry import Pdu
from tests.server.house import OPEN, World, play, refusal, texts, world


def _wrong(user: str) -> Identity:
    return Identity(user=user, password="not it", iterations=1)


async def _ask(here: World) -> tuple[Chat, Requests]:
    """A connection that is negotiated, and its requests, to speak to the server step by step."""
    chat = Chat(here.link())
    here.chats.append(chat)
    await chat._negotiated
    return chat, chat._requests


def test_an_account_is_made_once_and_survives() -> None:
    """R1.11, R2.34: of two who sign up the same name at once exactly one wins; the other is told NAME_TAKEN."""

    async def scenario() -> None:
        async with world() as here:
            results = await asyncio.gather(here.enter("alice"), here.enter("alice"), return_exceptions=True)
            refused = [each for each in results if isinstance(each, Refused)]
            assert [each.code for each in refused] == [Code.NAME_TAKEN]
            assert len([each for each in results if isinstance(each, Chat)]) == 1

    play(scenario)


def test_unknown_name_and_wrong_password_are_answered_alike() -> None:
    """A1: the same PDUs, the same codes, after the same time; the salt of an unknown name stays the same."""

    async def attempt(here: World, user: str) -> tuple[bytes, int, Code, float]:
        _, requests = await _ask(here)
        loop = asyncio.get_running_loop()
        start = loop.time()
        login = scram.ClientLogin(user, bytes(18))
        begin = AuthStart(mechanism=MECHANISM, user=user, data=login.first)
        challenge = (await requests.ask(begin, AuthChallenge)).data
        salt, iterations = login.parameters(challenge)
        final = login.final(challenge, bytes(32), bytes(64))
        code = await refusal(requests.ask(AuthResponse(data=final), AuthOk))
        return salt, iterations, code, loop.time() - start

    async def scenario() -> None:
        async with world() as here:
            await here.enter("alice")
            known, unknown, again = [await attempt(here, name) for name in ("alice", "mallory", "mallory")]
            assert known[1:3] == unknown[1:3] == (1, Code.AUTH_FAILED)
            assert len(known[0]) == len(unknown[0]) == 16
            assert known[3] == pytest.approx(unknown[3], abs=0.001)
            assert unknown[0] == again[0]

    play(scenario)


def test_guessing_gets_slower_and_is_cut_off() -> None:
    """R0.8, R1.10, A3: each failure delays the next answer, the third closes; the account itself is never locked."""

    async def scenario() -> None:
        async with world() as here:
            alice = await here.enter("alice")
            await alice.close()
            loop = asyncio.get_running_loop()
            waits = []
            chat = Chat(here.link())
            for _ in range(2):
                start = loop.time()
                with pytest.raises(Refused, match="AUTH_FAILED"):
                    await chat.open(_wrong("alice"))
                waits.append(loop.time() - start)
            with pytest.raises(Refused, match="AUTH_FAILED"):
                await chat.open(_wrong("alice"))
            await chat.close()
            assert chat.lost is not None
            assert chat.lost.code == Code.AUTH_FAILED
            assert waits[1] > waits[0] + 0.2
            assert (await here.enter("alice", sign_up=False)).version == 2

    play(scenario)


def test_patience_grows_by_place_and_has_an_end() -> None:
    """A3: the delay belongs to account and address, doubles up to 5 s, and is forgotten after ten minutes."""
    patience = Patience()
    delays = []
    for _ in range(10):
        delays.append(patience.delay("alice 192.0.2.1", 1000))
        patience.add("alice 192.0.2.1", 1000)
    assert delays[:4] == [0.0, 0.25, 0.5, 1.0]
    assert max(delays) == 5.0
    assert patience.delay("alice 192.0.2.2", 1000) == 0.0
    assert patience.delay("alice 192.0.2.1", 700_000) == 0.0


def test_who_asks_for_taken_names_must_wait() -> None:
    """A2: three NAME_TAKEN answers in ten minutes to one address, then RATE_LIMITED."""

    async def scenario() -> None:
        async with world() as here:
            await here.enter("alice")

            async def again(address: str) -> Code:
                link = here.link()
                link.address = address
                here.chats.append(chat := Chat(link))
                return await refusal(chat.open(Identity(user="alice", password="x", sign_up=True, iterations=1)))

            codes = [await again(f"192.0.2.1:{port}") for port in range(4000, 4004)]
            assert codes == [Code.NAME_TAKEN] * 3 + [Code.RATE_LIMITED]
            assert await again("192.0.2.2:4000") is Code.NAME_TAKEN
            await asyncio.sleep(601)
            assert await again("192.0.2.1:4004") is Code.NAME_TAKEN

    play(scenario)


def test_sign_up_by_invitation_or_not_at_all() -> None:
    """[4.1-4] Where sign-up is closed or by invitation, everybody else is refused alike."""

    async def sign_up(here: World, user: str, invite: str | None) -> None:
        chat, _ = await _ask(here)
        await chat.open(Identity(user=user, password="x", sign_up=True, invite=invite, iterations=1))

    async def scenario() -> None:
        async with world(replace(OPEN, signup="closed")) as here:
            assert await refusal(sign_up(here, "alice", None)) is Code.SIGNUP_CLOSED
        async with world(replace(OPEN, signup="invite", invites=frozenset({"sesame"}))) as here:
            assert await refusal(sign_up(here, "alice", "guess")) is Code.SIGNUP_CLOSED
            assert await refusal(sign_up(here, "alice", None)) is Code.SIGNUP_CLOSED
            await sign_up(here, "alice", "sesame")

    play(scenario)


def test_too_few_iterations_are_refused() -> None:
    """[4.1-5] A server keeps no proof that is cheaper to guess than it demands."""

    async def scenario() -> None:
        async with world(replace(OPEN, least_iterations=4096)) as here:
            assert await refusal(here.enter("alice")) is Code.AUTH_FAILED

    play(scenario)


def test_many_guesses_at_once_wait_their_turn() -> None:
    """A3: twenty connections that guess at the same moment do not share the first one's patience."""

    async def scenario() -> None:
        async with world() as here:
            await (await here.enter("alice")).close()
            loop = asyncio.get_running_loop()
            start = loop.time()
            links = [here.link() for _ in range(6)]
            for port, link in enumerate(links, 4000):
                link.address = f"192.0.2.1:{port}"
            guesses = [refusal(Chat(link).open(_wrong("alice"))) for link in links]
            waits = []
            for guess in asyncio.as_completed(guesses):
                assert await guess is Code.AUTH_FAILED
                waits.append(loop.time() - start)
            assert [round(b - a, 2) for a, b in itertools.pairwise(waits)] == [0.25, 0.25, 0.5, 1.0, 2.0]

    play(scenario)


def test_an_old_derivation_is_told_to_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    """A14: the server cannot derive anew what it never saw; it lets the user in, and says who should change it."""

    async def scenario() -> None:
        store = MemoryStore()
        async with world(store=store) as here:
            await (await here.enter("alice")).close()
        async with world(replace(OPEN, least_iterations=4096), store=store) as here:
            await here.enter("alice", sign_up=False)

    with caplog.at_level("INFO", logger="quicchat.server"):
        play(scenario)
    (told,) = [each for each in caplog.records if each.message == "weak password hash"]
    assert (told.user, told.iterations) == ("alice", 1)  # type: ignore[attr-defined]


def test_several_devices_each_hear_everything() -> None:
    """C2, protocol §7.6: own messages echo to one's other devices, not to the one that sent them."""

    async def scenario() -> None:
        async with world() as here:
            phone = await here.enter("alice", device=b"A" * 16)
            laptop = await here.enter("alice", device=b"B" * 16, sign_up=False)
            await phone.post("general", "from the phone")
            assert await texts(laptop, "general") == ["alice joined", "from the phone"]
            assert await texts(phone, "general") == ["alice joined", "from the phone"]

    play(scenario)


def test_an_edited_version_list_breaks_the_login() -> None:
    """S7, protocol §1: whoever changes the negotiation on its way is found out by both ends (0x209)."""

    async def scenario() -> None:
        async with world() as here:
            await (await here.enter("alice")).close()
            chat, requests = await _ask(here)
            requests.connection.negotiation.witness(b"another list")
            with pytest.raises(Refused) as found:
                await chat.open(Identity(user="alice", password="secret", iterations=1))
            assert found.value.code is Code.DOWNGRADE
            await chat.close()
            assert chat.lost is not None
            assert chat.lost.code == Code.DOWNGRADE

    play(scenario)


def test_another_certificate_breaks_the_login() -> None:
    """A10, protocol §6: the proof holds for the connection it was made in; one relayed from another is refused."""

    async def scenario() -> None:
        async with world() as here:
            await (await here.enter("alice")).close()
            chat, requests = await _ask(here)
            with pytest.raises(Refused) as found:
                await log_in(requests, Identity(user="alice", password="secret", iterations=1), b"x" * 32)
            assert found.value.code is Code.DOWNGRADE
            await chat.close()

    play(scenario)


def test_somebody_with_very_many_direct_messages_can_log_in() -> None:
    """[4.2-9] AUTH_OK holds 512 heads; of more rooms those with news come first."""

    async def scenario() -> None:
        async with world() as here:
            await (await here.enter("alice", device=b"A" * 16)).close()
            keys = Credentials(salt=bytes(16), iterations=1, stored_key=bytes(32), server_key=bytes(32))
            for number in range(600):
                user = User(f"u{number}")
                await here.store.accounts.sign_up(user, keys, at=1)
                room = direct(user, User("alice"))
                post = Post(room=room, cid=number.to_bytes(16, "big"), text="hi")
                await here.store.log.append(room, user, Device(bytes(16)), post, at=1)
            alice = await here.enter("alice", device=b"A" * 16, sign_up=False)
            assert len(alice.state.rooms) == HEADS
            assert len([text for text in await texts(alice) if text == "hi"]) >= HEADS - 2

    play(scenario)


def test_forty_logins_at_once() -> None:
    """A4: logins cost the server no derivation, so that many at once all succeed and nobody waits for long."""

    async def scenario() -> None:
        async with world() as here:
            chats = await asyncio.gather(*(here.enter(f"u{number}") for number in range(40)))
            assert len({chat.state.session for chat in chats}) == 40
            assert asyncio.get_running_loop().time() < 2.0

    play(scenario)


ODD_NAMES = ("", "Alice", "al ice", "\u0430lice", "a" * 33, "al\u00adice", "../x", "alice\n")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_are_plain(name: str) -> None:
    """U6: accounts are ASCII [a-z0-9_-]{1,32}; anything else never leaves the client, and is SCHEMA on the wire."""

    async def scenario() -> None:
        async with world() as here:
            _, requests = await _ask(here)
            keys = {"salt": bytes(16), "iterations": 1, "stored_key": bytes(32), "server_key": bytes(32)}
            with pytest.raises(LocalProtocolError, match=r"SIGNUP\.user"):
                await requests.ask(Signup(user=name, **keys), Ok)  # type: ignore[arg-type]

    play(scenario)


def test_a_password_must_be_one() -> None:
    """A5: empty, over 1024 bytes or with control characters: refused before anything is sent."""

    async def scenario() -> None:
        async with world() as here:
            for password in ("", "x" * 1025, "a\0b"):
                chat, _ = await _ask(here)
                identity = Identity(user="alice", password=password, sign_up=True, iterations=1)
                assert await refusal(chat.open(identity)) is Code.SCHEMA

    play(scenario)


def test_two_spellings_of_one_password() -> None:
    """A5: e + acute accent is the same password as e with acute."""

    async def scenario() -> None:
        async with world() as here:
            await (await here.enter("alice", password="caf\u00e9")).close()
            assert (await here.enter("alice", password="cafe\u0301", sign_up=False)).version == 2

    play(scenario)


def test_before_login_nothing_but_login() -> None:
    """R1.9, S3: MSG_SEND before login is fatal STATE, and nothing is stored."""

    async def scenario() -> None:
        async with world() as here:
            alice = await here.enter("alice")
            chat, requests = await _ask(here)
            early: Pdu = Post(room="general", cid=bytes(16), text="early")
            chat.link.send(0, frame.wrap(codec.encode(early, version=2, id=1)))
            await requests.ended
            assert isinstance(requests.lost, LinkLost)
            assert requests.lost.code == Code.STATE
            assert [event.text for event in await alice.history("general")] == ["alice joined"]

    play(scenario)


def test_who_does_not_log_in_is_sent_away() -> None:
    """A6: 15 s after the negotiation without a login: fatal AUTH_FAILED."""

    async def scenario() -> None:
        async with world() as here:
            _, requests = await _ask(here)
            start = asyncio.get_running_loop().time()
            await requests.ended
            assert requests.lost is not None
            assert requests.lost.code == Code.AUTH_FAILED
            assert 14.5 < asyncio.get_running_loop().time() - start < 16

    play(scenario)
