"""Where files lie: uploads that wait for their import, exports that wait to be fetched.

They are files of one data folder, and a worker on another machine does not see it. So each data folder has a name, the
jobs that need its files carry it, and only workers that run on it begin them; all other jobs are anybody's.
"""

from __future__ import annotations

import contextlib
import secrets

from schemas.settings import Settings


def place_of(settings: Settings) -> str:
    """The data folder's name: 16 letters, made up when it is first asked for, and kept in the folder."""
    path = settings.data_path / "place"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        made = path.with_name(f"place.{secrets.token_hex(4)}")
        made.write_text(secrets.token_hex(8), encoding="ascii")
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(made)  # the first of several that begin at once gives the name, whole
        made.unlink()
    return path.read_text(encoding="ascii")
