"""How one result's record stands in its reader's chain, and how far its receipt has come. Pure."""

import hashlib
from enum import StrEnum

from reader import wire
from server.worklist.repository import Found


class Chain(StrEnum):
    """What is known of the chain at the record; every state but *first* and *whole* must be looked at or waited for."""

    BROKEN_RECORD = "broken-record"
    """What is stored does not have the hash that it was accepted under."""
    BROKEN_LINK = "broken-link"
    """It does not follow the record before it."""
    IN_CONFLICT = "in-conflict"
    """Another record claims its place."""
    NOT_WHOLE = "not-whole"
    """An earlier record is not here yet."""
    FIRST = "first"
    WHOLE = "whole"


class Receipt(StrEnum):
    """How far the receipt that lets the reader discard its copy has come."""

    NOT_YET = "not-yet"
    ISSUED = "issued"
    RELEASED = "released"


def chain(found: Found) -> Chain:
    """How the record stands in its reader's chain; its hash is computed anew."""
    record, number = found.record, found.result.number
    digest = hashlib.sha256(record.sealed).digest()[: wire.HASH_BYTES]
    first = hashlib.sha256(record.reader_id).digest()[: wire.HASH_BYTES]
    before = first if number == 1 else found.previous_hash
    if digest != record.chain_hash:
        return Chain.BROKEN_RECORD
    if before is not None and before != record.previous:
        return Chain.BROKEN_LINK
    if found.conflict:
        return Chain.IN_CONFLICT
    if found.custody.held_to < number:
        return Chain.NOT_WHOLE
    return Chain.FIRST if number == 1 else Chain.WHOLE


def receipt(found: Found) -> Receipt:
    """How far the receipt of the record has come."""
    if found.custody.held_to < found.result.number:
        return Receipt.NOT_YET
    return Receipt.RELEASED if found.custody.released_to >= found.result.number else Receipt.ISSUED
