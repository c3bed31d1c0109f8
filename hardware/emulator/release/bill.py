"""A software bill of materials as CycloneDX 1.6 JSON: the same components make the same bytes.

There is no time in it, and its serial number is derived from its content.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ALGORITHMS = {32: "SHA-256", 48: "SHA-384", 64: "SHA-512"}  # by length of the hash, in bytes


@dataclass(frozen=True, slots=True)
class Component:
    """A part. `hashes` are of the files that may be it; `licence` is an SPDX expression, or with `named` somebody's
    words for one; `needs` are the `ref` of others."""

    type: str
    name: str
    version: str
    ref: str
    hashes: tuple[bytes, ...] = ()
    licence: str = ""
    named: bool = False
    needs: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """As an element of `components`."""
        part: dict[str, Any] = {"type": self.type, "bom-ref": self.ref, "name": self.name}
        if self.version:
            part["version"] = self.version
        if self.hashes:
            part["hashes"] = [{"alg": _ALGORITHMS[len(one)], "content": one.hex()} for one in sorted(self.hashes)]
        if self.licence:
            part["licenses"] = [{"license": {"name": self.licence}} if self.named else {"expression": self.licence}]
        if self.ref.startswith("pkg:"):
            part["purl"] = self.ref
        return part


def write(
    subject: Component, components: Iterable[Component], tools: Sequence[Component], properties: Mapping[str, str]
) -> bytes:
    """The bill of `subject`. `tools` made it, and are no part of it."""
    parts = sorted(components, key=lambda part: part.ref)
    listed = {part.ref for part in parts}
    about: dict[str, Any] = {"component": subject.json()}
    if tools:
        about["tools"] = {"components": [tool.json() for tool in tools]}
    if properties:
        about["properties"] = [{"name": f"doorstep:{name}", "value": properties[name]} for name in sorted(properties)]
    bill: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": about,
        "components": [part.json() for part in parts],
        "dependencies": [
            {"ref": part.ref, "dependsOn": sorted(set(part.needs) & listed)}
            for part in sorted([subject, *parts], key=lambda part: part.ref)
        ],
    }
    content = hashlib.sha256(_bytes(bill)).hexdigest()
    return _bytes({**bill, "serialNumber": uuid.uuid5(uuid.NAMESPACE_OID, content).urn})


def _bytes(bill: dict[str, Any]) -> bytes:
    return (json.dumps(bill, indent=1, sort_keys=True, ensure_ascii=True) + "\n").encode()
