"""An archive of a few named files: written so that the same files give the same bytes, and read
with bounds on everything before it is read. It knows nothing of what is in the files.
"""

from __future__ import annotations

import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from lm_eval_safescale.errors import SafescaleError, writing
from lm_eval_safescale.files import replaced
from lm_eval_safescale.inputs import InputError, most_bytes, opened

CHECKSUMS = "checksums.txt"
MOST_FILES = 64
MOST_DIRECTORY = 1 << 14
"""Bytes of the list of files at the end of an archive."""
RATIO, SMALL = 250, 1 << 22
"""A file of more than so many bytes may be at most so many times as large as its compressed form:
answers of one letter come to some 40 times."""
PIECE = 1 << 20
FIRST_DAY = (1980, 1, 1, 0, 0, 0)
LEVEL = 6
ENCRYPTED, SIZES_BEHIND = 0x2041, 0x8
"""Flags of a file in an archive."""
UNICODE_NAME, ZIP64 = 0x7075, 0x0001
"""Further fields of a file: another name, and sizes beyond 4 GB."""
_LARGER = 20
"""Bytes before the end of an archive in which those beyond 4 GB say where their list is."""
_END, _LOCAL = struct.Struct("<4s4H2LH"), struct.Struct("<4s5H3L2H")


class Refusal(StrEnum):
    """Why an archive is refused; each is also the `kind` of a finding."""

    NO_ZIP = "no archive"
    STRUCTURE = "structure"
    """It is not laid out as one archive and nothing else."""
    TOO_MANY = "too many files"
    TOO_LARGE = "too large"
    RATIO = "compressed too well"
    PATH = "path"
    """A name that leads out of the folder, or into another."""
    NAME = "name"
    """A name of no file of a submission."""
    TWICE = "twice"
    """Two names that are one, or look so."""
    NO_FILE = "no file"
    """A link, a device, a folder."""
    ENCRYPTED = "encrypted"
    METHOD = "method"
    DAMAGED = "damaged"
    MISSING = "missing file"
    CHECKSUM = "checksum"
    ROOT = "root hash"


class RefusedArchiveError(SafescaleError):
    """An archive that is not read any further."""

    def __init__(self, kind: str, where: str, what: str, expected: str = "") -> None:
        super().__init__(f"{where}: {what}" + (f"; expected {expected}" if expected else ""))
        self.kind, self.where, self.what, self.expected = kind, where, what, expected


# --- writing --------------------------------------------------------------------------------------


def write_archive(path: Path, files: Mapping[str, bytes | Path]) -> str:
    """Write files, and the checksums of all of them, in one step.

    Parameters
    ----------
    files
        By name; a path is read piece by piece.

    Returns
    -------
    The root hash.

    Raises
    ------
    SafescaleError
        If it cannot be written.
    """
    sums = {name: _sha256_of(content) for name, content in files.items()}
    checksums = checksums_of(sums)
    with writing(path), replaced(path) as unfinished, zipfile.ZipFile(unfinished, "w") as archive:
        for name, content in sorted({**files, CHECKSUMS: checksums}.items()):
            info = zipfile.ZipInfo(name, FIRST_DAY)
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info._compresslevel = LEVEL  # type: ignore[attr-defined]
            info.file_size = content.stat().st_size if isinstance(content, Path) else len(content)
            with archive.open(info, "w") as target:
                for piece in _pieces(content):
                    target.write(piece)
    return root_of(checksums)


