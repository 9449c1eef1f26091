"""CrewAI, loaded when a crew first meets: its import takes seconds, so nothing else in the house imports it.

Before the import its telemetry, tracing and update notices are switched off, and its files are sent to the data folder
instead of the user's home. Nothing that is labelled leaves this machine but to the model's server.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import ModuleType

_lock = threading.Lock()


def load_crewai(storage: Path) -> ModuleType:
    """The ``crewai`` package; ``storage`` is the folder for its files. Safe to call from several threads."""
    with _lock:
        storage.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.environ.update(
            CREWAI_DISABLE_TELEMETRY="true",
            CREWAI_DISABLE_TRACKING="true",
            CREWAI_TRACING_ENABLED="false",
            CREWAI_DISABLE_VERSION_CHECK="true",
            CREWAI_STORAGE_DIR=str(storage.absolute()),
        )
        import crewai

        return crewai
