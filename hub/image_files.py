"""The files of images in the hub's folder: bytes of one on its way, and whole ones, which are checked at each use."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from hub.exchange import Image
from hub.sealed_file import sync_folder

ROOM = 64 * 1024 * 1024  # of the disk that an image leaves: results come first
_PART = ".part"


class ImageFiles:
    """`images/ID` is a whole image, `images/ID.part` the beginning of one; ID is the image id in hexadecimal. Nothing
    here is for the event loop: it reads, writes and syncs. Every method raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "images"

    def has_room(self, image: Image) -> bool:
        """Whether the rest of the image leaves the disk ROOM."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        return shutil.disk_usage(self._folder).free >= ROOM + image.size - self.begun(image)

    def begun(self, image: Image) -> int:
        """How many bytes of an image that is not whole are here."""
        try:
            return self._part(image.image_id).stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, image: Image, at: int, content: bytes) -> None:
        """Write `content` at byte `at` of the image, and cut off what was behind it. It is on the disk afterwards."""
        file = os.open(self._part(image.image_id), os.O_WRONLY | os.O_CREAT, 0o600)
        with open(file, "wb") as out:
            out.truncate(at)
            out.seek(at)
            out.write(content)
            out.flush()
            os.fsync(file)

    def complete(self, image: Image) -> bool:
        """Make the image whole if its bytes, read back, are those that the server named; else drop them."""
        part = self._part(image.image_id)
        if _content(image, part) is None:
            part.unlink(missing_ok=True)
            return False
        part.rename(self._whole(image.image_id))
        sync_folder(self._folder)
        return True

    def read(self, image: Image) -> bytes | None:
        """The whole image, checked; None when it is not here or no longer what it was. Then it is dropped."""
        path = self._whole(image.image_id)
        content = _content(image, path)
        if content is None:
            path.unlink(missing_ok=True)
        return content

    def drop(self, image: Image) -> None:
        """Forget the beginning of an image."""
        self._part(image.image_id).unlink(missing_ok=True)

    def keep_only(self, image_ids: Collection[bytes]) -> None:
        """Remove whatever is of no image in `image_ids`."""
        names = {image_id.hex() for image_id in image_ids}
        with contextlib.suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                if path.name.removesuffix(_PART) not in names:
                    path.unlink()

    def _whole(self, image_id: bytes) -> Path:
        return self._folder / image_id.hex()

    def _part(self, image_id: bytes) -> Path:
        return self._folder / (image_id.hex() + _PART)


def _content(image: Image, path: Path) -> bytes | None:
    """The bytes of a file that are the image, or None; of one that has another size nothing is read."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != image.size:
                return None
            content = file.read(image.size)
    except FileNotFoundError:
        return None
    return content if hashlib.sha256(content).digest() == image.hash else None
