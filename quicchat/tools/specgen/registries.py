"""What numbers and names mean, and which version brought them: the tables of the registries. (spec 18-registries)"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from quicchat.tools.specgen import tables
from quicchat.wire.chapters import rooms, session
from quicchat.wire.registry import LAST_CORE_TYPE, RECORDS, REGISTRY, VERSIONS, Pdu, Registry

#: Bits of the policy of a room, each with what it says.
_POLICIES: Final = (
    (rooms.EPHEMERAL, "EPHEMERAL", "the room ends when its last member leaves", "5.3"),
    (rooms.INVITE_ONLY, "INVITE_ONLY", "who enters has to be invited", "5.2"),
    (rooms.ENCRYPTED, "ENCRYPTED", "what is said there is sealed; once set, it stays", "5.10"),
)


def registries(registry: Registry = REGISTRY) -> str:
    """All registries but those that have pages of their own."""
    return "\n".join(
        [
            tables.NOTICE,
            "# Registries\n",
            "The rules for new entries stand in [chapter 18](../18-registries.md). [PDU types](pdus.md), body keys",
            "(with the PDUs of each chapter), [error codes](errors.md) and [limits](limits.md) have their own pages.\n",
            *_types(registry),
            *_records(),
            *_keys_of_limits(),
            *_policies(),
            *(part for choice in choices(registry) for part in _choice(choice, registry)),
        ]
    )


def choices(registry: Registry = REGISTRY) -> list[type[IntEnum]]:
    """The sets of values that fields and records take, by name."""
    found = {of for cls in (*registry, *RECORDS) for field in cls.SPEC.fields for of in tables.chosen(field.type)}
    return sorted(found, key=lambda of: of.__name__)


def versions(registry: Registry = REGISTRY) -> str:
    """What each version after the first has brought."""
    parts = [tables.NOTICE, "# What each version brought\n"]
    for version in VERSIONS[1:]:
        new = [cls for cls in registry if cls.SPEC.since == version]
        grown = [(cls, field) for cls in registry for field in cls.SPEC.fields if field.since > cls.SPEC.since]
        parts += [
            f"## Version {version}: PDUs\n",
            tables.table(
                ("type", "PDU", "sent by", "section"),
                [(f"0x{cls.SPEC.number:02x}", cls.SPEC.name, _senders(cls), cls.SPEC.section) for cls in new],
            ),
            f"## Version {version}: fields of PDUs that were there\n",
            tables.table(
                ("PDU", "key", "field", "meaning"),
                [(cls.SPEC.name, str(at.key), at.name, at.doc) for cls, at in grown if at.since == version],
            ),
        ]
    return "\n".join(parts)


def _types(registry: Registry) -> Iterator[str]:
    taken = {cls.SPEC.number for cls in registry}
    free = [number for number in range(LAST_CORE_TYPE + 1) if number not in taken]
    yield "## Types that are free\n"
    yield f"Of the types up to 0x{LAST_CORE_TYPE:02x} these are not assigned: {_ranges(free)}.\n"


def _ranges(numbers: list[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"0x{run[0]:02x}" + (f" to 0x{run[-1]:02x}" if run[1:] else "") for run in runs)


def _records() -> Iterator[str]:
    yield "## Records\n"
    yield "Maps that travel as byte strings inside PDUs, with keys under the same rules as those of bodies.\n"
    rows = [
        (f"`{cls.SPEC.name}`", cls.SPEC.section, re.split(r"(?<=\.) ", " ".join(cls.SPEC.doc.split()))[0])
        for cls in RECORDS
    ]
    yield tables.table(("record", "section", "what"), rows)


def _keys_of_limits() -> Iterator[str]:
    negotiated, _, _ = tables.bounds()
    yield "## Keys of `limits`\n"
    yield tables.table(
        ("key", "name", "unit", "of what"), [(f"{one.key}", one.name, one.unit, one.meaning) for one in negotiated]
    )
    assert len(negotiated) == len(session.Limit)


def _policies() -> Iterator[str]:
    yield "## Bits of `policy`\n"
    rows = [(str(bit.bit_length() - 1), str(bit), name, what, section) for bit, name, what, section in _POLICIES]
    yield tables.table(("bit", "value", "name", "meaning", "section"), rows)


def _choice(of: type[IntEnum], registry: Registry) -> Iterator[str]:
    used = dict.fromkeys(
        f"`{field.name}` of {cls.SPEC.name}"
        for cls in (*registry, *RECORDS)
        for field in cls.SPEC.fields
        if of in tables.chosen(field.type)
    )
    yield f"## {of.__name__}\n"
    yield f"{' '.join((of.__doc__ or '').split())} Used by {', '.join(used)}.\n"
    yield tables.table(("value", "name"), [(str(int(member)), member.name) for member in of])


def _senders(cls: type[Pdu]) -> str:
    return " and ".join(sorted(role.value for role in cls.SPEC.by))
