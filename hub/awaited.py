"""Which reader awaits which image, how much of each image is here, and how much of it each reader has.

A part of the store: every method is one transaction, as there. Images themselves are files (`hub.image_files`).
"""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.database import named_errors, transaction
from hub.exchange import Image

IMAGES_MAX = 4


@dataclass(frozen=True, slots=True)
class Kept:
    """An image that some reader awaits. `held` is how many bytes of it are here: all of them once it was checked."""

    image: Image
    held: int

    @property
    def whole(self) -> bool:
        return self.held == self.image.size


class AwaitedImages:
    """What the store knows of images."""

    _db: sqlite3.Connection

    def await_images(self, awaited: Mapping[bytes, Image]) -> None:
        """Take the server's list, by reader id, in place of the one before. Of more than IMAGES_MAX images those are
        kept that most readers await."""
        counts = Counter(image.image_id for image in awaited.values())
        chosen = sorted(counts, key=lambda image_id: (-counts[image_id], image_id))[:IMAGES_MAX]
        images = {image.image_id: image for image in awaited.values() if image.image_id in chosen}
        wanted = {reader_id: image.image_id for reader_id, image in awaited.items() if image.image_id in chosen}
        before: dict[bytes, bytes] = dict(self._awaited_rows("SELECT reader_id, image_id FROM awaited"))
        other = [kept.image.image_id for kept in self.images() if images.get(kept.image.image_id) != kept.image]
        if wanted == before and not other:
            return  # the usual case costs no write
        with transaction(self._db):
            self._db.executemany("DELETE FROM images WHERE image_id = ?", [(image_id,) for image_id in other])
            self._db.executemany(
                "INSERT INTO images VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING",
                [(image.image_id, image.size, image.hash) for image in images.values()],
            )
            gone = [(reader_id,) for reader_id in before if reader_id not in wanted]
            self._db.executemany("DELETE FROM awaited WHERE reader_id = ?", gone)
            self._db.executemany(
                "INSERT INTO readers (reader_id) VALUES (?) ON CONFLICT DO NOTHING",
                [(reader_id,) for reader_id in wanted],
            )
            self._db.executemany(
                "INSERT INTO awaited (reader_id, image_id) VALUES (?, ?) ON CONFLICT DO UPDATE SET"
                " image_id = excluded.image_id, offset = 0, code = 0 WHERE awaited.image_id <> excluded.image_id",
                list(wanted.items()),
            )

    def images(self) -> list[Kept]:
        """The images that readers await."""
        rows = self._awaited_rows("SELECT image_id, size, hash, held FROM images ORDER BY image_id")
        return [Kept(Image(*row[:3]), row[3]) for row in rows]

    def hold_image(self, image_id: bytes, held: int) -> None:
        """So many bytes of an image are in its file here; all of them only once it was checked."""
        with transaction(self._db):
            self._db.execute("UPDATE images SET held = ? WHERE image_id = ? AND held <> ?", (held, image_id, held))

    def drop_image(self, image_id: bytes) -> None:
        """The server has this image no longer: nobody awaits it."""
        with transaction(self._db):
            self._db.execute("DELETE FROM images WHERE image_id = ?", (image_id,))

    def image_for(self, reader_id: bytes) -> Image | None:
        """The image that this reader awaits, when the whole of it is here."""
        rows = self._awaited_rows(
            "SELECT image_id, size, hash FROM awaited JOIN images USING (image_id) WHERE reader_id = ? AND held = size",
            reader_id,
        )
        return Image(*rows[0]) if rows else None

    def carried(self, reader_id: bytes, image_id: bytes, offset: int | None, code: int) -> None:
        """What the reader said last of an image, if it still awaits it. `offset` is None where it said none."""
        with transaction(self._db):
            self._db.execute(
                "UPDATE awaited SET offset = coalesce(?, offset), code = ? WHERE reader_id = ? AND image_id = ?",
                (offset, code, reader_id, image_id),
            )

    def _awaited_rows(self, sql: str, *values: Any) -> list[Any]:
        with named_errors():
            return self._db.execute(sql, values).fetchall()
