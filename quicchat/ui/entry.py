"""Who logs in: asked of a person, or taken from flags, files and the first lines of a script. (spec 04-accounts)"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from getpass import getpass
from pathlib import Path
from typing import Final, Protocol

from quicchat.client.identity import Identity
from quicchat.config import BadSetting
from quicchat.config.files import read_private
from quicchat.errors import Code, Refused, UsageError
from quicchat.ui.lines import Lines
from quicchat.ui.slots import user_name
from quicchat.ui.visible import visible

#: The exit code when nobody was let in.
NOT_IN: Final = 5
#: Letters that a person's new password has at least.
LEAST: Final = 8
SHORT: Final = f"The password of a new account has at least {LEAST} characters."


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

    def __init__(
        self, user: str | None, password_file: Path | None, lines: Lines, invitation: str | None = None
    ) -> None:
        self._user = user
        self._file = password_file
        self._lines = lines
        self._invitation = invitation

    def first(self) -> Identity:
        user = self._user if self._user is not None else self._line("the user")
        password = _from_file(self._file) if self._file is not None else self._line("the password")
        return identity(user, password)

    def again(self, tried: Identity, refusal: Refused) -> Identity:
        if refusal.code is Code.AUTH_FAILED and not tried.sign_up:
            return replace(tried, sign_up=True, invite=self._invitation)
        match refusal.code:
            case Code.NAME_TAKEN:
                text = f"the password of {tried.user} is wrong"
            case Code.SIGNUP_CLOSED | Code.RATE_LIMITED:
                text = f"the name or the password is wrong, and {tried.user} cannot be signed up: {explained(refusal)}"
            case _:
                text = explained(refusal)
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
        return self._script.first() if self._user is None else Identity(user=checked(self._user))

    def again(self, tried: Identity, refusal: Refused) -> Identity:
        if tried.password is None and refusal.code in (Code.AUTH_FAILED, Code.TOKEN_EXPIRED):
            return self._script.first()
        return self._script.again(tried, refusal)

    def agrees(self, question: str) -> bool:
        return False


class Person:
    """Asks at the terminal. `secret` asks for what must not be seen, `place` is the server that he is told of.

    A user who is known by name is tried without a password first: this device may hold a token of his.
    """

    def __init__(
        self,
        user: str | None,
        lines: Lines,
        say: Callable[[str], None],
        secret: Callable[[str], str] = getpass,
        *,
        place: str = "",
        invitation: str | None = None,
    ) -> None:
        self._user = user
        self._lines = lines
        self._say = say
        self._secret = secret
        self._place = place
        self._invitation = invitation

    def first(self) -> Identity:
        if self._user is not None:
            return Identity(user=checked(self._user))
        if self._place:
            new = f"New there? Choose a name, and a password of at least {LEAST} characters."
            self._say(f"Log in to {self._place}.\n{new}\n")
        return self._asked(None)

    def again(self, tried: Identity, refusal: Refused) -> Identity:
        match refusal.code:
            case Code.AUTH_FAILED | Code.TOKEN_EXPIRED if tried.password is None:
                return self._asked(tried.user)
            case Code.AUTH_FAILED if not tried.sign_up:
                answer = self._answer("Wrong name or password. Try again, or create the account? [t/c] ")
                return self._new(tried) if answer.strip().lower().startswith("c") else self._asked(None)
            case Code.SIGNUP_CLOSED if tried.invite is None:
                word = self._answer(f"{visible(refusal.text)} Do you have an invitation? Its word, or Enter: ").strip()
                return replace(tried, invite=word) if word else self._asked(None)
        if not is_worth_another(refusal):
            raise UsageError(explained(refusal), NOT_IN)
        self._say(f"{visible(refusal.text)}\n")
        return self._asked(None)

    def agrees(self, question: str) -> bool:
        return self._answer("\n".join(map(visible, question.split("\n")))).strip().lower() in ("y", "yes")

    def _asked(self, user: str | None) -> Identity:
        """Ask until a name and a password could be right."""
        while True:
            name = user if user is not None else self._answer("User: ").strip()
            try:
                return identity(name, self._hidden(f"Password of {visible(name)}: ") if name else "")
            except UsageError as error:
                self._say(f"{visible(str(error))}\n")
                user = None

    def _new(self, tried: Identity) -> Identity:
        """A new account, whose password is long enough and was typed twice."""
        password = tried.password or ""
        while len(password) < LEAST:
            self._say(f"{SHORT}\n")
            password = self._hidden(f"New password of {tried.user}: ")
            if not password:
                return self._asked(None)
        if self._hidden(f"New account {tried.user}; the password again: ") == password:
            return replace(tried, password=password, sign_up=True, invite=self._invitation)
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


def is_worth_another(refusal: Refused) -> bool:
    """Whether another name or password may mend it."""
    return refusal.code in (
        Code.NAME_TAKEN,
        Code.NAME_INVALID,
        Code.SIGNUP_CLOSED,
        Code.SCHEMA,
        Code.AUTH_FAILED,
    )


def explained(refusal: Refused) -> str:
    """Why nobody was let in, and when it is worth trying again where that is known."""
    if refusal.retry_after is None:
        return refusal.text
    seconds = -(-refusal.retry_after // 1000)
    wait = f"{seconds} seconds" if seconds < 120 else f"{-(-seconds // 60)} minutes"
    return f"{refusal.text} Try again in {wait}."


def checked(user: str) -> str:
    """The name as the server knows it. Raises UsageError."""
    try:
        return user_name(user.strip())
    except ValueError as error:
        raise UsageError(str(error), NOT_IN) from None


def identity(user: str, password: str) -> Identity:
    """Who is to be let in by this password. Raises UsageError."""
    name = checked(user)
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
