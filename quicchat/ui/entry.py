"""Who logs in: asked of a person, or taken from flags, files and the first lines of a script. (spec 04-accounts)"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from getpass import getpass
from pathlib import Path
from typing import Final, Protocol

from quicchat.client.login import Identity
from quicchat.config import BadSetting
from quicchat.config.files import read_private
from quicchat.errors import Code, Refused, UsageError
from quicchat.ui.lines import Lines
from quicchat.ui.visible import visible
from quicchat.ui.words import user_name

#: The exit code when nobody was let in.
NOT_IN: Final = 5


class Entry(Protocol):
    """Finds out who logs in. All of it waits, and happens while no connection is open: a server is impatient."""

    def first(self) -> Identity:
        """Whom to try first. Raises UsageError."""

    def again(self, tried: Identity, refusal: Refused) -> Identity:
        """Whom to try after a refusal. Raises UsageError where there is nobody."""

    def agrees(self, question: str) -> bool:
        """Whether the person says yes."""


class Script:
    """No person is there. A name that cannot log in is signed up, in case it is only unknown."""

    def __init__(self, user: str | None, password_file: Path | None, lines: Lines) -> None:
        self._user = user
        self._file = password_file
        self._lines = lines

    def first(self) -> Identity:
        user = self._user if self._user is not None else self._line("the user")
        password = _from_file(self._file) if self._file is not None else self._line("the password")
        return _identity(user, password)

    def again(self, tried: Identity, refusal: Refused) -> Identity:
        if refusal.code is Code.AUTH_FAILED and not tried.sign_up:
            return replace(tried, sign_up=True)
        match refusal.code:
            case Code.NAME_TAKEN:
                text = f"the password of {tried.user} is wrong"
            case Code.SIGNUP_CLOSED | Code.RATE_LIMITED:
                text = f"the name or the password is wrong, and {tried.user} cannot be signed up: {refusal.text}"
            case _:
                text = refusal.text
        raise UsageError(text, NOT_IN)

    def agrees(self, question: str) -> bool:
        return False

    def _line(self, what: str) -> str:
        line = self._lines.read()
        if line is None:
            raise UsageError(
                f"{what} is missing: give -u and QUICCHAT_PASSWORD_FILE, or user and password as the first lines of "
                "standard input",
                NOT_IN,
            )
        return line


class Known:
    """No person is there, but this device may hold a token of the user; else it is as for a `Script`."""

    def __init__(self, user: str | None, lines: Lines) -> None:
        self._user = user
        self._script = Script(user, None, lines)

    def first(self) -> Identity:
        return self._script.first() if self._user is None else Identity(user=_checked(self._user))

    def again(self, tried: Identity, refusal: Refused) -> Identity:
        if tried.password is None and refusal.code in (Code.AUTH_FAILED, Code.TOKEN_EXPIRED):
            return self._script.first()
        return self._script.again(tried, refusal)

    def agrees(self, question: str) -> bool:
        return False


class Person:
    """Asks at the terminal. `secret` asks for what must not be seen.

    A user who is known by name is tried without a password first: this device may hold a token of his.
    """

    def __init__(
        self, user: str | None, lines: Lines, say: Callable[[str], None], secret: Callable[[str], str] = getpass
    ) -> None:
        self._user = user
        self._lines = lines
        self._say = say
        self._secret = secret

    def first(self) -> Identity:
        if self._user is None:
            return self._asked(None)
        return Identity(user=_checked(self._user))

    def again(self, tried: Identity, refusal: Refused) -> Identity:
        match refusal.code:
            case Code.AUTH_FAILED | Code.TOKEN_EXPIRED if tried.password is None:
                return self._asked(tried.user)
            case Code.AUTH_FAILED if not tried.sign_up:
                answer = self._answer("Wrong name or password. Try again, or create the account? [t/c] ")
                return self._new(tried) if answer.strip().lower().startswith("c") else self._asked(None)
            case Code.NAME_TAKEN | Code.NAME_INVALID | Code.SIGNUP_CLOSED | Code.SCHEMA | Code.AUTH_FAILED:
                self._say(f"{visible(refusal.text)}\n")
                return self._asked(None)
        raise UsageError(refusal.text, NOT_IN)

    def agrees(self, question: str) -> bool:
        return self._answer("\n".join(map(visible, question.split("\n")))).strip().lower() in ("y", "yes")

    def _asked(self, user: str | None) -> Identity:
        """Ask until a name and a password could be right."""
        while True:
            name = user if user is not None else self._answer("User: ").strip()
            try:
                return _identity(name, self._hidden(f"Password of {visible(name)}: ") if name else "")
            except UsageError as error:
                self._say(f"{visible(str(error))}\n")
                user = None

    def _new(self, tried: Identity) -> Identity:
        """A new account, whose password was typed twice."""
        if self._hidden(f"New account {tried.user}; the password again: ") == tried.password:
            return replace(tried, sign_up=True)
        self._say("That was another password.\n")
        return self._asked(tried.user)

    def _answer(self, question: str) -> str:
        self._say(question)
        line = self._lines.read()
        if line is None:
            self._say("\n")
            raise UsageError("nobody logged in", NOT_IN)
        return line

    def _hidden(self, question: str) -> str:
        try:
            return self._secret(question)
        except EOFError:
            raise UsageError("nobody logged in", NOT_IN) from None


def _checked(user: str) -> str:
    try:
        return user_name(user.strip())
    except ValueError as error:
        raise UsageError(str(error), NOT_IN) from None


def _identity(user: str, password: str) -> Identity:
    name = _checked(user)
    if not password:
        raise UsageError(f"the password of {name} is empty", NOT_IN)
    return Identity(user=name, password=password, prove=True)


def _from_file(path: Path) -> str:
    """The first line of a file that nobody else can read."""
    try:
        data = read_private(path)
    except BadSetting as error:
        raise UsageError(f"password file {error}") from None
    except OSError as error:
        raise UsageError(f"password file {path}: {error.strerror}") from None
    line, _, _ = data.partition(b"\n")
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise UsageError(f"password file {path} is not UTF-8") from None
