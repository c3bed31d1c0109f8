"""Every setting of the server: one DOORSTEP_* environment variable each, checked before anything starts.

Secrets are held as `SecretStr`, so that neither a log nor a traceback shows them.
"""

import base64
import binascii
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

MASTER_KEY_BYTES = 32
SECRET_BYTES_MIN = 32
# Fewer different bytes than this in a 32-byte secret has a chance below 1e-9 when it is random: it was typed or padded.
DISTINCT_BYTES_MIN = 16

HOW_TO_MAKE_ONE = 'Make one with: python -c "import base64, os; print(base64.b64encode(os.urandom(32)).decode())"'


class SettingsError(Exception):
    """A setting is missing or unusable; the text is one or more sentences that say which and what to set."""


class Settings(BaseSettings):
    """The settings, read from the environment. Times are in the unit that the name says."""

    model_config = SettingsConfigDict(env_prefix="DOORSTEP_", extra="ignore", env_ignore_empty=True)

    database_url: str | None = Field(
        default=None,
        description="PostgreSQL of the running server, postgresql://user@host/name. Absent: an embedded one.",
    )
    database_owner_url: str | None = Field(
        default=None, description="Login that owns the tables, used by `migrate` only. Absent: the running server's."
    )
    data_dir: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("doorstep"),
        description="Folder of the embedded PostgreSQL.",
    )
    database_pool: int = Field(default=8, ge=1, le=100, description="Most database connections of one process.")
    master_key: SecretStr | None = Field(
        default=None, description="32 random bytes, base64 or hexadecimal, that encrypt the readers' keys."
    )
    token_secret: SecretStr | None = Field(
        default=None, description="At least 32 random bytes, base64 or hexadecimal, that sign the hubs' tokens."
    )
    session_secret: SecretStr | None = Field(
        default=None, description="At least 32 random bytes, base64 or hexadecimal, that protect people's sessions."
    )
    base_url: str | None = Field(
        default=None,
        description="Address at which hubs and browsers reach this server. Absent: http, host and port below.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    requests_max: int = Field(default=200, ge=1, description="Requests served at once; more get 503.")
    exchanges_max: int = Field(
        default=4, ge=1, description="Exchanges worked on at once; more get 503 with Retry-After."
    )
    ticket_days: int = Field(default=30, ge=1, le=366, description="Life of a hub's ticket for a reader, days.")
    enrolment_hours: int = Field(default=24, ge=1, le=720, description="Life of a hub's enrolment code, hours.")
    clock_floor_hours: int = Field(default=24, ge=1, description="At most one clock floor a reader in so many hours.")
    session_hours: int = Field(default=12, ge=1, le=168, description="Life of a person's session, hours.")
    emergency_minutes: int = Field(default=60, ge=5, le=480, description="Life of emergency access, minutes.")
    jobs: bool = Field(default=True, description="Whether this process works at reminders; one that runs must.")
    smtp_host: str | None = Field(
        default=None, description="Mail server that takes reminders. Absent: they stand on the pages only."
    )
    smtp_port: int = Field(default=587, ge=1, le=65535, description="Its port.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection to it is protected; none is for a server on this machine."
    )
    smtp_user: str | None = Field(default=None, description="Name to sign in to it with. Absent: no sign-in.")
    smtp_password: SecretStr | None = Field(default=None, description="Password to sign in to it with.")
    mail_from: str = Field(default="doorstep@localhost", description="Address that reminders come from.")
    webhook_private: bool = Field(
        default=False,
        description="Whether webhooks may go to private networks and, by plain http, to this machine.",
    )
    time_zone: str = Field(default="Europe/London", description="Time zone in which people read dates and times.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged.")

    @property
    def origin(self) -> str:
        """The address of the server without a trailing slash, ready for a path."""
        if self.base_url is not None:
            return self.base_url.rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def secure(self) -> bool:
        """True when people reach the server by HTTPS, so that cookies must say Secure."""
        return urlsplit(self.origin).scheme == "https"

    def master_key_bytes(self) -> bytes:
        """The master key, 32 bytes. `SettingsError` when missing or weak."""
        key = _secret("DOORSTEP_MASTER_KEY", self.master_key)
        if len(key) != MASTER_KEY_BYTES:
            raise SettingsError(f"DOORSTEP_MASTER_KEY must be exactly {MASTER_KEY_BYTES} bytes. {HOW_TO_MAKE_ONE}")
        return key

    def token_secret_bytes(self) -> bytes:
        """The secret that signs tokens. `SettingsError` when missing or weak."""
        return _secret("DOORSTEP_TOKEN_SECRET", self.token_secret)

    def session_secret_bytes(self) -> bytes:
        """The secret of people's sessions. `SettingsError` when missing or weak."""
        return _secret("DOORSTEP_SESSION_SECRET", self.session_secret)

    def check(self) -> None:
        """Check all that `run` needs, and say everything that is wrong at once in a `SettingsError`."""
        problems: list[str] = []
        seen: dict[bytes, str] = {}
        for name, read in (
            ("DOORSTEP_MASTER_KEY", self.master_key_bytes),
            ("DOORSTEP_TOKEN_SECRET", self.token_secret_bytes),
            ("DOORSTEP_SESSION_SECRET", self.session_secret_bytes),
        ):
            try:
                secret = read()
            except SettingsError as error:
                problems.append(str(error))
                continue
            if secret in seen:
                problems.append(f"{name} must not be the same as {seen[secret]}. {HOW_TO_MAKE_ONE}")
            seen[secret] = name
        address = urlsplit(self.origin)
        if address.scheme not in ("http", "https") or not address.netloc or address.query or address.fragment:
            problems.append("DOORSTEP_BASE_URL must be an address such as https://results.example.org.")
        if problems:
            raise SettingsError("\n".join(problems))


def load() -> Settings:
    """The settings of this environment. `SettingsError` names each variable that cannot be read, never its value."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [
            f"DOORSTEP_{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}."
            for problem in error.errors(include_input=False, include_url=False)
        ]
        raise SettingsError("\n".join(problems)) from None


def described(settings: Settings) -> list[dict[str, str]]:
    """Each setting as name, value and meaning, for people; a secret shows only whether it is set."""
    rows: list[dict[str, str]] = []
    for field, info in Settings.model_fields.items():
        value: object = getattr(settings, field)
        if isinstance(value, SecretStr):
            shown = "set"
        elif value is None:
            shown = "not set"
        elif field in ("database_url", "database_owner_url"):
            shown = _without_password(str(value))
        else:
            shown = str(value)
        rows.append({"name": f"DOORSTEP_{field.upper()}", "value": shown, "meaning": info.description or ""})
    return rows


def _without_password(url: str) -> str:
    """A database address that may be shown: its query may hold a password too, so only scheme, host and name stay."""
    parts = urlsplit(url)
    try:
        host = f"{parts.hostname or ''}:{parts.port}" if parts.port else parts.hostname or ""
    except ValueError:
        return "set, but not an address"
    return f"{parts.scheme}://{host}{parts.path}"


def _secret(name: str, value: SecretStr | None) -> bytes:
    if value is None:
        raise SettingsError(f"{name} is not set. {HOW_TO_MAKE_ONE}")
    secret = _decoded(value.get_secret_value().strip())
    if secret is None:
        raise SettingsError(f"{name} is neither base64 nor hexadecimal. {HOW_TO_MAKE_ONE}")
    if len(secret) < SECRET_BYTES_MIN or len(set(secret)) < DISTINCT_BYTES_MIN:
        raise SettingsError(
            f"{name} is too weak: at least {SECRET_BYTES_MIN} random bytes are needed. {HOW_TO_MAKE_ONE}"
        )
    return secret


def _decoded(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return None
