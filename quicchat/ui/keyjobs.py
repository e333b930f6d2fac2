"""`quicchat keys`: show, give out, take in, back up and compare what end-to-end encryption goes by. (spec 12-operation)

Everything but `restore` without a file needs no server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import field
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from quicchat.client.chance import HERE
from quicchat.client.e2ee.faults import BadKey, SealError
from quicchat.client.e2ee.keyring import ONLY, Drawer
from quicchat.client.e2ee.provider import NOT_INSTALLED, is_installed
from quicchat.client.reserve import is_held
from quicchat.client.trusting import place
from quicchat.config import ClientConfig
from quicchat.config.files import replace
from quicchat.errors import LinkLost, UsageError
from quicchat.ui.cargo import NO_FILE
from quicchat.ui.errands import STREAM, Errand
from quicchat.ui.errands import run as run_job
from quicchat.ui.keychain import NO_KEYS, Keychain, keychain, user_of
from quicchat.ui.lines import Lines
from quicchat.ui.slots import YES, safety_digits, user_name
from quicchat.ui.tables import grouped
from quicchat.ui.visible import visible
from quicchat.ui.visit import ask
from quicchat.values import dataclass

if TYPE_CHECKING:
    from quicchat.client.e2ee.openpgp import Certificate, Secret

#: What a file of keys may have.
_LARGEST: Final = 64 * 1_048_576
_USAGE: Final = "say what to do: show, export [FILE], import FILE, backup FILE, restore [FILE], or verify USER [DIGITS]"


@dataclass(frozen=True, slots=True)
class Wish:
    """How it was asked for: `secret` shows what is secret, `sure` asks nothing, `json` tells it as an object."""

    secret: bool
    sure: bool
    json: bool

    def tell(self, lines: Sequence[str], event: str, **facts: Any) -> None:
        """What came of it."""
        if self.json:
            sys.stdout.write(json.dumps({"event": event, **facts}, separators=(",", ":")) + "\n")
        else:
            sys.stdout.writelines(f"{visible(line)}\n" for line in lines)

    def agreed(self, question: str) -> None:
        """The person says yes. Raises UsageError where he does not, or nobody is there to ask."""
        if self.sure:
            return
        lines = Lines.of_stdin()
        if not lines.interactive:
            raise UsageError(f"{question} --yes says so")
        ask(f"{visible(question)} [y/N] ")
        if (lines.read() or "").strip().lower() not in ("y", "yes"):
            raise UsageError("nothing was changed", NO_FILE)


def run(config: ClientConfig, what: str, words: Sequence[str], *, secret: bool, sure: bool) -> int:
    """Do it; the exit code. Raises UsageError, KeyboardInterrupt."""
    wish = Wish(secret, sure, config.json)
    if what == "restore" and not words:
        if not is_installed():
            raise UsageError(NOT_INSTALLED, NO_KEYS)
        if is_held(config.data, place(config.host, config.port), user_of(config)):
            raise UsageError(f"the client of {user_of(config)} is running: type /restore there", NO_KEYS)
        return run_job(config, Recover(wish), own=True)
    try:
        asyncio.run(_done(config, what, words, wish))
    except SealError as fault:
        raise UsageError(fault.text, NO_FILE) from None
    except LinkLost:
        text = f"no keys of {visible(words[0])} are known here yet: /verify in the client asks for them"
        raise UsageError(text, NO_FILE) from None
    return 0


async def _done(config: ClientConfig, what: str, words: Sequence[str], wish: Wish) -> None:
    match what, words:
        case "show", []:
            async with keychain(config) as keys:
                _show(keys, place(config.host, config.port), wish)
        case "export", [] | [_]:
            async with keychain(config) as keys:
                _export(keys, words[0] if words else STREAM, wish)
        case "import", [file]:
            await _import(config, _read(file), file, wish)
        case "backup", [file]:
            async with keychain(config) as keys:
                await _back_up(keys, Path(file), wish)
        case "restore", [file]:
            data = _read(file)
            code = typed_code()
            async with keychain(config, "end it first") as keys:
                await _restore(keys, data, code, wish)
        case "verify", [user]:
            async with keychain(config) as keys:
                await _numbers(keys, _user(user), wish)
        case "verify", [user, *digits]:
            async with keychain(config, f"type /verify {user} there") as keys:
                await _verify(keys, _user(user), "".join(digits), wish)
        case _:
            raise UsageError(_USAGE)


# What there is


def _show(keys: Keychain, where: str, wish: Wish) -> None:
    own, person, backup = keys.directory.own, keys.directory.person(keys.user), keys.backup
    assert own is not None
    here = own.device.certificate.fingerprint
    listed = person.devices if person is not None else ()
    devices = [
        {"fingerprint": mark.hex(), "name": name, "own": mark == here, "flaw": flaw} for mark, name, flaw in listed
    ]
    people = [each for each in keys.directory.people() if each.user != keys.user]
    facts = {
        "user": keys.user,
        "server": where,
        "identity": person.fingerprint.hex() if person is not None else None,
        "signs": own.identity is not None,
        "device": here.hex(),
        "listed": own.listed,
        "devices": devices,
        "backup": {"generation": backup.generation or None, "code": (backup.code or None) if wish.secret else None},
        "people": [
            {"user": each.user, "trust": each.trust.name.lower(), "identity": each.fingerprint.hex()} for each in people
        ],
    }
    wish.tell(_shown(keys, facts, wish), "keyring", **facts)


def _shown(keys: Keychain, facts: dict[str, Any], wish: Wish) -> list[str]:
    from quicchat.client.e2ee.recovery import shown

    signs = "can let devices in" if facts["signs"] else "its secret key is not on this device"
    standing = "let in" if facts["listed"] else "not let in: approve it on another device, or quicchat keys restore"
    lines = [
        f"{facts['user']} at {facts['server']}",
        f"identity     {grouped(bytes.fromhex(facts['identity']))} ({signs})"
        if facts["identity"]
        else "identity     not known here",
        f"this device  {grouped(bytes.fromhex(facts['device']))} ({standing})",
    ]
    for each in facts["devices"]:
        if not each["own"]:
            flaw = f"; {each['flaw']}" if each["flaw"] else ""
            lines.append(f"device       {grouped(bytes.fromhex(each['fingerprint']))} ({each['name']}{flaw})")
    if keys.backup.code is None:
        lines.append("backup       its recovery code is not known on this device")
    elif wish.secret:
        lines.append(f"backup       recovery code {shown(keys.backup.code)}")
    else:
        lines.append("backup       kept at the server; /recovery, or --secret here, shows the code")
    lines += [
        f"{_said(each['trust']):<12} {grouped(bytes.fromhex(each['identity']))} ({each['user']})"
        for each in facts["people"]
    ]
    return lines


def _said(trust: str) -> str:
    """How far somebody is trusted, in words."""
    return trust.lower().replace("_", " ")


# Giving out and taking in


def _export(keys: Keychain, file: str, wish: Wish) -> None:
    from quicchat.client.e2ee.openpgp import Armor, armored

    own = keys.directory.own
    assert own is not None
    if wish.secret:
        found = [each.data if each is not None else None for each in (own.identity, own.device)]
        sys.stderr.write("quicchat: these are secret keys: whoever has them reads and signs in your name\n")
    else:
        found = [_identity(keys), own.device.certificate.data]
    texts = [armored(each, Armor.SECRET if wish.secret else Armor.PUBLIC) for each in found if each is not None]
    text = "".join(texts)
    if file == STREAM:
        sys.stdout.write(text)
        return
    _write(Path(file), text.encode(), wish, mode=0o600 if wish.secret else 0o644)
    wish.tell([f"{file} holds {len(texts)} keys."], "exported", file=file, keys=len(texts), secret=wish.secret)


def _identity(keys: Keychain) -> bytes | None:
    """The certificate of one's own identity, where it is known here."""
    from quicchat.client.e2ee.records import Known

    known = keys.keyring.read(Known, Drawer.PERSON, keys.user.encode())
    return known.identity if known is not None else None


