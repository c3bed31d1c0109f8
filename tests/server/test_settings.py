"""Settings: what is missing or weak stops the start with a sentence, and no secret is ever shown."""

import base64
import os

import pytest

from server import settings as settings_module
from server.settings import Settings, SettingsError


def b64(secret: bytes) -> str:
    return base64.b64encode(secret).decode()


SECRETS = {name: b64(os.urandom(32)) for name in ("master_key", "token_secret", "session_secret")}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("DOORSTEP_"):
            monkeypatch.delenv(name)


def test_three_good_secrets_are_enough() -> None:
    Settings.model_validate(SECRETS).check()
    Settings.model_validate({name: base64.b64decode(value).hex() for name, value in SECRETS.items()}).check()


def test_every_missing_secret_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings().check()
    for name in ("DOORSTEP_MASTER_KEY", "DOORSTEP_TOKEN_SECRET", "DOORSTEP_SESSION_SECRET"):
        assert f"{name} is not set. Make one with:" in str(raised.value)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("changeme", "too weak"),
        (b64(b"short"), "too weak"),
        (b64(bytes(32)), "too weak"),
        (b64(b"abcd" * 8), "too weak"),
        ("not base64!", "neither base64 nor hexadecimal"),
    ],
)
@pytest.mark.parametrize("name", list(SECRETS))
def test_a_weak_secret_is_named_and_not_shown(name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as raised:
        Settings.model_validate({**SECRETS, name: value}).check()
    assert f"DOORSTEP_{name.upper()}" in str(raised.value)
    assert value not in str(raised.value)


def test_a_master_key_of_another_length_and_one_secret_used_twice_are_refused() -> None:
    with pytest.raises(SettingsError, match="exactly 32 bytes"):
        Settings.model_validate({**SECRETS, "master_key": b64(os.urandom(48))}).check()
    with pytest.raises(SettingsError, match="must not be the same as DOORSTEP_TOKEN_SECRET"):
        Settings.model_validate({**SECRETS, "session_secret": SECRETS["token_secret"]}).check()


@pytest.mark.parametrize("url", ["results.example.org", "ftp://example.org", "https://", "https://a.org/?q=1"])
def test_a_base_url_that_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="DOORSTEP_BASE_URL"):
        Settings.model_validate({**SECRETS, "base_url": url}).check()


def test_a_value_that_cannot_be_read_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORSTEP_PORT", "hunter2")
    with pytest.raises(SettingsError, match="DOORSTEP_PORT") as raised:
        settings_module.load()
    assert "hunter2" not in str(raised.value)


def test_the_list_of_settings_shows_no_secret_and_no_password() -> None:
    url = "postgresql://someone:hunter2@db.example.org:5433/doorstep?password=hunter3"
    shown = settings_module.described(Settings.model_validate({**SECRETS, "database_url": url}))
    by_name = {row["name"]: row["value"] for row in shown}
    assert by_name["DOORSTEP_MASTER_KEY"] == "set"
    assert by_name["DOORSTEP_DATABASE_URL"] == "postgresql://db.example.org:5433/doorstep"
    everything = repr(shown)
    assert not any(value in everything for value in SECRETS.values())
    assert "hunter" not in everything
    assert all(row["meaning"] for row in shown)


def test_the_address_follows_host_and_port_unless_it_is_set() -> None:
    assert Settings.model_validate({"host": "::1", "port": 81}).origin == "http://[::1]:81"
    set_so = Settings.model_validate({"base_url": "https://results.example.org/"})
    assert (set_so.origin, set_so.secure) == ("https://results.example.org", True)
