"""The bytes of a file, unpacked, decoded and cut into lines, without ever holding the file.

A source is looked through once before any row is read: a truncated or exploding archive is then refused before
anything is imported, the encoding is known from the whole file rather than from its first kilobytes, and readers can
skip checks that this file does not need. Looking through costs a few per cent of reading.

Encodings: a byte order mark wins; else strict UTF-8; else Windows-1252 (Latin-1 if bytes do not exist there), which is
told in a notice. A file that is UTF-8 but for some lines stays UTF-8 and those lines are rejected, each by its number.
"""

from __future__ import annotations

import codecs
import gzip
import io
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from formats.rows import MAX_RECORD_CHARS, ReadOptions, RejectCode
from schemas.errors import LabelCrewError, error_of

CHUNK = 1 << 20
FREE_BYTES = 64 << 20
"""Below this size the ratio of an archive does not matter: it harms nobody."""

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NOT_TEXT = re.compile("[\ud800-\udfff]")
_MARK = "labelcrew.mark"
# Python's own surrogateescape only knows encodings that contain ASCII, so not UTF-16
codecs.register_error(_MARK, lambda error: ("\udcff", getattr(error, "end", 0)))


class Source:
    """One file, open for as many passes as its reader needs.

    ``bad_lines`` maps line numbers to why a line cannot be taken; readers take entries out as they meet them.
    """

    def __init__(self, file: BinaryIO, *, name: str, owned: bool, options: ReadOptions) -> None:
        self.name = name
        self.file = file
        self.options = options
        self.notices: list[str] = []
        self.bad_lines: dict[int, RejectCode] = {}
        self.encoding = "utf-8"
        self.newline = "\n"
        self.has_nul = False
        """Whether a NUL may come up somewhere, so that readers have to look."""
        self.tail = b""
        """The last bytes of the file."""
        self._owned = owned
        self._position = 0
        self._start = file.tell()
        file.seek(0, os.SEEK_END)
        self.size = file.tell() - self._start
        file.seek(self._start)
        magic = file.read(4)
        self.packed = magic[:2] == b"\x1f\x8b"

    @property
    def progress(self) -> float:
        """The share of the file that has been read in this pass, 0 to 1."""
        return min(1.0, self._position / self.size) if self.size else 1.0

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._owned:
            self.file.close()

    def chunks(self, size: int = CHUNK) -> Iterator[bytes]:
        """The unpacked bytes from the start. Raises ``unreadable-file`` and ``decompression-bomb``."""
        self.file.seek(self._start)
        self._position = 0
        if not self.packed:
            while chunk := self.file.read(size):
                self._position += len(chunk)
                yield chunk
            return
        total = 0
        try:
            with gzip.GzipFile(fileobj=self.file) as unpacked:
                while chunk := unpacked.read(size):
                    total += len(chunk)
                    self.check_growth(total)
                    self._position = self.file.tell() - self._start
                    yield chunk
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise error_of(
                "unreadable-file",
                f"{self.name}: the gzip archive is cut off or damaged ({error})",
                hint="Copy or download the file again.",
            ) from error

    def check_growth(self, total: int) -> None:
        """Raise ``decompression-bomb`` when ``total`` unpacked bytes are more than the options allow."""
        options = self.options
        if total > options.max_unpacked_bytes or (total > FREE_BYTES and total > options.max_ratio * self.size):
            raise error_of(
                "decompression-bomb",
                f"{self.name}: {self.size:,} packed bytes unpack to more than {total - 1:,}",
            )

    def head(self, size: int = 1 << 16) -> bytes:
        """The first unpacked bytes."""
        taken = b""
        for chunk in self.chunks(size):
            taken += chunk
            if len(taken) >= size:
                break
        return taken[:size]

    def unpacked_file(self) -> BinaryIO:
        """The unpacked bytes as a file that can be sought in, for formats that jump about."""
        if not self.packed:
            self.file.seek(self._start)
            if self._start:
                raise error_of("unreadable-file", f"{self.name}: the file must be read from its beginning")
            return self.file
        return spool(self.chunks())

    def look_through(self) -> None:
        """Read everything once: find the encoding, the line ends and what needs care."""
        marked = next(((bom, name) for bom, name in BOMS if self.head(4).startswith(bom)), None)
        scan = _Scan()
        for chunk in self.chunks():
            scan.see(chunk)
        scan.end()
        if scan.newlines == 0 and scan.returns > 0:
            self.newline = "\r"
        self.has_nul = scan.nul
        self.tail = scan.tail
        if self.options.encoding:
            self.encoding = _codec(self.options.encoding)
        elif marked:
            self.encoding = marked[1]
        elif wide := _wide_guess(self.head(4096)):
            self.encoding = wide
            self.notices.append(f"Read as {wide.upper()}, which the file does not say itself.")
        else:
            self.encoding = self._single_byte_guess(scan)
        if self.encoding.startswith(("utf-16", "utf-32")):
            self.newline = "\n"
            self.has_nul = True

    def _single_byte_guess(self, scan: _Scan) -> str:
        if not scan.invalid:
            return "utf-8"
        if scan.valid >= scan.invalid:
            self.notices.append(
                f"The file is UTF-8, but {scan.invalid:,} of its lines are not; those are rejected. "
                "Save the file as UTF-8 to keep them."
            )
            return "utf-8"
        encoding, spoken = ("latin-1", "Latin-1") if scan.not_1252 else ("cp1252", "Windows-1252")
        self.notices.append(f"The file is not UTF-8; it was read as {spoken}. Name its encoding if letters look wrong.")
        return encoding

    def text(self) -> Iterator[tuple[str, bool]]:
        """Decoded pieces, without a byte order mark, and whether a piece holds bytes that are not text.

        Such bytes come out as a lone surrogate, U+DCFF, which no correct file can hold.
        """
        decoder = codecs.getincrementaldecoder(self.encoding)("strict")
        first = True
        for chunk in self.chunks():
            piece, dirty = _decode(decoder, chunk, final=False)
            if first and piece:
                first = False
                piece = piece.removeprefix("\ufeff")
            if piece:
                yield piece, dirty
        piece, dirty = _decode(decoder, b"", final=True)
        if piece:
            yield piece, dirty

    def lines(self) -> Iterator[list[str]]:
        """Batches of lines with their ends. Lines that are not text or far too long are noted in ``bad_lines``."""
        number, carry, tainted = 0, [""], False
        carried = 0
        overlong = False
        for piece, dirty in self.text():
            cut = piece.rfind(self.newline) + 1
            if not cut:
                carried += len(piece)
                tainted = tainted or dirty
                if carried > MAX_RECORD_CHARS:
                    overlong, carry, tainted = True, [], False
                else:
                    carry.append(piece)
                continue
            batch = self._cut("".join([*carry, piece[:cut]]))
            if overlong:
                # the long line ends in this piece; what is left of it stands in its place, empty
                batch[0] = self.newline
                self.bad_lines[number + 1] = "cell-too-large"
                overlong = False
            if dirty or tainted:
                self._note_bad(batch, number)
            number += len(batch)
            yield batch
            carry, carried, tainted = [piece[cut:]], len(piece) - cut, dirty
        if overlong:
            self.bad_lines[number + 1] = "cell-too-large"
            yield [self.newline]
        elif carried:
            batch = self._cut("".join(carry))
            if tainted:
                self._note_bad(batch, number)
            yield batch

    def _cut(self, text: str) -> list[str]:
        return list(io.StringIO(text, newline=self.newline))

    def _note_bad(self, batch: list[str], number: int) -> None:
        for offset, line in enumerate(batch, start=number + 1):
            if not line.isascii() and _NOT_TEXT.search(line):
                self.bad_lines[offset] = "bad-encoding"


