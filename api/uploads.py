"""Files that are sent for import: written to the data folder as they arrive, never held in memory.

The body is ``multipart/form-data`` (RFC 7578) with one part ``file`` and a few short fields. A file that is refused,
too large or broken off leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from api.deps import Gateway
from jobs.places import place_of
from schemas.errors import Invalid, TooLarge, error_of

MAX_FIELD_BYTES = 2_000
MAX_PARTS = 20
MAX_HEADER_BYTES = 4_096
DISK_RESERVE = 64 * 2**20
"""Bytes that an upload leaves free on the disk."""

FIELDS: dict[str, str] = {
    "text_column": "Column that holds the text; found by itself when there is only one candidate.",
    "id_column": "Column that holds an id of the row; sending the file again then changes nothing.",
    "label_column": "Column that holds a label.",
    "format": "csv, tsv, jsonl, json, parquet, txt or conll; told from the file when left out.",
    "labels_as": "What labels in the file are: `annotation` (they count as verified answers) or `prediction` (drafts).",
}

UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "contentMediaType": "application/octet-stream",
                            "description": "CSV, TSV, JSON lines, JSON, Parquet, text or CoNLL; gzip is fine.",
                        },
                        **{
                            name: {"type": "string", "maxLength": MAX_FIELD_BYTES, "description": words}
                            for name, words in FIELDS.items()
                        },
                        "labels_as": {
                            "type": "string",
                            "enum": ["annotation", "prediction"],
                            "default": "annotation",
                            "description": FIELDS["labels_as"],
                        },
                    },
                }
            }
        },
    }
}


async def begin_import(request: Request, parts: Gateway, actor: str, dataset: str) -> dict[str, Any]:
    """Store the file of ``request`` and order its import; the job. Raises before reading the body if it is in vain."""
    found = await parts.rpc.call("get_dataset", actor=actor, dataset=dataset)
    if found["role"] != "admin":
        raise error_of("forbidden", f"this needs the role admin; yours is {found['role']}", needed="admin")
    folder = parts.settings.data_path / "uploads" / secrets.token_hex(16)
    try:
        upload = await receive(request, folder, most=parts.settings.max_upload_mb * 2**20)
        stored = {"place": place_of(parts.settings), "upload": f"{folder.name}/{upload.stored}"}
        params = {**upload.fields, **stored, "filename": upload.filename}
        job: dict[str, Any] = await parts.rpc.call(
            "create_job", actor=actor, dataset=dataset, kind="import", params=params
        )
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, folder, True)
        raise
    return job


@dataclass(slots=True)
class Upload:
    """A file that has arrived: ``stored`` is its name in its folder, ``filename`` what the client called it."""

    stored: str = ""
    filename: str = ""
    size: int = 0
    fields: dict[str, str] = field(default_factory=dict)


async def receive(request: Request, folder: Path, *, most: int) -> Upload:
    """Write the one file of a multipart request into ``folder`` as it arrives.

    Raises ``too-large`` as soon as more than ``most`` bytes have come, ``disk-full``, and ``invalid`` for a body that
    is not what it should be.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise Invalid("the body must be multipart/form-data with a part named file")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most + 64 * 1024:
        raise _too_large(most)
    reader = _Reader(folder, most)
    try:
        parser = MultipartParser(boundary, reader.callbacks(), max_header_size=MAX_HEADER_BYTES)
        async for chunk in request.stream():
            parser.write(chunk)
            if reader.waiting:
                await asyncio.to_thread(reader.flush)
        parser.finalize()
        await asyncio.to_thread(reader.flush)
    except FormParserError as error:
        raise Invalid("the multipart body is malformed") from error
    except ClientDisconnect as error:
        raise Invalid("the upload broke off") from error
    finally:
        reader.close()
    if not reader.ended or not reader.upload.stored:
        raise Invalid("the body has no part named file, or broke off", hint="Send multipart/form-data with a file.")
    return reader.upload


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"the file is larger than {most // 2**20} MB", limit_bytes=most, hint="Send it in parts, or raise the limit."
    )


class _Reader:
    """Takes the parser's callbacks. File bytes are gathered, and written by :meth:`flush` in a thread."""

    def __init__(self, folder: Path, most: int) -> None:
        self.upload = Upload()
        self.waiting: list[bytes] = []
        self.ended = False
        self._folder = folder
        self._most = most
        self._parts = 0
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._field: str | None = None
        self._value = b""
        self._in_file = False
        self._file: IO[bytes] | None = None

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header_name,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def flush(self) -> None:
        """Write what has been gathered. Raises ``disk-full``."""
        chunks, self.waiting = self.waiting, []
        if not chunks:
            return
        try:
            if self._file is None:
                self._folder.mkdir(parents=True, mode=0o700)
                self._file = (self._folder / self.upload.stored).open("xb")
            if shutil.disk_usage(self._folder).free < DISK_RESERVE + sum(map(len, chunks)):
                raise error_of("disk-full")
            self._file.writelines(chunks)
        except OSError as error:
            raise error_of("disk-full", f"the upload cannot be stored: {error.strerror}") from error

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise Invalid(f"the body has more than {MAX_PARTS} parts")
        self._header_name = self._header_value = self._disposition = self._value = b""
        self._field, self._in_file = None, False

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode(errors="replace")
        if name == "file":
            if self.upload.stored:
                raise Invalid("the body has more than one file", hint="Send one file at a time.")
            self._in_file = True
            self.upload.filename = safe_name(options.get(b"filename", b"").decode(errors="replace"))
            self.upload.stored = "file" + "".join(PurePosixPath(self.upload.filename).suffixes[-2:])
            self.waiting.append(b"")
        elif name in FIELDS:
            self._field = name
        else:
            raise Invalid(f"unknown field {name[:80]!r}", hint=f"Known are file, {', '.join(FIELDS)}.")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self.upload.size += end - start
            if self.upload.size > self._most:
                raise _too_large(self._most)
            self.waiting.append(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MAX_FIELD_BYTES:
            raise TooLarge(f"the field {self._field} is longer than {MAX_FIELD_BYTES} bytes")

    def _on_part_end(self) -> None:
        if self._field is None:
            return
        try:
            value = self._value.decode().strip()
        except UnicodeDecodeError as error:
            raise Invalid(f"the field {self._field} is not UTF-8") from error
        if "\0" in value:
            raise Invalid(f"the field {self._field} holds the character U+0000")
        if self._field == "labels_as" and value not in {"", "annotation", "prediction"}:
            raise Invalid("labels_as must be annotation or prediction")
        if value:
            self.upload.fields[self._field] = value

    def _on_end(self) -> None:
        self.ended = True


def safe_name(name: str) -> str:
    """A client's file name without folders, control characters or surprises: for people to read and for its suffix."""
    name = PureWindowsPath(PurePosixPath(name).name).name
    name = "".join(c for c in unicodedata.normalize("NFC", name) if unicodedata.category(c)[0] != "C")
    name = re.sub(r'[\\/:*?"<>|]', "_", name).strip(". ")[-120:]
    return name or "upload"
