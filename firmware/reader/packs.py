"""The assay packs that this reader holds: those of the firmware's image, and those that the downlink brought.

A pack from the downlink is a file `ID.VERSION.pack` in two folders, each whole or not there after a power cut; in two
folders, because one rotten cell can take a folder back in time (`reader.durable`). The packs of a version before go
only when both copies of the new one were read back, so that at any moment the old one or the new one is used, and
never none. Of the image's pack and the downlink's, the higher
version is used; which version was kept is in the name, so that damage to the content never brings back an older one.

Only the one pack that is asked for is decoded; the others are looked through as bytes.
"""

import os

from micropython import const

from reader import assays, durable, settings
from reader.assays import PackError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PACKS_MAX = const(24)  # from the downlink; of 1,500 bytes at most, and two copies: 72 KB

_FOLDERS = (settings.ROOT + "/packs/", settings.ROOT + "/spare/")
_ENDING = ".pack"
_ENOENT = const(2)


class PackDamaged(Exception):
    """Both copies of the newest pack of `id` are damaged, and an older one must not be used."""

    def __init__(self, id, version):
        super().__init__("%s version %d" % (id, version))
        self.id = id
        self.version = version


def by_gtin(gtin):
    """The newest assay whose cassettes or tubes carry that GTIN-14, or None. PackDamaged when it cannot be read."""
    found: "Any" = _owner(gtin)
    return found if found and gtin in found.gtins else None


def by_control(gtin):
    """The newest assay that has a control material of that GTIN-14, or None; `assay.control(gtin)` is the material.

    PackDamaged when it cannot be read.
    """
    found: "Any" = _owner(gtin)
    return found if found and found.control(gtin) else None


def newest(assay_id):
    """The newest assay of that id, or None. PackDamaged when it cannot be read."""
    kept = _kept().get(assay_id)
    content: "Any" = _newest_content(assay_id, kept) if kept else None
    built_in = _built_in(assay_id)
    if content is None:
        if kept and (built_in is None or built_in.version < max(kept)):
            raise PackDamaged(assay_id, max(kept))
        return built_in
    assay = assays.decode(content)
    return built_in if built_in and built_in.version > assay.version else assay


def store(pack):
    """Keep a pack from the downlink. PackError says why it may not be kept; OSError: what was kept before still is.

    A version is never lowered, and never changed under its number; to keep the same one again is to keep it.
    """
    from reader import packrules

    assay = packrules.check(pack)
    everything = _kept()
    kept = everything.get(assay.id, ())
    built_in = _built_in(assay.id)
    if kept and assay.version < max(kept):
        raise PackError("version", "not above the one kept")
    if built_in and assay.version <= built_in.version:
        if assay.version < built_in.version or pack != _image(assay.id + ".pack"):
            raise PackError("version", "not above the firmware's")
        return
    if kept:
        held = _content(assay.id, assay.version) if assay.version in kept else None
        if held is not None and held != pack:
            raise PackError("version", "kept with another content")
    elif len(everything) >= PACKS_MAX:
        raise PackError("pack", "no room for another assay")
    _claim(assay, everything)
    _write(assay.id, assay.version, pack)
    _remove_others(assay.id, assay.version)


def inspect():
    """Look at every pack: mend what has one good copy, clear what a power cut left; [(id, version)] of the damaged,
    version 0 for one of the firmware's image.
    """
    damaged = []
    kept = _kept()
    for assay_id in kept:
        version = max(kept[assay_id])
        content = _newest_content(assay_id, kept[assay_id])
        if content is None:
            damaged.append((assay_id, version))
            continue
        version = assays.decode(content).version
        _write(assay_id, version, content)
        _remove_others(assay_id, version)
    if _image("index") is None:
        damaged.append(("index", 0))
    seen = []
    for assay_id, _ in _index():
        if assay_id not in seen:
            seen.append(assay_id)
            if _image(assay_id + ".pack") is None:
                damaged.append((assay_id, 0))
    return damaged


def _owner(gtin):
    """The newest assay that names that GTIN, as a cassette's or a control's."""
    sought = gtin.encode()
    for assay_id, versions in _kept().items():
        content: "Any" = _newest_content(assay_id, versions)
        if content is not None and sought in content:
            return newest(assay_id)
    for assay_id, named in _index():
        if named == gtin:
            return newest(assay_id)
    return None


def _claim(assay, kept):
    """PackError when another assay has one of the GTINs: a cassette must never be two tests."""
    wanted = list(assay.gtins) + [one[0] for one in assay.controls]
    for assay_id, gtin in _index():
        if assay_id != assay.id and gtin in wanted:
            raise PackError("gtins", "another assay has it: " + assay_id)
    for assay_id, versions in kept.items():
        content: "Any" = _newest_content(assay_id, versions) if assay_id != assay.id else None
        for gtin in wanted if content else ():
            if gtin.encode() in content:
                raise PackError("gtins", "another assay has it: " + assay_id)


# Files


def _names(folder):
    try:
        return os.listdir(folder[:-1])
    except OSError as error:
        if error.errno != _ENOENT:
            raise
        return []


def _parts(name):
    """(id, version) of a file's name, or None for what is no pack."""
    parts = name.split(".")
    if len(parts) == 3 and parts[1].isdigit() and name.endswith(_ENDING):
        return parts[0], int(parts[1])
    return None


def _kept():
    """{id: [versions]} of the files that there are, whole or not."""
    found = {}
    for folder in _FOLDERS:
        for name in _names(folder):
            parts = _parts(name)
            if parts:
                versions = found.setdefault(parts[0], [])
                if parts[1] not in versions:
                    versions.append(parts[1])
    return found


def _file(assay_id, version):
    return "%s.%d%s" % (assay_id, version, _ENDING)


def _content(assay_id, version):
    """The bytes of either copy, or None."""
    name = _file(assay_id, version)
    content = durable.content(_FOLDERS[0] + name)
    return durable.content(_FOLDERS[1] + name) if content is None else content


def _newest_content(assay_id, versions):
    """The bytes of the highest version that is whole, or None.

    One below the highest is only there while the highest was never read back whole: after it was, they are removed.
    """
    for version in sorted(versions, reverse=True):
        content = _content(assay_id, version)
        if content is not None:
            return content
    return None


def _write(assay_id, version, pack):
    """Both copies, each read back; those that are there already stay. OSError."""
    for folder in _FOLDERS:
        path = folder + _file(assay_id, version)
        if durable.content(path) != pack:
            durable.folder(folder[:-1])
            durable.replace(path, pack)
            if durable.content(path) != pack:
                raise OSError(5)  # EIO: the flash does not hold what was written


def _remove_others(assay_id, version):
    """Remove every file of the assay but those of that version, and what a cut write of a pack left."""
    for folder in _FOLDERS:
        for name in _names(folder):
            parts = _parts(name)
            if name.endswith(_ENDING + ".new") or (parts and parts[0] == assay_id and parts[1] != version):
                durable.remove(folder + name)


# The firmware's image: its packs and its index are beside the package, made by `reader.packfile`


def _image(name):
    return durable.content(settings.FOLDER + "packs/" + name)


def _built_in(assay_id):
    content = _image(assay_id + ".pack")
    return None if content is None else assays.decode(content)


def _index():
    """(id, GTIN) of the image's packs, one after the other."""
    content = _image("index") or b""
    for line in content.decode().split("\n"):
        if line:
            yield line[15:], line[:14]
