"""Seals registrations as a hub does, for tests: by `pyhpke`, so that the server's own HPKE has a second opinion."""

import hashlib
import os
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey

from reader import wire
from tests.server import factory
from tests.server.conftest import Exchanged, Ward

SUITE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)


def plain(hub_id: bytes, registration_id: bytes, **said: Any) -> dict[int, Any]:
    """What a registration holds; `said` by field: specimen, given, family, birth, nhs_number, phone …"""
    at_ms = factory.now_ms()
    return {
        wire.REG_ID: registration_id,
        wire.REG_HUB: hub_id,
        wire.REG_MADE_MS: at_ms,
        wire.REG_SPECIMEN: said.get("specimen", "S-1"),
        wire.REG_GIVEN: said.get("given", "Zoë"),
        wire.REG_FAMILY: said.get("family", "O'Neill"),
        wire.REG_BIRTH: said.get("birth", "1980-03-07"),
        wire.REG_NHS_NUMBER: said.get("nhs_number", "9990000018"),
        wire.REG_PHONE: said.get("phone", "07700 900123"),
        wire.REG_EMAIL: said.get("email", ""),
        wire.REG_ADDRESS: said.get("address", ""),
        wire.REG_POSTCODE: said.get("postcode", "ZZ9 7QX"),
        wire.REG_LANGUAGE: said.get("language", ""),
        wire.REG_SAFE_CONTACT: said.get("safe_contact", ""),
        wire.REG_LOCAL: said.get("local", []),
        wire.REG_CONSENT: ["A test, and that its result is told", at_ms, "A Nurse"],
    }


def seal(content: dict[int, Any], public_key: bytes, hub_id: bytes, registration_id: bytes) -> bytes:
    """Any content under any key and envelope."""
    key = KEMKey.from_pyca_cryptography_key(X25519PublicKey.from_public_bytes(public_key))
    enc, context = SUITE.create_sender_context(key, wire.INFO_REGISTRATION + hub_id + registration_id)
    message = enc + context.seal(cbor2.dumps(content, canonical=True))
    return cbor2.dumps([hashlib.sha256(public_key).digest()[:8], hub_id, registration_id, message])


async def key_of(ward: Ward) -> bytes:
    """The key that the server tells the ward's hub."""
    return (await ward.exchange()).header[wire.HEAD_REGISTRATION_KEY]


async def registered(ward: Ward, **said: Any) -> bytes:
    """A registration of the ward's hub, sealed for its organisation."""
    hub_id, registration_id = bytes.fromhex(ward.hub_id), os.urandom(16)
    return seal(plain(hub_id, registration_id, **said), await key_of(ward), hub_id, registration_id)


async def offer(ward: Ward, *sealed: bytes) -> list[tuple[int, str | None]]:
    """(disposition, problem) of each registration."""
    body = factory.exchange_body() + factory.sequence(*([wire.ITEM_REGISTRATION, one] for one in sealed))
    response = await ward.post(body)
    assert response.status_code == 200, response.text
    items = Exchanged(factory.items_of(response.content)).of(wire.ITEM_REGISTRATION)
    named = [cbor2.loads(one)[2] for one in sealed]
    assert [item[1] for item in items] == named
    return [(item[2], item[3]) for item in items]