class _Scan:
    """Counts kept while a file is looked through."""

    def __init__(self) -> None:
        self.newlines = self.returns = self.valid = self.invalid = 0
        self.nul = self.not_1252 = False
        self.tail = b""
        self._carry = b""

    def see(self, chunk: bytes) -> None:
        self.newlines += chunk.count(b"\n")
        self.returns += chunk.count(b"\r")
        self.tail = (self.tail + chunk[-256:])[-256:]
        self.nul = self.nul or b"\0" in chunk or b"\\u0000" in chunk
        data = self._carry + chunk
        cut = data.rfind(b"\n") + 1
        if not cut:
            # one long line so far: cut anywhere but inside a character
            cut = len(data)
            while cut > max(0, len(data) - 4) and data[cut - 1] & 0xC0 == 0x80:
                cut -= 1
            if cut and data[cut - 1] >= 0xC0:
                cut -= 1
        self._carry = data[cut:]
        self._judge(data[:cut])

    def end(self) -> None:
        self._judge(self._carry)

    def _judge(self, data: bytes) -> None:
        if data.isascii():
            return
        for line in data.split(b"\n"):
            if line.isascii():
                continue
            try:
                line.decode("utf-8")
                self.valid += 1
            except UnicodeDecodeError:
                self.invalid += 1
                try:
                    line.decode("cp1252")
                except UnicodeDecodeError:
                    self.not_1252 = True


