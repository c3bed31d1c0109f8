"""The hub's errors: each has a stable code for machines and a sentence for a person."""


class HubError(Exception):
    """Something the operator or an engineer can act on.

    `code` is stable and hyphenated; `str(error)` is one or two sentences that end with what to do next. `exit_code` is
    what the command ends with when nothing handles the error sooner.
    """

    code = "hub-error"
    exit_code = 1

    def __init__(self, sentence: str, code: str | None = None) -> None:
        super().__init__(sentence)
        if code is not None:
            self.code = code


class UsageError(HubError):
    """The command was asked for something that cannot be."""

    code = "usage"
    exit_code = 2


class Malformed(HubError):
    """Bytes from the air or the network that are not of this protocol."""

    code = "malformed"


class StoreError(HubError):
    """The hub's own database cannot be used."""

    code = "store"


class DiskFull(StoreError):
    code = "disk-full"


class StoreReadOnly(StoreError):
    code = "store-read-only"


class StoreDamaged(StoreError):
    code = "store-damaged"


class AlreadyRunning(HubError):
    code = "already-running"


class NotEnrolled(HubError):
    code = "not-enrolled"
