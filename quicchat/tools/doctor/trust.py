"""Whether a server may be believed, and if not, exactly why. Nothing is trusted or remembered. (spec 11-security)"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from cryptography import x509

from quicchat.client.trust import (
    Authority,
    Changed,
    FirstUse,
    KnownHosts,
    Trusted,
    Verdict,
    authorities,
    decide,
    names_of,
    read_authority,
)
from quicchat.client.trusting import place
from quicchat.config import ClientConfig, is_loopback
from quicchat.errors import UsageError
from quicchat.tools.doctor.finding import NOT_TRUSTED, Finding, failed, ok, warning
from quicchat.values import dataclass
from quicchat.wire.fingerprint import same

#: Days before its end at which a certificate is worth a word.
_SOON: Final = 2
_OPERATOR: Final = "Ask the operator what `quicchat fingerprint` shows on the server"


@dataclass(frozen=True, slots=True)
class Belief:
    """What is to be told, and the authority to go on with: None where a client would not. `sure` is without asking."""

    finding: Finding
    authority: Authority | None = None
    sure: bool = False


def believe(config: ClientConfig, chain: list[bytes], now: datetime) -> Belief:
    """Judge what a server shows as a client with these settings would. Raises UsageError for an unfit --ca."""
    host, port = config.host, config.port
    # A file of this machine is no fault of the server's.
    anchors = [] if config.ca is None else authorities(read_authority(config.ca))
    if (untimely := _untimely(host, chain, now)) is not None:
        return Belief(untimely)
    try:
        verdict = _verdict(config, anchors, chain, now)
    except UsageError as error:
        return Belief(_misfit(host, chain, now, str(error)))
    wanted = config.fingerprint
    if wanted is not None and not same(wanted, verdict.authority.fingerprint):
        text = f"{place(host, port)} shows {verdict.authority.fingerprint}, not {wanted} as --fingerprint wants"
        advice = f"{_OPERATOR}; if it is another one, somebody stands in between: do not log in."
        return Belief(failed("certificate", NOT_TRUSTED, text, advice, reason="fingerprint"))
    return _judged(config, verdict, chain, now)


def _judged(config: ClientConfig, verdict: Verdict, chain: list[bytes], now: datetime) -> Belief:
    found, where = verdict.authority, place(config.host, config.port)
    until = x509.load_der_x509_certificate(chain[0]).not_valid_after_utc
    facts = {"fingerprint": found.fingerprint, "until": until.isoformat()}
    days = (until - now).total_seconds() / 86_400
    match verdict:
        case Changed(old=old) if config.ca is not None:
            text = f"{where} shows {found.fingerprint}, which is not under --ca ({old.fingerprint})"
            advice = f"{_OPERATOR}, and for its ca.pem; if they differ, somebody stands in between: do not log in."
            return Belief(failed("certificate", NOT_TRUSTED, text, advice, reason="ca", **facts))
        case Changed(old=old) if config.fingerprint is None:
            text = f"the key of {where} changed: it was {old.fingerprint}, and now is {found.fingerprint}"
            doubt = f"The server was set up anew, or somebody stands in between. {_OPERATOR}: if it is the second one,"
            go_on = "start the client once with --accept-new-fingerprint; if not, do not log in."
            return Belief(failed("certificate", NOT_TRUSTED, text, doubt, go_on, reason="changed", **facts))
        case FirstUse() if config.fingerprint is None:
            text = f"{where} is new to this device and shows {found.fingerprint}"
            if is_loopback(config.host):
                return Belief(ok("certificate", f"{text}; this machine is trusted", **facts), found, sure=True)
            advice = f"{_OPERATOR}, and compare; the client asks at its first start. Nothing was remembered now."
            return Belief(warning("certificate", text, advice, reason="unknown", **facts), found)
        case _ if days < _SOON:
            text = f"the certificate is trusted, but ends in {days * 24:.0f} hours"
            advice = "A server of ours renews it by itself; one with --cert needs a new one from its operator."
            return Belief(warning("certificate", text, advice, reason="ends soon", **facts), found, sure=True)
        case _:
            return Belief(ok("certificate", f"as known: {found.fingerprint}", **facts), found, sure=True)


def _verdict(config: ClientConfig, anchors: list[Authority], chain: list[bytes], now: datetime) -> Verdict:
    """Raises UsageError where it proves nothing, and for a file of known hosts that is unfit."""
    host, port = config.host, config.port
    if anchors:
        verdicts = [decide(each, chain, host, now) for each in anchors]
        return next((each for each in verdicts if isinstance(each, Trusted)), verdicts[0])
    known = KnownHosts(config.data / "known_hosts").find(host, port)
    if known is not None and config.fingerprint is not None and not same(config.fingerprint, known.fingerprint):
        known = None
    return decide(known, chain, host, now)


def _untimely(host: str, chain: list[bytes], now: datetime) -> Finding | None:
    """The leaf is too old or too new, or the clock is wrong."""
    try:
        leaf = x509.load_der_x509_certificate(chain[0])
    except (IndexError, ValueError):
        return None
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if start <= now <= end:
        return None
    is_over = now > end
    what = f"expired at {end:%Y-%m-%d %H:%M}" if is_over else f"is valid only from {start:%Y-%m-%d %H:%M}"
    text = f"the certificate of {host} {what} UTC; by the clock of this machine it is {now:%Y-%m-%d %H:%M}"
    advice = (
        "If that is not the time, set the clock of this machine (timedatectl).",
        "If it is, the operator has to renew the certificate (a server of ours does so by itself)"
        if is_over
        else "If it is, the clock of the server is wrong, or its operator has to wait.",
    )
    facts = {"from": start.isoformat(), "until": end.isoformat(), "now": now.astimezone(UTC).isoformat()}
    return failed("certificate", NOT_TRUSTED, text, *advice, reason="expired" if is_over else "not yet valid", **facts)


def _misfit(host: str, chain: list[bytes], now: datetime, said: str) -> Finding:
    """It is in date, but not for this host; or it leads nowhere."""
    names = names_of(chain[0]) if chain else []
    for name in names:
        try:
            decide(None, chain, name, now)
        except UsageError:
            continue
        text = f"the certificate is for {', '.join(names[:8])}, not for {host}"
        advice = (
            f"Call the server by one of these names; or its operator starts it with --name {host}.",
            "If you did not expect another name, this is another server, or somebody stands in between.",
        )
        return failed("certificate", NOT_TRUSTED, text, *advice, reason="name", names=names)
    whole = "No client can check it: its operator has to give the server a whole chain (--cert), or none at all."
    return failed("certificate", NOT_TRUSTED, said, whole, reason="chain")