def checksums_of(sums: Mapping[str, str]) -> bytes:
    """What stands in the file of checksums: a line for each file in the order of names, as
    `sha256sum` writes and checks it."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())).encode()


def root_of(checksums: bytes) -> str:
    """The root hash: the SHA-256 (hex) of the file of checksums."""
    return sha256(checksums).hexdigest()


def _pieces(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _sha256_of(content: bytes | Path) -> str:
    digest = sha256()
    for piece in _pieces(content):
        digest.update(piece)
    return digest.hexdigest()


# --- reading --------------------------------------------------------------------------------------


@contextmanager
def unpacked(
    path: Path, needed: Collection[str], allowed: Mapping[str, int]
) -> Iterator[tuple[Path, str]]:
    """A temporary folder with the files of an archive, each what its checksum was made of; and the
    root hash. The folder goes at the end.

    Parameters
    ----------
    needed, allowed
        Names of files that must be there, and that may be, with the most bytes of each; those of
        checksums besides.

    Raises
    ------
    InputError
        If it cannot be read, or is no archive at all.
    RefusedArchiveError
        If anything of it is not as `write_archive` writes it; before a byte of it is unpacked where
        its list of files shows it.
    """
    with opened(path) as file:
        _check_layout(file, path)
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
            raise RefusedArchiveError(Refusal.STRUCTURE, path.name, str(error)) from None
        with archive:
            listed = archive.infolist()
            _check_list(listed, {*needed, CHECKSUMS}, {**allowed, CHECKSUMS: MOST_DIRECTORY})
            _check_places(file, listed, archive.start_dir)
            with TemporaryDirectory(prefix="safescale-submission-") as name:
                folder = Path(name)
                sums = {info.filename: _unpack(archive, info, folder) for info in listed}
                checksums = (folder / CHECKSUMS).read_bytes()
                _check_sums(checksums, sums)
                yield folder, root_of(checksums)


def _check_layout(file: BinaryIO, path: Path) -> None:
    """One archive from the first byte to the last, with a short list of files: all that is read of
    it before the list is."""
    size = file.seek(0, 2)
    if size < _END.size:
        raise InputError(path, "no archive (too short); expected what submit pack writes")
    file.seek(0)
    if file.read(2) != b"PK":
        raise InputError(path, "no ZIP archive; expected what submit pack writes")
    file.seek(size - _END.size)
    end = file.read(_END.size)
    mark, disk, first, here, files, length, start, comment = _END.unpack(end)
    where = path.name
    if mark != b"PK\x05\x06" or comment:
        raise RefusedArchiveError(
            Refusal.STRUCTURE,
            where,
            "it does not end as an archive does: cut off, or with something behind it",
        )
    if disk or first or here != files:
        raise RefusedArchiveError(Refusal.STRUCTURE, where, "an archive in several parts")
    if files > MOST_FILES:
        raise RefusedArchiveError(
            Refusal.TOO_MANY, where, f"{files:,} files", f"at most {MOST_FILES}"
        )
    if length > MOST_DIRECTORY:
        raise RefusedArchiveError(
            Refusal.TOO_LARGE,
            where,
            f"a list of files of {length:,} bytes",
            f"at most {MOST_DIRECTORY:,}",
        )
    file.seek(max(0, size - _END.size - _LARGER))
    if file.read(4) == b"PK\x06\x07" or start + length != size - _END.size:
        raise RefusedArchiveError(
            Refusal.STRUCTURE, where, "the list of files is not where the archive says"
        )


def _check_list(
    listed: Collection[zipfile.ZipInfo], needed: Collection[str], allowed: Mapping[str, int]
) -> None:
    seen: dict[str, str] = {}
    left = most_bytes()
    for info in listed:
        name = info.orig_filename
        if why := _odd_name(name):
            raise RefusedArchiveError(Refusal.PATH, repr(name), why)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or name.endswith("/"):
            what = "a link" if kind == stat.S_IFLNK else "a folder or a device"
            raise RefusedArchiveError(Refusal.NO_FILE, repr(name), what, "a file")
        twin = seen.setdefault(_looks(name), name)
        if twin is not name:
            raise RefusedArchiveError(
                Refusal.TWICE, repr(name), f"stands twice, or is the twin of {twin!r}"
            )
        if name not in allowed or info.filename != name:
            raise RefusedArchiveError(
                Refusal.NAME, repr(name), "no file of a submission", ", ".join(sorted(allowed))
            )
        if info.flag_bits & ENCRYPTED:
            raise RefusedArchiveError(Refusal.ENCRYPTED, name, "encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise RefusedArchiveError(
                Refusal.METHOD, name, f"compressed by method {info.compress_type}", "deflate"
            )
        left -= info.file_size
        if left < 0 or info.file_size > allowed[name]:
            most = f"{most_bytes():,} in all" if left < 0 else f"{allowed[name]:,}"
            raise RefusedArchiveError(
                Refusal.TOO_LARGE, name, f"{info.file_size:,} bytes unpacked", f"at most {most}"
            )
        if info.file_size > SMALL and info.file_size > RATIO * info.compress_size:
            raise RefusedArchiveError(
                Refusal.RATIO,
                name,
                f"{info.file_size:,} bytes out of {info.compress_size:,}",
                f"at most {RATIO} times",
            )
    if missing := sorted(set(needed) - set(seen.values())):
        raise RefusedArchiveError(Refusal.MISSING, missing[0], "no such file in the archive")


def _odd_name(name: str) -> str:
    """Why a name may lead somewhere else; empty where it cannot."""
    parts = re.split(r"[/\\]", name)
    if not name or any(unicodedata.category(each) in ("Cc", "Cf", "Cs") for each in name):
        return "a name with characters that nobody sees"
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        return "an absolute path"
    if ".." in parts:
        return "a path that leaves the folder"
    return "a path into a folder" if len(parts) > 1 and any(parts[1:]) else ""


def _looks(name: str) -> str:
    """What two names that look alike, or are one on some system, have in common."""
    return unicodedata.normalize("NFKC", name).casefold().rstrip(". ")


def _check_places(file: BinaryIO, listed: Collection[zipfile.ZipInfo], end: int) -> None:
    """Each file says of itself what the list says of it, and begins where the one before ends: none
    shares its bytes with another, and nothing stands between them."""
    place = 0
    for info in sorted(listed, key=lambda each: each.header_offset):
        if info.header_offset != place:
            raise RefusedArchiveError(
                Refusal.STRUCTURE,
                info.filename,
                "shares bytes with another, or stands behind some that belong to none",
            )
        file.seek(place)
        head = file.read(_LOCAL.size)
        if len(head) < _LOCAL.size:
            raise RefusedArchiveError(Refusal.STRUCTURE, info.filename, "cut off")
        mark, _, flags, method, _, _, crc, packed, size, name, more = _LOCAL.unpack(head)
        own = mark, flags, method, crc, packed, size, file.read(name)
        told = (
            b"PK\x03\x04", info.flag_bits, info.compress_type, info.CRC, info.compress_size,
            info.file_size, info.filename.encode(),
        )  # fmt: skip
        if own != told or flags & SIZES_BEHIND:
            raise RefusedArchiveError(
                Refusal.STRUCTURE, info.filename, "says otherwise of itself than the list of files"
            )
        if any(field in (UNICODE_NAME, ZIP64) for field in _fields(info.extra + file.read(more))):
            raise RefusedArchiveError(
                Refusal.STRUCTURE, info.filename, "a second name, or a second size"
            )
        place += _LOCAL.size + name + more + packed
    if place != end:
        raise RefusedArchiveError(
            Refusal.STRUCTURE, "archive", f"{end - place:,} bytes that belong to no file"
        )


def _fields(extra: bytes) -> Iterator[int]:
    while len(extra) >= 4:
        number, length = struct.unpack("<HH", extra[:4])
        yield number
        extra = extra[4 + length :]


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, folder: Path) -> str:
    """Write a file, no more than it said it would be; its SHA-256."""
    digest, left = sha256(), info.file_size
    try:
        with archive.open(info) as source, (folder / info.filename).open("xb") as target:
            while piece := source.read(PIECE):
                left -= len(piece)
                digest.update(piece)
                target.write(piece)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise RefusedArchiveError(Refusal.DAMAGED, info.filename, f"damaged ({error})") from None
    if left:
        raise RefusedArchiveError(
            Refusal.DAMAGED, info.filename, f"{left:,} bytes fewer than it says"
        )
    return digest.hexdigest()


def _check_sums(checksums: bytes, sums: Mapping[str, str]) -> None:
    own = {name: digest for name, digest in sums.items() if name != CHECKSUMS}
    expected = checksums_of(own)
    if checksums == expected:
        return
    lines = checksums.decode(errors="replace").split("\n")[:MOST_FILES]
    told = {line[66:]: line[:64] for line in lines}
    for name, digest in sorted(own.items()):
        if told.get(name) != digest:
            raise RefusedArchiveError(
                Refusal.CHECKSUM, name, f"its SHA-256 is not that in {CHECKSUMS}", digest
            )
    raise RefusedArchiveError(
        Refusal.CHECKSUM, CHECKSUMS, "not a line for each file in the order of names, and no other"
    )