async def _import(config: ClientConfig, data: bytes, file: str, wish: Wish) -> None:
    from quicchat.client.e2ee.openpgp import Certificate, Secret

    try:
        secret = Secret.of(data)
    except BadKey as fault:
        try:
            found = Certificate.of(data)
        except BadKey:
            raise UsageError(f"{visible(file)}: {fault.text}", NO_FILE) from None
        async with keychain(config) as keys:
            _compare(keys, found, file, wish)
    else:
        async with keychain(config, "end it first") as keys:
            await _replace(keys, secret, wish)


def _compare(keys: Keychain, found: Certificate, file: str, wish: Wish) -> None:
    """Whose certificate it is, as far as that is known here."""
    for person in keys.directory.people():
        marks = {person.fingerprint: "identity", **{mark: f"device {name}" for mark, name, _ in person.devices}}
        if (what := marks.get(found.fingerprint)) is not None:
            text = f"{file} is the {what} of {person.user}, as it is known here ({_said(person.trust.name)})"
            facts = {"user": person.user, "what": what.split()[0], "trust": person.trust.name.lower()}
            wish.tell([text], "compared", fingerprint=found.fingerprint.hex(), **facts)
            return
    raise UsageError(
        f"{visible(file)} ({grouped(found.fingerprint)}) is not the key of anybody who is known here", NO_FILE
    )


