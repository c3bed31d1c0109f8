"""The hub as a service of the person who is signed in: a systemd user unit, hardened, written and started.

A user unit is sandboxed inside a user namespace. From version 254 on systemd makes one by itself; an older one has to
be told by PrivateUsers=, and then does not start the unit where the kernel refuses (systemd.exec(5), "Sandboxing"). So
that is tried first: a hub that runs comes before one that is locked in.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_config_path

from hub import credentials, database
from hub.errors import HubError, StoreReadOnly, UsageError

NAME = "doorstep-hub.service"
ANSWER_S = 60.0
_KEPT = "DOORSTEP_HUB_"

_UNIT = """\
[Unit]
Description=Doorstep hub: collects from readers in range and carries to the server
Documentation=man:systemd.exec(5)
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={command} hub run
{environment}Restart=always
RestartSec=10
TimeoutStopSec=30
UMask=0077
MemoryMax=512M
TasksMax=128
NoNewPrivileges=yes
{users}PrivateTmp=yes
ProtectSystem=strict
ReadWritePaths={data}
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_BLUETOOTH
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=default.target
"""


class ServiceFailed(HubError):
    """systemd did not do what it was asked."""

    code = "hub-stopped"


@dataclass(frozen=True, slots=True)
class Done:
    """What was done. `to_run` are the commands left to the person, because no systemd of theirs answers here."""

    path: Path
    content: str
    changed: bool
    to_run: tuple[str, ...]


def path() -> Path:
    """Where the unit belongs, whether it is there or not."""
    return user_config_path("systemd", appauthor=False) / "user" / NAME


def content(command: Path, data: Path, environment: Mapping[str, str], namespaces: bool) -> str:
    """The unit's text. Of `environment` DOORSTEP_HUB_* is kept; `namespaces`: a person may make a user namespace."""
    kept = {name: value for name, value in environment.items() if name.startswith(_KEPT)}
    kept[f"{_KEPT}DATA"] = str(data)
    lines = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in sorted(kept.items()))
    return _UNIT.format(
        command=_quoted(str(command)).replace("$", "$$"),
        environment=lines,
        users="PrivateUsers=yes\n" if namespaces else "",
        data=_quoted(str(data)),
    )


def install(data: Path) -> Done:
    """Write the unit, and have it run from now on. Asked again, it changes only what differs.

    Raises UsageError where there is no systemd, NotEnrolled, StoreReadOnly, ServiceFailed.
    """
    _on_linux()
    data = data.resolve()
    credentials.load(data)
    database.private_folder(data)
    text = content(_command(), data, os.environ, _namespaces())
    where = path()
    changed = not where.is_file() or where.read_text() != text
    if changed:
        _write(where, text)
    # A running hub goes on with the old unit until it is started anew.
    start = ("restart", NAME) if changed else ("start", NAME)
    return Done(where, text, changed, _systemctl(("daemon-reload",), ("enable", NAME), start))


def uninstall() -> Done:
    """Stop the service and take its unit away; the data folder stays. Asked again, it does nothing.

    Raises UsageError where there is no systemd, ServiceFailed.
    """
    _on_linux()
    where = path()
    if not where.exists():
        return Done(where, "", False, ())
    to_run = _systemctl(("disable", "--now", NAME))
    where.unlink(missing_ok=True)
    return Done(where, "", True, to_run + _systemctl(("daemon-reload",)))


def _on_linux() -> None:
    if sys.platform != "linux":
        raise UsageError(
            "This needs systemd, which only Linux has. Have the system start `doorstep hub run` when you sign in: "
            "docs/operations.md says how."
        )


def _command() -> Path:
    """The `doorstep` of this installation, by its whole path. Raises UsageError."""
    beside = Path(sys.executable).with_name("doorstep")
    found = beside if beside.is_file() else Path(shutil.which("doorstep") or "")
    if not found.is_file():
        raise UsageError("The command doorstep is not installed here. Install it, such as by: pipx install doorstep")
    return found.absolute()


def _namespaces() -> bool:
    """Whether the kernel lets this person make what PrivateUsers= needs."""
    try:
        trial = ["unshare", "--user", "--map-current-user", "--mount", "true"]
        return subprocess.run(trial, capture_output=True, timeout=ANSWER_S, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _write(where: Path, text: str) -> None:
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        new = where.with_name(where.name + ".new")
        new.write_text(text)
        new.replace(where)
    except OSError as error:
        raise StoreReadOnly(f"{where} cannot be written: {error.strerror}. Check the folder's permissions.") from error


def _systemctl(*calls: tuple[str, ...]) -> tuple[str, ...]:
    """Make the calls; where no systemd of this person's answers, return them as commands instead."""
    try:
        if _run("show-environment").returncode != 0:
            raise FileNotFoundError
    except (FileNotFoundError, PermissionError):
        return tuple(f"systemctl --user {' '.join(call)}" for call in calls)
    for call in calls:
        done = _run(*call)
        if done.returncode != 0:
            said = done.stderr.strip().rstrip(".") or f"exit code {done.returncode}"
            raise ServiceFailed(f"systemctl --user {' '.join(call)} failed: {said}. Run it yourself to see why.")
    return ()


def _run(*call: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            ["systemctl", "--user", *call], capture_output=True, text=True, timeout=ANSWER_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ServiceFailed(f"systemd did not answer in {ANSWER_S:.0f} seconds. Try again.") from None


def _quoted(value: str) -> str:
    """A value as systemd reads it back unchanged (systemd.syntax(7), systemd.unit(5) "Specifiers")."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("%", "%%")
    return f'"{escaped}"'