def _decode(decoder: codecs.IncrementalDecoder, data: bytes, *, final: bool) -> tuple[str, bool]:
    try:
        return decoder.decode(data, final), False
    except UnicodeDecodeError:
        decoder.errors = _MARK
        try:
            return decoder.decode(data, final), True
        finally:
            decoder.errors = "strict"


def _codec(name: str) -> str:
    """The name Python knows an encoding by. Only text encodings are let in: ``zlib`` and ``rot13`` are codecs too."""
    with suppress(LookupError):
        info = codecs.lookup(name)
        if getattr(info, "_is_text_encoding", True):
            # with a mark in front the decoder of utf-16 swallows it and chooses the order itself
            return info.name.removesuffix("-sig")
    raise error_of("invalid", f"there is no encoding {name!r}", hint="Use utf-8, utf-16, cp1252, latin-1, shift_jis, …")


def _wide_guess(head: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of Western text is NUL."""
    if len(head) < 8 or len(head) % 2 or b"\0" not in head:
        return None
    half = len(head) // 2
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd > 0.6 * half and even < 0.1 * half:
        return "utf-16-le"
    if even > 0.6 * half and odd < 0.1 * half:
        return "utf-16-be"
    return None


def spool(chunks: Iterator[bytes]) -> BinaryIO:
    """``chunks`` in a temporary file that vanishes when closed."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 -- the source that asked closes it
    try:
        for chunk in chunks:
            file.write(chunk)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return cast(BinaryIO, file)


def open_source(source: Path | BinaryIO, options: ReadOptions, name: str | None = None) -> Source:
    """Open a path or take an open binary file (seekable or not). Raises ``unreadable-file``."""
    if isinstance(source, Path):
        try:
            return Source(source.open("rb"), name=name or source.name, owned=True, options=options)
        except OSError as error:
            raise unreadable(name or source.name, error) from error
    given = getattr(source, "name", None)
    name = name or (Path(given).name if isinstance(given, str) else "the file")
    if source.seekable():
        return Source(source, name=name, owned=False, options=options)
    file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 -- closed by the source
    shutil.copyfileobj(source, file, CHUNK)
    file.seek(0)
    return Source(file, name=name, owned=True, options=options)


def unreadable(name: str, error: Exception) -> LabelCrewError:
    """``unreadable-file`` for whatever an underlying library or the system said."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return error_of("unreadable-file", f"{name}: {said}")
