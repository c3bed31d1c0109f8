"""A QEMU guest with Debian's kernel and this machine's root: the laptop that BlueZ and the hub run on.

It has no Bluetooth hardware. Bumble opens /dev/vhci in it and carries HCI packets to a controller on the bench's air,
so the kernel and BlueZ have an adapter in range of the emulated readers. Shells are served on port 2222, to this
machine only; this machine's 127.0.0.1 is the guest's 10.0.2.2.
"""

import asyncio
import contextlib
import json
import shlex
import signal
import socket
import sys
import time
from pathlib import Path

from emulator.path import PathError, Place, Told
from tests.bluez.prepare import INITRAMFS, KERNEL

HOST = "10.0.2.2"
BOOT_S = 180.0
COMMAND_S = 180.0
STOP_S = 60.0
ADAPTER = "/org/bluez/hci0"
_SHELL_PORT = 2222
_LINE_MAX = 1 << 20
_END = "-- exit "
_ADAPTER = Path(__file__).parent / "adapter.py"
_COMMAND = [sys.executable, "-c", "from hub.command import main; main()"]
_LOGS = ("adapter", "bluetoothd")


class Guest:
    """`async with Guest(folder) as guest:` has booted; `folder` keeps what the kernel says."""

    def __init__(self, folder: Path) -> None:
        self._console = folder / "console.log"
        self._port = _free_port()
        self._qemu: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Guest":
        with self._console.open("wb") as console:
            self._qemu = await asyncio.create_subprocess_exec(
                *self._command(), stdin=asyncio.subprocess.DEVNULL, stdout=console, stderr=console
            )
        try:
            await self._until_up()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._qemu is not None
        if self._qemu.returncode is None:
            self._qemu.kill()  # it has nothing to save: all it wrote was in its memory
        await self._qemu.wait()

    def _command(self) -> list[str]:
        return [
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-serial", "stdio"),
            *("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"),
            *("-kernel", str(KERNEL), "-initrd", str(INITRAMFS), "-append", "console=ttyS0 panic=-1 quiet"),
            *("-fsdev", "local,id=machine,path=/,security_model=none,readonly=on,multidevs=remap"),
            *("-device", "virtio-9p-pci,fsdev=machine,mount_tag=machine"),
            *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self._port}-:{_SHELL_PORT}"),
            *("-device", "virtio-net-pci,netdev=net,romfile="),
        ]

    async def _until_up(self) -> None:
        assert self._qemu is not None
        end = time.monotonic() + BOOT_S
        while True:
            # QEMU takes the connection before the guest listens, and drops it.
            with contextlib.suppress(OSError, TimeoutError, PathError):
                await self.run("true", timeout=5)
                return
            if self._qemu.returncode is not None or time.monotonic() > end:
                raise PathError(f"The guest did not start.\n{self.console()}")
            await asyncio.sleep(0.2)

    def console(self) -> str:
        """The end of what kernel and QEMU said."""
        return "\n".join(self._console.read_text(errors="replace").splitlines()[-30:])

    # Shells

    async def shell(self, script: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Give `script` to a new shell; what it prints can be read, to the end of all that it started."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=_LINE_MAX)
        writer.write(script.encode() + b"\nexit\n")
        return reader, writer

    async def run(self, script: str, timeout: float = COMMAND_S) -> str:
        """Run `script`; what it printed. PathError with its complaint when it fails."""
        wrapped = (
            f"( set -e; {script}\n) </dev/null 2>/run/complaint.$$; code=$?\n"
            f"[ $code = 0 ] || cat /run/complaint.$$; rm /run/complaint.$$; echo; echo '{_END}'$code"
        )
        async with asyncio.timeout(timeout):
            reader, writer = await self.shell(wrapped)
            try:
                said = (await reader.read(-1)).decode(errors="replace")
            finally:
                writer.close()
        out, end, code = said.rpartition(_END)
        if not end or code.strip() != "0":
            raise PathError(f"In the guest, {script.splitlines()[-1][:200]} failed ({code.strip()}): {out or said}")
        return out

    async def command(self, where: Place, *arguments: str) -> str:
        """Run a `doorstep` command; what it printed. PathError with its own sentence when it fails."""
        return await self.run(f"{_exports(where)}\n{shlex.join([*_COMMAND, *arguments])}")

    # The laptop's radio and network

    async def relay(self, port: int) -> None:
        """Let the guest find this machine's `port` at its own 127.0.0.1, as a laptop finds a server on itself."""
        await self.run(f"/run/busybox nc -ll -p {port} -e /run/busybox nc {HOST} {port} >/dev/null 2>&1 &")

    async def plug_in(self, radio: str) -> None:
        """Plug in an adapter whose controller is at the Bumble transport `radio` of this machine."""
        adapter = shlex.join([sys.executable, str(_ADAPTER), radio.replace("127.0.0.1", HOST)])
        await self.run(
            f"{adapter} >/run/adapter.log 2>&1 & echo $! >/run/adapter.pid\n"
            "until [ -e /sys/class/bluetooth/hci0 ]; do kill -0 $(cat /run/adapter.pid); sleep 0.1; done"
        )

    async def unplug(self) -> None:
        """Pull the adapter out."""
        await self.run(
            "kill -9 $(cat /run/adapter.pid)\nwhile [ -e /sys/class/bluetooth/hci0 ]; do sleep 0.1; done", timeout=60
        )

    async def start_bluez(self) -> None:
        """Start the bus and bluetoothd."""
        await self.run(
            "dbus-daemon --system --fork\n"
            "daemon=/usr/libexec/bluetooth/bluetoothd; [ -e $daemon ] || daemon=/usr/lib/bluetooth/bluetoothd\n"
            "$daemon --nodetach >/run/bluetoothd.log 2>&1 &\n"
            "until dbus-send --system --print-reply --dest=org.freedesktop.DBus / "
            "org.freedesktop.DBus.GetNameOwner string:org.bluez; do sleep 0.2; done >/dev/null 2>&1"
        )

    async def power(self, on: bool) -> None:
        """Switch the adapter on or off, as a person does in the desktop's settings."""
        word = "true" if on else "false"
        properties = f"dbus-send --system --print-reply --dest=org.bluez {ADAPTER} org.freedesktop.DBus.Properties"
        await self.run(
            f"until {properties}.Get string:org.bluez.Adapter1 string:Powered; do sleep 0.2; done\n"
            f"{properties}.Set string:org.bluez.Adapter1 string:Powered variant:boolean:{word}"
        )

    async def bluez(self) -> str:
        """What BlueZ knows: its objects with their interfaces and properties, as dbus-send prints them."""
        return await self.run(
            "dbus-send --system --print-reply --dest=org.bluez / org.freedesktop.DBus.ObjectManager.GetManagedObjects"
        )

    async def last_words(self) -> str:
        """The ends of the logs in the guest, and of its console."""
        said = [await self.run(f"tail -n 15 /run/{name}.log || true") for name in _LOGS]
        return "\n".join([*said, self.console()])


class GuestProgram:
    """A `doorstep` command that runs in the guest until stopped; its events go line by line to `told`. It has the face
    of `emulator.path.Program`."""

    def __init__(self, name: str, guest: Guest, where: Place, *arguments: str, told: Told) -> None:
        self.name = name
        self.pid: int | None = None
        self._guest, self._where, self._arguments, self._told = guest, where, arguments, told
        self._reading: asyncio.Task[None] | None = None
        self._words = ""

    async def start(self) -> None:
        """Start it; it may need a while until it answers."""
        program = shlex.join([*_COMMAND, *self._arguments])
        script = f"{_exports(self._where)}\necho $$\nexec {program} </dev/null 2>>/run/{self.name}.log"
        reader, writer = await self._guest.shell(script)
        self.pid = int(await asyncio.wait_for(reader.readline(), COMMAND_S))
        self._reading = asyncio.create_task(self._read(reader, writer))

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            with contextlib.suppress(json.JSONDecodeError):  # a person's line among the events
                self._told(json.loads(line))
        writer.close()
        self._words = await self._guest.run(f"tail -n 15 /run/{self.name}.log")

    @property
    def running(self) -> bool:
        """Whether it has started and not ended."""
        return self._reading is not None and not self._reading.done()

    async def stop(self) -> None:
        """Ask it to end, and make it after a while."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it as kill -9 does, between two instructions."""
        await self._end(signal.SIGKILL)

    async def _end(self, how: signal.Signals) -> None:
        if self._reading is None:
            return
        if self.running:
            await self._guest.run(f"kill -{int(how)} {self.pid}")
            try:
                await asyncio.wait_for(asyncio.shield(self._reading), STOP_S)
            except TimeoutError:
                await self._guest.run(f"kill -9 {self.pid}")
        await self._reading
        self._reading = self.pid = None

    def last_words(self) -> str:
        """The end of its log, once it has ended."""
        return self._words


def _exports(where: Place) -> str:
    kept = {name: value for name, value in where.environment.items() if name.startswith("DOORSTEP_")}
    kept["DOORSTEP_HUB_RADIO"] = "system"
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in kept.items())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
