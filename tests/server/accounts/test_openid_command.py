"""`doorstep server openid`, as a person types it."""

import json
import os

from tests.server.accounts import openid
from tests.server.accounts.openid import lying_provider
from tests.server.conftest import Database, secret
from tests.server.test_command import doorstep, said


def test_a_provider_is_set_checked_and_removed_and_its_secret_is_never_said(database: Database) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOORSTEP_")}
    secrets = {f"DOORSTEP_{name}": secret() for name in ("MASTER_KEY", "TOKEN_SECRET", "SESSION_SECRET")}
    environment = {
        **kept,
        **secrets,
        "DOORSTEP_DATABASE_URL": database.app,
        "DOORSTEP_DATABASE_OWNER_URL": database.owner,
        "DOORSTEP_BASE_URL": "https://results.example.org",
    }
    house = f"House {os.urandom(4).hex()}"
    here = ("--organisation", house)
    said(doorstep(environment, "create-organisation", "--name", house, "--json"))
    name = house.replace(" ", "-").lower()
    with lying_provider() as provider:
        given = ("--name", name, "--label", "House", "--client-id", "doorstep", "--secret-stdin", "--json")
        typed = f"{openid.SECRET}\n"
        far = doorstep(environment, "openid", "set", *here, *given, "--issuer", "http://example.org", typed=typed)
        assert (far.returncode, "https" in far.stderr) == (2, True)
        done = doorstep(environment, "openid", "set", *here, *given, "--issuer", provider.issuer, typed=typed)
        assert openid.SECRET not in done.stdout + done.stderr
        made = said(done)
        assert made["redirect_uri"] == f"https://results.example.org/sign-in/with/{name}/return"
        answered = said(doorstep(environment, "openid", "check", *here, "--json"))
        assert answered["issuer"] == provider.issuer
        provider.answers["/.well-known/openid-configuration"] = lambda handler: openid.send(
            handler, json.dumps({"issuer": "https://another.example.org"}).encode()
        )
        wrong = doorstep(environment, "openid", "check", *here)
        assert (wrong.returncode, "another issuer" in wrong.stderr) == (1, True)
    assert doorstep(environment, "openid", "check", *here).returncode == 1, "it is away"
    assert said(doorstep(environment, "openid", "remove", *here, "--json")) == {"changed": True}
    assert said(doorstep(environment, "openid", "remove", *here, "--json")) == {"changed": False}
