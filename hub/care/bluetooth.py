"""Bluetooth, as far as the system tells: the radio, its service, its version and the permission to use it."""

import asyncio
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.care.findings import Finding, note, unknown, well, wrong
from hub.problems import KINDS
from hub.radio import SYSTEM, Radio, RadioFailed

ANSWER_S = 8.0
BLUEZ_LEAST = (5, 55)  # what bleak requires
BLUEZ_MTU = (5, 62)  # from here on a characteristic tells how much one write takes
_RFKILL = Path("/sys/class/rfkill")
_GROUP = 'Run: sudo usermod -aG bluetooth "$USER", then sign out and in again.'


@dataclass(frozen=True, slots=True)
class Adapter:
    """A radio that BlueZ knows. `central`: it can speak to readers."""

    name: str
    powered: bool
    central: bool


class Refused(Exception):
    """The bus or BlueZ refused; `args[0]` is a problem code, `args[1]` a sentence."""


async def checks(radio: str) -> list[Finding]:
    """What stands between this laptop and a reader. `radio` is the setting of that name."""
    if radio != SYSTEM:
        return [note("Bluetooth", f"The radio is {radio}, an emulated one; the laptop's own is not looked at.")]
    if sys.platform == "linux":
        return [*await _on_linux(), await _bluez_version()]
    return [await _elsewhere()]


async def _on_linux() -> list[Finding]:
    try:
        async with asyncio.timeout(ANSWER_S):
            found = await adapters()
    except TimeoutError:
        return _without("no-bluetooth-service", f"BlueZ did not answer in {ANSWER_S:.0f} seconds.")
    except Refused as refusal:
        return _without(*refusal.args)
    permission = well("Permission", "The system lets Doorstep use Bluetooth.")
    useful = [adapter for adapter in found if adapter.central]
    if not useful:
        said = "No Bluetooth radio is there." if not found else "The Bluetooth radio cannot speak to readers."
        return [_wrong("Adapter", "no-adapter", said), permission]
    on = [adapter.name for adapter in useful if adapter.powered]
    if on:
        return [well("Adapter", f"{on[0]} is there and switched on."), permission]
    if blocked():
        return [wrong("Adapter", "adapter-off", f"{useful[0].name} is blocked, by a switch or by flight mode.",
                      "End flight mode, or run: rfkill unblock bluetooth"), permission]  # fmt: skip
    step = "Switch Bluetooth on, or run: bluetoothctl power on"
    return [wrong("Adapter", "adapter-off", f"{useful[0].name} is switched off.", step), permission]


def _without(code: str, sentence: str) -> list[Finding]:
    """No answer of BlueZ's: the one thing that is wrong, and what therefore is not known."""
    if code == "no-permission":
        return [unknown("Adapter", "BlueZ may not be asked."), wrong("Permission", code, sentence, _GROUP)]
    return [_wrong("Adapter", code, sentence), unknown("Permission", "BlueZ is not there to be asked.")]


async def adapters() -> list[Adapter]:
    """The radios that BlueZ knows, by name. Raises Refused."""
    from dbus_fast import BusType, DBusError, Message, MessageType
    from dbus_fast.aio import MessageBus
    from dbus_fast.errors import AuthError, InvalidAddressError

    try:
        bus = MessageBus(bus_type=BusType.SYSTEM)
    except (OSError, InvalidAddressError) as error:
        raise Refused(_refusal(error), "The system's message bus (D-Bus) is not there.") from error
    try:
        try:
            await bus.connect()
        except AuthError as error:
            raise Refused("no-permission", "The system's message bus (D-Bus) does not let this program in.") from error
        except (OSError, EOFError, InvalidAddressError, DBusError) as error:
            raise Refused(_refusal(error), "The system's message bus (D-Bus) is not there.") from error
        reply = await bus.call(Message("org.bluez", "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"))
    finally:
        bus.disconnect()
    if reply.message_type is MessageType.ERROR:
        name = reply.error_name or "an error without a name"
        if name.endswith(".AccessDenied"):
            raise Refused("no-permission", "The system does not let you use Bluetooth.")
        raise Refused("no-bluetooth-service", f"BlueZ does not answer ({name}).")
    return sorted(_read(reply.body[0]), key=lambda adapter: adapter.name)


def _refusal(error: BaseException) -> str:
    return "no-permission" if isinstance(error, PermissionError) else "no-bluetooth-service"


def _read(objects: Any) -> list[Adapter]:
    found = list[Adapter]()
    for path, interfaces in objects.items():
        properties = interfaces.get("org.bluez.Adapter1")
        if properties is not None:
            said = {name: variant.value for name, variant in properties.items()}
            roles = said.get("Roles") or ["central"]  # an older BlueZ does not say
            found.append(Adapter(path.rpartition("/")[2], bool(said.get("Powered")), "central" in roles))
    return found


def blocked(rfkill: Path = _RFKILL) -> bool:
    """Whether a switch of the kernel's blocks a Bluetooth radio."""
    for switch in rfkill.glob("rfkill*"):
        try:
            if (switch / "type").read_text().strip() != "bluetooth":
                continue
            if "1" in ((switch / "soft").read_text().strip(), (switch / "hard").read_text().strip()):
                return True
        except OSError:
            continue  # it was unplugged meanwhile
    return False


async def _bluez_version() -> Finding:
    check = "BlueZ"
    found = await bluez_version()
    if found is None:
        return unknown(check, "Its version cannot be told: bluetoothctl is not there.")
    said = ".".join(map(str, found))
    if found < BLUEZ_LEAST:
        least = ".".join(map(str, BLUEZ_LEAST))
        return wrong(check, "bluez-too-old", f"BlueZ {said} is too old; {least} or newer is needed.",
                     KINDS["bluez-too-old"].next_step)  # fmt: skip
    if found < BLUEZ_MTU:
        return note(
            check, f"BlueZ {said} works, slowly: it does not tell how much a write takes.", "Update the system."
        )
    return well(check, f"BlueZ {said}.")


async def bluez_version() -> tuple[int, int] | None:
    """By `bluetoothctl --version`, as bleak does: BlueZ does not tell it over D-Bus."""
    try:
        process = await asyncio.create_subprocess_exec(
            "bluetoothctl",
            "--version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(ANSWER_S):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    found = re.search(rb"(\d+)\.(\d+)", out)
    return (int(found[1]), int(found[2])) if found else None


async def _elsewhere() -> Finding:
    """macOS and Windows: a scan that begins proves radio and permission together."""
    try:
        async with asyncio.timeout(ANSWER_S):
            await (await Radio.open(SYSTEM)).probe()
    except TimeoutError:
        return _wrong("Adapter", "radio-failed", f"Bluetooth did not answer in {ANSWER_S:.0f} seconds.")
    except RadioFailed as error:
        return _wrong("Adapter", error.code, str(error))
    return well("Adapter", "Bluetooth is there, switched on, and Doorstep may use it.")


def _wrong(check: str, code: str, sentence: str) -> Finding:
    return wrong(check, code, sentence, KINDS[code].next_step)
