"""What the guest needs: programs on this machine, Debian's kernel with the modules, and an initramfs of those.

`python tests/bluez/prepare.py` fills `.venv/guest/`. Kernel and busybox are downloaded and unpacked there, never
installed; programs that are missing are installed if this is root. It exits with 3 and a sentence if something cannot
be had.
"""

import lzma
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUEST = ROOT / ".venv" / "guest"
KERNEL, INITRAMFS = GUEST / "vmlinuz", GUEST / "initramfs"
CANNOT = 3

# A program that shows that a package is there, and the package.
_PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "bluetoothctl": "bluez",
    "dbus-daemon": "dbus",
    "depmod": "kmod",
}
_NEWEST_KERNEL = "linux-image-amd64"  # an empty package that depends on it
_MODULES = (
    *("virtio_pci", "virtio_net", "9pnet_virtio", "9p", "overlay"),
    *("cmac", "ecb", "aes_generic", "algif_hash", "algif_skcipher"),  # BlueZ and the kernel make addresses with these
    *("bluetooth", "hci_vhci"),
)
_MADE_FROM = (Path(__file__), Path(__file__).parent / "init")


class CannotHave(Exception):
    """Something is missing and cannot be got here; the message says what and what to do."""


def main() -> None:
    """Make everything that is not there yet."""
    try:
        _install()
        if not _made():
            with tempfile.TemporaryDirectory(prefix="doorstep-guest-") as folder:
                _fetch(Path(folder))
    except CannotHave as error:
        print(error, file=sys.stderr)
        sys.exit(CANNOT)


def _made() -> bool:
    if not INITRAMFS.exists():
        return False
    return all(source.stat().st_mtime < INITRAMFS.stat().st_mtime for source in _MADE_FROM)


def _install() -> None:
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    missing = [package for program, package in _PACKAGES.items() if shutil.which(program, path=path) is None]
    if not missing:
        return
    wanted = f"apt-get install --no-install-recommends {' '.join(missing)}"
    if os.geteuid() != 0:
        raise CannotHave(f"The guest needs {', '.join(missing)}: as root, run {wanted}, then run this again.")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _apt("update", "-qq", env=quiet)
    _apt("install", "-qq", "-y", "--no-install-recommends", *missing, env=quiet)


def _fetch(folder: Path) -> None:
    words = _apt("depends", _NEWEST_KERNEL, program="apt-cache").split()
    image = next((word for word in words if word.startswith("linux-image-") and word != _NEWEST_KERNEL), None)
    if image is None:
        raise CannotHave(f"apt knows no {_NEWEST_KERNEL}: run apt-get update, then run this again.")
    version = image.removeprefix("linux-image-")
    _apt("download", "-qq", image, "busybox-static", cwd=folder)
    root = folder / "root"
    for package in folder.glob("*.deb"):
        _run("dpkg-deb", "-x", str(package), str(root))
    GUEST.mkdir(parents=True, exist_ok=True)
    shutil.copy(root / "boot" / f"vmlinuz-{version}", KERNEL)
    made = INITRAMFS.with_suffix(".part")
    made.write_bytes(_initramfs(root, version, folder / "initramfs"))
    made.rename(INITRAMFS)


def _initramfs(root: Path, version: str, into: Path) -> bytes:
    """The archive that the kernel unpacks: busybox, `init`, the modules, and `modules/order` with their names."""
    (into / "bin").mkdir(parents=True)
    (into / "modules").mkdir()
    shutil.copy(_busybox(root), into / "bin" / "busybox")
    shutil.copy(Path(__file__).parent / "init", into / "init")
    (into / "init").chmod(0o755)
    names: list[str] = []
    for source in _modules(root, version):
        code = source.read_bytes()
        if source.suffix == ".xz":
            code = lzma.decompress(code)
        names.append(source.name.removesuffix(".xz"))
        (into / "modules" / names[-1]).write_bytes(code)
    (into / "modules" / "order").write_text("".join(f"{name}\n" for name in names))
    listed = "\n".join(str(path.relative_to(into)) for path in sorted(into.rglob("*")))
    command = [str(into / "bin" / "busybox"), "cpio", "-o", "-H", "newc"]
    return subprocess.run(command, input=listed.encode(), cwd=into, capture_output=True, check=True).stdout


def _busybox(root: Path) -> Path:
    found = [path for path in (root / "bin" / "busybox", root / "usr" / "bin" / "busybox") if path.exists()]
    if not found:
        raise CannotHave("Debian's busybox-static holds no busybox where it is known to be.")
    return found[0]


def _modules(root: Path, version: str) -> list[Path]:
    """The files of _MODULES and what they need, in the order in which they load."""
    base = root if (root / "lib" / "modules").exists() else root / "usr"
    _run("depmod", "-b", str(base), version)
    found: list[Path] = []
    for module in _MODULES:
        shown = _run("modprobe", "-d", str(base), "-S", version, "--show-depends", module)
        for line in shown.splitlines():
            kind, _, path = line.strip().partition(" ")
            if kind == "insmod" and Path(path) not in found:
                found.append(Path(path))
    return found


def _apt(*arguments: str, program: str = "apt-get", **options: object) -> str:
    try:
        return _run(program, *arguments, **options)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise CannotHave(f"{program} {' '.join(arguments)} failed: {said.strip()}") from error


def _run(*command: str, **options: object) -> str:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    options.setdefault("env", os.environ)
    options["env"] = {**options["env"], "PATH": path}  # type: ignore[dict-item]
    return subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
