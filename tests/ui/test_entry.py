"""Who logs in: what a script must bring, and what a person is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from quicchat.client.login import Identity
from quicchat.errors import Code, Refused, UsageError
from quicchat.ui.entry import SHORT, Person, Script
from quicchat.ui.lines import Lines
from quicchat.ui.users import last_user, remember
from tests.ui.stage import ALICE


@dataclass
class Typed(Lines):
    """Lines that are there already."""

    def __init__(self, *given: str) -> None:
        super().__init__(None)
        self.given = list(given)

    def read(self) -> str | None:
        return self.given.pop(0) if self.given else None


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("hunter2\n")
    path.chmod(0o600)
    return path


def test_a_script_takes_the_first_two_lines() -> None:
    """Issue item 9: user and password are the first two lines of a piped standard input, or the one that is missing."""
    lines = Typed("Alice", "pass word ", "hello")
    assert Script(None, None, lines).first() == Identity(user="alice", password="pass word ", prove=True)
    assert lines.given == ["hello"]
    lines = Typed("secret", "hello")
    assert Script("bob", None, lines).first() == Identity(user="bob", password="secret", prove=True)
    assert lines.given == ["hello"]


def test_a_script_takes_the_password_from_a_file_of_its_own(secret: Path) -> None:
    """Issue item 9: with QUICCHAT_PASSWORD_FILE nothing is read from standard input; others may not read the file."""
    lines = Typed("hello")
    assert Script("bob", secret, lines).first().password == "hunter2"
    assert lines.given == ["hello"]
    secret.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600") as caught:
        Script("bob", secret, lines).first()
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match="No such file"):
        Script("bob", secret.parent / "none", lines).first()


@pytest.mark.parametrize("given", [(), ("alice",), ("alice", ""), ("no such name!", "x"), ("", "x")])
def test_a_script_without_a_login_ends(given: tuple[str, ...]) -> None:
    """Issue item 9: exit code 5 where there is nobody to log in as."""
    with pytest.raises(UsageError) as caught:
        Script(None, None, Typed(*given)).first()
    assert caught.value.exit_code == 5


def test_a_script_signs_up_whoever_is_unknown() -> None:
    """R1.11, issue item 9: after a refused login comes one sign-up; a taken name means that the password was wrong."""
    script = Script(None, None, Typed())
    alice = Identity(user="alice", password="x", prove=True)
    again = script.again(alice, Refused(Code.AUTH_FAILED))
    assert again == replace(alice, sign_up=True)
    for code, words in (
        (Code.NAME_TAKEN, "password of alice is wrong"),
        (Code.SIGNUP_CLOSED, "does not accept new accounts"),
        (Code.RATE_LIMITED, "cannot be signed up"),
        (Code.AUTH_FAILED, "wrong"),
        (Code.ALREADY_LOGGED_IN, "already logged in from another location"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            script.again(again, Refused(code))
        assert caught.value.exit_code == 5
    assert not script.agrees("Trust it? ")


class Asked:
    """A person at a terminal: answers from two lists, and what he was shown."""

    def __init__(self, *answers: str, secrets: Sequence[str] = (), user: str | None = None) -> None:
        self.said: list[str] = []
        self.secrets = list(secrets)
        self.person = Person(user, Typed(*answers), self.said.append, self.hide)

    def hide(self, question: str) -> str:
        self.said.append(question)
        if not self.secrets:
            raise EOFError
        return self.secrets.pop(0)


def test_a_person_is_asked() -> None:
    """R1.2, R1.9, R3.7: for name and password; one who is named is tried without, and then asked for the password."""
    asked = Asked("alice", secrets=["one"])
    assert asked.person.first() == Identity(user="alice", password="one", prove=True)
    assert asked.said == ["User: ", "Password of alice: "]
    asked = Asked(secrets=["one"], user="Bob")
    named = asked.person.first()
    assert named == Identity(user="bob")
    assert asked.said == []
    for code in (Code.AUTH_FAILED, Code.TOKEN_EXPIRED):
        asked = Asked(secrets=["one"], user="Bob")
        assert asked.person.again(named, Refused(code)) == Identity(user="bob", password="one", prove=True)
        assert asked.said == ["Password of bob: "]


def test_a_person_is_asked_again_until_it_makes_sense() -> None:
    """R1.10: a name that cannot be one, or no password, is asked for again."""
    asked = Asked("\u00e4\u00f6\u00fc", "", "alice", "alice", secrets=["x", "", "one"])
    assert asked.person.first() == Identity(user="alice", password="one", prove=True)


def test_a_wrong_password_may_be_tried_again_or_be_a_new_account() -> None:
    """R1.10, R1.11: try again, or create the account, whose password is typed twice."""
    tried = Identity(user="alice", password="one of alice", prove=True)
    asked = Asked("t", "bob", secrets=["two"])
    assert asked.person.again(tried, Refused(Code.AUTH_FAILED)) == Identity(user="bob", password="two", prove=True)
    asked = Asked("c", secrets=["one of alice"])
    assert asked.person.again(tried, Refused(Code.AUTH_FAILED)) == replace(tried, sign_up=True)
    asked = Asked("C", secrets=["onw of alice", "one of alice"])
    assert asked.person.again(tried, Refused(Code.AUTH_FAILED)) == tried
    assert "another password" in "".join(asked.said)
    asked = Asked("carol", secrets=["three"])
    found = asked.person.again(replace(tried, sign_up=True), Refused(Code.NAME_TAKEN))
    assert found == Identity(user="carol", password="three", prove=True)
    assert asked.said[0] == "This name is taken.\n"


def test_a_new_password_has_a_least_length() -> None:
    """[12.13-2]: it is told before a new one is asked for; an empty one gives up, and scripts are not asked."""
    tried = Identity(user="alice", password="short", prove=True)
    asked = Asked("c", secrets=["sh\u00f6rter", "long enough", "long enough"])
    found = asked.person.again(tried, Refused(Code.AUTH_FAILED))
    assert found == Identity(user="alice", password="long enough", prove=True, sign_up=True)
    assert asked.said[1:4] == [f"{SHORT}\n", "New password of alice: ", f"{SHORT}\n"]
    asked = Asked("c", "bob", secrets=["", "pass2"])
    assert asked.person.again(tried, Refused(Code.AUTH_FAILED)) == Identity(user="bob", password="pass2", prove=True)
    assert Script(None, None, Typed()).again(tried, Refused(Code.AUTH_FAILED)).sign_up


def test_an_invitation_is_asked_for_where_one_is_needed() -> None:
    """[12.13-3]: where a server takes no sign-up a person may give an invitation, and whoever brought one gives it."""
    tried = Identity(user="alice", password="one of alice", prove=True, sign_up=True)
    asked = Asked(" sesame ")
    assert asked.person.again(tried, Refused(Code.SIGNUP_CLOSED)) == replace(tried, invite="sesame")
    assert "invitation" in asked.said[0]
    asked = Asked("", "bob", secrets=["two"])
    assert asked.person.again(tried, Refused(Code.SIGNUP_CLOSED)).user == "bob"
    asked = Asked("bob", secrets=["two"])
    assert asked.person.again(replace(tried, invite="wrong"), Refused(Code.SIGNUP_CLOSED)).user == "bob"
    lines = Typed("c")
    person = Person(None, lines, print, lambda _: "one of alice", invitation="sesame")
    known = replace(tried, sign_up=False)
    assert person.again(known, Refused(Code.AUTH_FAILED)) == replace(tried, invite="sesame")
    script = Script(None, None, Typed(), "sesame")
    assert script.again(known, Refused(Code.AUTH_FAILED)) == replace(tried, invite="sesame")


@pytest.mark.parametrize(
    ("after", "said"),
    [(None, "wait a moment."), (1, "in 1 seconds."), (90_001, "in 91 seconds."), (600_000, "in 10 minutes.")],
)
def test_how_long_to_wait_is_told(after: int | None, said: str) -> None:
    """[12.13-4]: who is refused for the moment is told when it is worth trying again."""
    refusal = Refused(Code.RATE_LIMITED, retry_after=after)
    with pytest.raises(UsageError, match=said) as caught:
        Asked().person.again(ALICE, refusal)
    assert caught.value.exit_code == 5
    with pytest.raises(UsageError, match=said):
        Script(None, None, Typed()).again(ALICE, refusal)


def test_whoever_is_new_is_told_so() -> None:
    """Issue 5, item 4: the first question says which server it is, and that one may be new there."""
    said: list[str] = []
    person = Person(None, Typed("alice"), said.append, lambda _: "one", place="chat.example:5000")
    assert person.first().user == "alice"
    assert "chat.example:5000" in said[0]
    assert "New there?" in said[0]
    assert Person("alice", Typed(), said.append, place="chat.example:5000").first().password is None


def test_a_person_who_goes_away_ends_it() -> None:
    """U9: Ctrl-D at any question ends with exit code 5, not with a traceback; so does a refusal no answer can mend."""
    for asked in (Asked(), Asked("alice")):
        with pytest.raises(UsageError) as caught:
            asked.person.first()
        assert caught.value.exit_code == 5
    with pytest.raises(UsageError, match="already logged in"):
        Asked("t").person.again(ALICE, Refused(Code.ALREADY_LOGGED_IN))


def test_only_yes_is_yes() -> None:
    """A10: a server is trusted for a yes, and for nothing else."""
    assert Asked("y").person.agrees("?")
    assert Asked(" YES ").person.agrees("?")
    for answer in ("", "n", "ja", "yy", "no"):
        assert not Asked(answer).person.agrees("?")


def test_the_last_user_of_a_server_is_remembered(tmp_path: Path) -> None:
    """Issue 3, item 4: a second run asks nothing; each server has a user of its own, and odd files tell nobody."""
    assert last_user(tmp_path, "a:1") is None
    remember(tmp_path, "a:1", "alice")
    remember(tmp_path, "b:1", "bob")
    assert [last_user(tmp_path, place) for place in ("a:1", "b:1", "a:2")] == ["alice", "bob", None]
    remember(tmp_path, "a:1", None)
    assert (last_user(tmp_path, "a:1"), last_user(tmp_path, "b:1")) == (None, "bob")
    for odd in ("", "[]", '{"b:1": 7}', '{"b:1": "no name!"}'):
        (tmp_path / "users.json").write_text(odd)
        assert last_user(tmp_path, "b:1") is None
    remember(tmp_path / "nowhere", "a:1", "alice")
    assert not (tmp_path / "nowhere").exists()
