"""The vocabulary in CDDL (RFC 8610), every limit included. (spec 02-framing)"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from quicchat.errors import Code
from quicchat.wire.registry import FIRST_EXTENSION_KEY, RECORDS, REGISTRY, VERSIONS, Pdu, Registry
from quicchat.wire.types import MAX_PAIRS

_HEAD = f"""\
; The PDUs of quicchat, versions {VERSIONS[0]} to {VERSIONS[-1]}, in CDDL (RFC 8610). Generated; do not edit.
;
; This grammar describes what may be sent. The rules that it cannot express (limits in all, who may send
; what and when, what to do about a PDU that breaks them) stand in the chapters beside it.

pdu = @PDUS@

; What every PDU has beside its type and body.
envelope = (
  0 => 1..255, ; version
  ? 2 => uint, ; id: names a request
  ? 3 => uint, ; re: the id that this answers
  ? 4 => uint, ; ts: the sender's clock, Unix ms
  ? 6 => {{0*{MAX_PAIRS} uint => bytes}}, ; ext
)

; Odd keys may be ignored, even ones must be understood.
extension-key = uint .ge {FIRST_EXTENSION_KEY}
extension-value = int / text / bytes / bool / null / [* extension-value] / {{* uint => extension-value}}
"""


def cddl(registry: Registry = REGISTRY) -> str:
    """One grammar for all PDUs of a registry and all codes of ERROR."""
    names = textwrap.fill(
        " / ".join(cls.SPEC.name for cls in registry), 100, subsequent_indent="      ", break_on_hyphens=False
    )
    parts = [_HEAD.replace("@PDUS@", names), *(_pdu(cls) for cls in registry), *map(_record, RECORDS), _codes()]
    return "\n".join(parts)


def _pdu(cls: type[Pdu]) -> str:
    spec = cls.SPEC
    lines = [f"; {line}" for line in textwrap.wrap(" ".join(spec.doc.split()), 100)]
    lines.append(f"{spec.name} = {{envelope, 1 => {spec.number}, 5 => {spec.name}-body}}")
    lines.append(f"{spec.name}-body = {{")
    lines += _fields(cls)
    lines += ["  * extension-key => extension-value,", "}", ""]
    return "\n".join(lines)


def _record(cls: type[Pdu]) -> str:
    """A map that travels as a byte string."""
    spec = cls.SPEC
    lines = [f"; {line}" for line in textwrap.wrap(" ".join(spec.doc.split()), 100)]
    return "\n".join([*lines, f"{spec.name} = {{", *_fields(cls), "  * extension-key => extension-value,", "}", ""])


def _fields(cls: type[Pdu]) -> Iterator[str]:
    for field in cls.SPEC.fields:
        since = f" (since {field.since})" if field.since > cls.SPEC.since else ""
        yield f"  ; {field.name}: {field.doc}{since}"
        yield f"  {'? ' if field.optional else ''}{field.key} => {field.type.cddl()},"


def _codes() -> str:
    lines = ["; The codes of ERROR, GOAWAY and of a close.", "error-code = &("]
    lines += [f"  {code.name}: {int(code)}, ; 0x{int(code):x}" for code in Code]
    return "\n".join([*lines, ")", ""])
