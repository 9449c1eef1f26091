"""The workspace: the static export of the Next.js application, served beside the API.

Next writes ``/login/`` as ``login/index.html`` or ``login.html``; both are found. Files under ``_next/static`` carry a
hash of their content in their name and may be kept for ever. Each page gets a content security policy with the hashes
of its own inline scripts, so no other inline script runs (https://www.w3.org/TR/CSP3/#match-element-to-source-list).
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from functools import lru_cache
from pathlib import Path

import anyio
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response

from api.errors import problem

FOLDER = Path(__file__).resolve().parent.parent / "web" / "out"

INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)

# Browsers ask for this one by themselves, before they have read which icon a page names.
ALIASES = {"favicon.ico": "icon.svg"}

NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>LabelCrew</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root{color-scheme:light dark}body{font:16px/1.6 sans-serif;max-width:38rem;margin:auto;padding:9vh 1rem}
code{background:#8883;padding:.1em .35em;border-radius:.3em}</style>
<h1>LabelCrew is running</h1>
<p>The workspace has not been built yet. Run <code>make web</code>, then reload this page.</p>
<p>The API answers under <code>/v1</code>; its description is at <a href="/openapi.json">/openapi.json</a>.</p>
</html>"""


def install(app: FastAPI, *, folder: Path = FOLDER, connect: tuple[str, ...] = ()) -> None:
    """Serve ``folder`` on every address that no route has. ``connect`` are other origins that pages may call."""

    async def page(request: Request) -> Response:
        if request.method not in {"GET", "HEAD"}:
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        path = str(request.path_params["path"])
        if path.startswith(("v1/", "v1")) and path.split("/", maxsplit=1)[0] == "v1":
            raise HTTPException(404)
        return await anyio.to_thread.run_sync(_serve, folder, path, request.headers.get("accept", ""), connect)

    app.add_route("/{path:path}", page, include_in_schema=False)


def workspace_built(folder: Path = FOLDER) -> bool:
    """Whether there are pages to serve."""
    return (folder / "index.html").is_file()


def _serve(folder: Path, path: str, accept: str, connect: tuple[str, ...]) -> Response:
    if not workspace_built(folder):
        if path == "" and "text/html" in accept:
            return HTMLResponse(NOT_BUILT, headers={"Content-Security-Policy": _policy((), connect)})
        return problem(404, "not-found", "the workspace has not been built", hint="Run `make web`; the API is at /v1.")
    found = _find(folder, ALIASES.get(path, path))
    if found is None:
        missing = folder / "404.html"
        if "text/html" in accept and missing.is_file():
            return _file(missing, 404, connect)
        return problem(404, "not-found", "there is no such address")
    return _file(found, 200, connect)


def _find(folder: Path, path: str) -> Path | None:
    """The file behind a path: itself, its ``.html``, or its folder's ``index.html``; never one outside ``folder``."""
    if "\0" in path or "\\" in path or len(path) > 1024:
        return None
    root = os.path.realpath(folder)
    wanted = path.strip("/")
    for candidate in (wanted, f"{wanted}.html", f"{wanted}/index.html") if wanted else ("index.html",):
        full = os.path.realpath(os.path.join(root, candidate))
        if os.path.commonpath((root, full)) == root and os.path.isfile(full):
            return Path(full)
    return None


def _file(file: Path, status: int, connect: tuple[str, ...]) -> Response:
    if file.suffix == ".html":
        scripts = _script_hashes(str(file), file.stat().st_mtime_ns)
        headers = {"Cache-Control": "no-cache", "Content-Security-Policy": _policy(scripts, connect)}
    elif "/_next/static/" in file.as_posix():
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    else:
        headers = {"Cache-Control": "no-cache"}
    return FileResponse(file, status, headers=headers)


@lru_cache(maxsize=512)
def _script_hashes(file: str, _changed: int) -> tuple[str, ...]:
    scripts = INLINE_SCRIPT.findall(Path(file).read_bytes())
    digests = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts if script)
    return tuple(dict.fromkeys(f"'sha256-{digest}'" for digest in digests))


def _policy(scripts: tuple[str, ...], connect: tuple[str, ...]) -> str:
    return "; ".join(
        (
            "default-src 'self'",
            " ".join(("script-src 'self'", *scripts)),
            "style-src 'self' 'unsafe-inline'",  # components set style attributes, which no hash can allow
            "img-src 'self' data: blob:",
            "media-src 'self' blob:",
            "font-src 'self'",
            " ".join(("connect-src 'self'", *connect)),
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )
