"""Who logs in, for whoever asks him before there is anything to log in with. (spec 04-accounts)"""

from __future__ import annotations

from dataclasses import field

from quicchat.values import dataclass

ITERATIONS = 600_000
#: A server that asks for fewer is not to be given a proof that is so easy to search (hostile A10).
LEAST_ITERATIONS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who logs in. `sign_up` makes the account first; `iterations` are those of a new one.

    Without a password only a token that is remembered logs in; with `prove` the password is to be right even where
    there is one. A server that asks for fewer iterations than
    `least_iterations`, or than those of a new account, is refused.
    """

    user: str
    password: str | None = field(default=None, repr=False)
    device_name: str = ""
    sign_up: bool = False
    prove: bool = False
    invite: str | None = None
    iterations: int = ITERATIONS
    least_iterations: int = LEAST_ITERATIONS

    @property
    def least(self) -> int:
        """The least iterations that a server may ask for."""
        return min(self.iterations, self.least_iterations)
