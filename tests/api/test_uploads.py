"""Files for import: streamed to the disk, bounded, and gone when they are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.uploads import safe_name
from schemas.settings import Settings
from tests.support.gateway import House

BOUNDARY = "----edge"
KIND = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def uploads(settings: Settings) -> list[Path]:
    folder = settings.data_path / "uploads"
    return [p for p in folder.rglob("*") if p.is_file()] if folder.exists() else []


async def send(house: House, who: str, dataset: str, content: Any, headers: dict[str, str] | None = None) -> Any:
    path = f"/v1/datasets/{dataset}/imports"
    return await house.ask(who, "POST", path, content=content, headers=headers or KIND)


class TestImport:
    async def test_file_and_fields_become_a_queued_job(self, house: House, settings: Settings) -> None:
        dataset = await house.dataset(items=0)
        content = b"review,mood\nGreat,positive\n"
        response = await house.post(
            "admin",
            f"/v1/datasets/{dataset}/imports",
            files={"file": ("my reviews.csv", content, "text/csv")},
            data={"text_column": "review", "label_column": "mood", "labels_as": "prediction"},
        )
        assert response.status_code == 202
        job = response.json()
        assert (job["kind"], job["state"]) == ("import", "queued")
        assert job["params"]["filename"] == "my reviews.csv"
        assert job["params"]["text_column"] == "review"
        assert job["params"]["labels_as"] == "prediction"
        stored = settings.data_path / "uploads" / job["params"]["upload"]
        assert stored.read_bytes() == content
        assert stored.suffix == ".csv"

    async def test_member_without_the_role_is_refused_before_anything_is_stored(
        self, house: House, settings: Settings
    ) -> None:
        dataset = await house.dataset(items=0)
        response = await send(house, "annotator", dataset, part("file", b"text\nx\n", "a.csv") + END)
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")
        assert uploads(settings) == []

    async def test_large_file_arrives_whole_in_small_pieces(self, house: House, settings: Settings) -> None:
        dataset = await house.dataset(items=0)
        line = b"a line with the boundary's beginning \r\n------edg inside\n"
        whole = line * 200_000
        body = part("file", whole, "big.txt") + END

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(body), 65_521):
                yield body[start : start + 65_521]

        response = await send(house, "admin", dataset, pieces())
        assert response.status_code == 202
        assert (settings.data_path / "uploads" / response.json()["params"]["upload"]).read_bytes() == whole

    @pytest.mark.parametrize(
        ("body", "code", "words"),
        [
            (END, "invalid", "part named file"),
            (part("text_column", b"x") + END, "invalid", "part named file"),
            (part("file", b"x", "a.csv"), "invalid", "broke off"),
            (part("file", b"x", "a.csv") + part("file", b"y", "b.csv") + END, "invalid", "more than one file"),
            (part("path", b"/etc/passwd") + END, "invalid", "unknown field"),
            (part("upload", b"../../etc/passwd") + part("file", b"x", "a.csv") + END, "invalid", "unknown field"),
            (part("text_column", b"x" * 2001) + END, "too-large", "text_column"),
            (part("text_column", b"\xff\xfe") + END, "invalid", "UTF-8"),
            (part("text_column", b"a\0b") + END, "invalid", "U+0000"),
            (part("labels_as", b"gospel") + END, "invalid", "labels_as"),
            (b"not multipart at all", "invalid", "malformed"),
            (b"", "invalid", "part named file"),
            (part("id_column", b"x") * 21 + END, "invalid", "more than 20 parts"),
        ],
    )
    async def test_malformed_body_is_refused_and_leaves_nothing(
        self, house: House, settings: Settings, body: bytes, code: str, words: str
    ) -> None:
        dataset = await house.dataset(items=0)
        response = await send(house, "admin", dataset, body)
        assert response.status_code in {413, 422}
        assert response.json()["code"] == code
        assert words in response.json()["detail"]
        assert uploads(settings) == []
        assert (await house.get("admin", f"/v1/datasets/{dataset}/jobs")).json() == []

    @pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "text/csv", ""])
    async def test_other_content_types_are_refused_with_invalid(self, house: House, kind: str) -> None:
        dataset = await house.dataset(items=0)
        response = await send(house, "admin", dataset, b"{}", headers={"Content-Type": kind})
        assert (response.status_code, response.json()["code"]) == (422, "invalid")

    async def test_full_disk_is_refused_with_disk_full_and_leaves_nothing(
        self, house: House, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("api.uploads.DISK_RESERVE", 2**62)
        dataset = await house.dataset(items=0)
        response = await send(house, "admin", dataset, part("file", b"text\nx\n", "a.csv") + END)
        assert (response.status_code, response.json()["code"]) == (503, "disk-full")
        assert list((settings.data_path / "uploads").iterdir()) == []


class TestLimit:
    @pytest.fixture
    def settings(self, clean_dsn: str, tmp_path: Path) -> Settings:
        from pydantic import SecretStr

        return Settings(data_dir=tmp_path, database_url=SecretStr(clean_dsn), max_upload_mb=1)

    async def test_announced_length_over_the_limit_is_refused_unread(self, house: House, settings: Settings) -> None:
        dataset = await house.dataset(items=0)
        response = await send(house, "admin", dataset, b"x" * (2**20 + 2**17))
        assert (response.status_code, response.json()["code"]) == (413, "too-large")

    async def test_unannounced_length_over_the_limit_is_refused_as_it_comes(
        self, house: House, settings: Settings
    ) -> None:
        dataset = await house.dataset(items=0)
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            yield part("file", b"", "endless.csv")[:-2]
            for _ in range(64):
                sent += 2**16
                yield b"x" * 2**16
                await asyncio.sleep(0)

        response = await send(house, "admin", dataset, endless())
        assert (response.status_code, response.json()["code"]) == (413, "too-large")
        assert uploads(settings) == []
        assert list((settings.data_path / "uploads").iterdir()) == []

    async def test_json_body_over_its_own_limit_is_refused_with_too_large(self, house: House) -> None:
        async def endless() -> AsyncIterator[bytes]:
            yield b'{"name": "'
            for _ in range(21 * 16):
                yield b"x" * 2**16

        for content in (endless(), b"x" * (20 * 2**20 + 1)):
            response = await house.ask(
                "admin", "POST", "/v1/datasets", content=content, headers={"Content-Type": "application/json"}
            )
            assert (response.status_code, response.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("reviews.csv", "reviews.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\data.csv", "data.csv"),
        ("..", "upload"),
        ("", "upload"),
        ("a\0b\n.csv", "ab.csv"),
        ("\u202egnp.exe.csv", "gnp.exe.csv"),
        ("x" * 500 + ".csv", "x" * 116 + ".csv"),
        ("日本語.csv", "日本語.csv"),
    ],
)
def test_file_names_lose_folders_and_surprises(given: str, kept: str) -> None:
    assert safe_name(given) == kept