async def _replace(keys: Keychain, secret: Secret, wish: Wish) -> None:
    """Use a key that was made elsewhere on this device."""
    own, mine = keys.directory.own, secret.certificate
    assert own is not None
    if (flaw := mine.flaw(int(HERE.wall() * 1000))) is not None or not mine.handle:
        raise UsageError(f"that key cannot be used: {flaw or 'nothing can be encrypted to it'}", NO_FILE)
    if own.identity is not None and mine.fingerprint == own.identity.certificate.fingerprint:
        raise UsageError("that is the identity of the account; a device has a key of its own", NO_FILE)
    before = own.device.certificate.fingerprint
    if mine.fingerprint != before:
        question = f"Use {grouped(mine.fingerprint)} on this device, in the place of {grouped(before)}?"
        wish.agreed(question)
        for name, _ in list(keys.keyring.all(Drawer.VOICE)):
            keys.keyring.put(Drawer.VOICE, name, None)
        await keys.keyring.now(Drawer.DEVICE, ONLY, secret.data)
    lines = ["This device reads with that key from the next start of the client on."]
    if own.identity is None:
        lines.append("Another device of yours has to let it in anew: /approve there.")
    elif mine.fingerprint != before:
        lines.append(f"Then remove the one before from your devices: /remove-device {before.hex()[:16]}")
    wish.tell(lines, "imported", fingerprint=mine.fingerprint.hex(), before=before.hex())


# Backups


async def _back_up(keys: Keychain, file: Path, wish: Wish) -> None:
    data = await keys.backup.export()
    _write(file, data, wish)
    lines = [
        f"{file}: your identity and all keys, {len(data)} bytes, encrypted with the recovery code.",
        f"quicchat keys restore {file} takes it back; gpg --decrypt {file} opens it, too:",
        "the passphrase is the 36 digits without spaces.",
    ]
    wish.tell(lines, "backed-up", file=str(file), size=len(data))


async def _restore(keys: Keychain, data: bytes, code: str, wish: Wish) -> None:
    before = sum(1 for _ in keys.keyring.all(Drawer.SESSION))
    # What the server is to be told, it is told at the next start.
    with contextlib.suppress(LinkLost):
        await keys.backup.import_(data, code)
    count = sum(1 for _ in keys.keyring.all(Drawer.SESSION)) - before
    lines = [f"Restored; keys of {count} sessions are new here. The next start of the client lets this device in."]
    wish.tell(lines, "restored", sessions=count)


@dataclass(slots=True)
class Recover:
    """Take the backup from the server, as the client itself would."""

    wish: Wish
    quiet: bool = False
    unpacks: bool = False
    folder: Path = field(default_factory=Path)
    code: str = ""

    @property
    def takes_input(self) -> bool:
        return not Lines.of_stdin().interactive

    def prepare(self) -> None:
        from quicchat.client.e2ee import recovery

        try:
            self.code = recovery.read(typed_code())
        except SealError as fault:
            raise UsageError(fault.text) from None

    async def run(self, errand: Errand) -> None:
        try:
            await errand.asked(lambda: errand.desk.chat.keys.restore(self.code))
        except SealError as fault:
            raise UsageError(fault.text, NO_FILE) from None
        self.wish.tell(["Restored; this device is let in."], "restored", sessions=None)

    def close(self) -> None:
        """What was taken stays."""


def typed_code() -> str:
    """The recovery code: asked of a person, who does not see it, or the first line of a script. Raises UsageError."""
    lines = Lines.of_stdin()
    try:
        code = getpass("Recovery code: ") if lines.interactive else lines.read()
    except EOFError:
        code = None
    if not code:
        raise UsageError("no recovery code was given")
    return code


# Comparing


async def _numbers(keys: Keychain, user: str, wish: Wish) -> None:
    digits, person = await keys.directory.digits(user), keys.directory.person(user)
    groups = digits.split()
    trust = person.trust.name.lower() if person is not None else "unknown"
    lines = [f"{keys.user} and {user} ({_said(trust)}) see the same digits where nobody stands in between:"]
    lines += ["  " + " ".join(groups[at : at + 4]) for at in range(0, len(groups), 4)]
    lines.append(f"Once you have compared them: quicchat keys verify {user} yes")
    wish.tell(lines, "safety-number", user=user, trust=trust, digits="".join(groups))


async def _verify(keys: Keychain, user: str, digits: str, wish: Wish) -> None:
    try:
        typed = safety_digits(digits)
    except ValueError as error:
        raise UsageError(str(error)) from None
    await keys.directory.verify(user, None if typed == YES else typed)
    wish.tell([f"{user} is verified."], "verified", user=user)


# Small things


def _user(word: str) -> str:
    try:
        return user_name(word.removeprefix("@"))
    except ValueError as error:
        raise UsageError(str(error)) from None


def _read(file: str) -> bytes:
    path = Path(file)
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{visible(file)} is too large to hold keys", NO_FILE)
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{visible(file)}: {error.strerror}", NO_FILE) from None


def _write(path: Path, data: bytes, wish: Wish, *, mode: int = 0o600) -> None:
    if path.exists():
        wish.agreed(f"Write over {path}?")
    try:
        replace(path, data, mode)
    except OSError as error:
        raise UsageError(f"{visible(str(path))}: {error.strerror}", NO_FILE) from None
