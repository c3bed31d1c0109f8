"""What a webhook says, and the signature by which its receiver knows that it is ours: pure functions.

A delivery is a POST of JSON with two headers besides:

    Doorstep-Delivery: <id>          the same at every try: a receiver that has taken it does nothing more
    Doorstep-Signature: t=<Unix seconds>,v1=<HMAC-SHA256 in hexadecimal>

The HMAC is over the seconds in decimal, a full stop, and the body's bytes as they came. A receiver compares it in
constant time and refuses what is older than five minutes: `verified` is how, in Python.
"""

import hmac
import json
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from server.notices.models import WebhookDelivery

SIGNATURE, DELIVERY = "Doorstep-Signature", "Doorstep-Delivery"
TOLERANCE_S = 300


def body(origin: str, delivery: WebhookDelivery) -> bytes:
    """References only: which follow-up is overdue, how urgent, how often somebody was told. No word about a person."""
    said = {
        "id": str(delivery.id),
        "type": "follow-up.overdue",
        "result": str(delivery.result_id),
        "href": f"{origin}/results/{delivery.result_id}",
        "due_at": delivery.due_at.isoformat(),
        "urgency": delivery.urgency,
        "level": delivery.level,
    }
    return json.dumps(said, separators=(",", ":")).encode()


def body_of_test(origin: str, delivery_id: UUID) -> bytes:
    """A delivery that an administrator asked for, to see that it arrives: there is nothing to act on."""
    said = {"id": str(delivery_id), "type": "test", "href": f"{origin}/webhook"}
    return json.dumps(said, separators=(",", ":")).encode()


def headers(secret: bytes, content: bytes, delivery_id: UUID, at: datetime) -> dict[str, str]:
    """The headers of a delivery that is sent at `at`."""
    seconds = int(at.timestamp())
    return {
        "Content-Type": "application/json",
        "User-Agent": "Doorstep",
        DELIVERY: str(delivery_id),
        SIGNATURE: f"t={seconds},v1={_mac(secret, seconds, content)}",
    }


def verified(secret: bytes, signature: str, content: bytes, at: datetime) -> bool:
    """Whether a body came from us not long before `at`; for receivers, and for the tests. Never raises."""
    parts: dict[str, str] = {}
    for part in signature.split(","):
        name, _, value = part.partition("=")
        parts[name] = value
    seconds, mac = parts.get("t", ""), parts.get("v1", "")
    if not (seconds.isascii() and seconds.isdecimal() and len(seconds) <= 12):
        return False
    recent = abs(at.timestamp() - int(seconds)) <= TOLERANCE_S
    # Compared in constant time: the time it takes must not tell how much of a guess was right.
    return hmac.compare_digest(mac.encode(), _mac(secret, int(seconds), content).encode()) and recent


def _mac(secret: bytes, seconds: int, content: bytes) -> str:
    return hmac.new(secret, f"{seconds}.".encode() + content, sha256).hexdigest()
