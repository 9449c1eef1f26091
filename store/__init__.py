"""The store: the only door to Postgres. Everything behind it is SQL, everything in front of it calls named functions.

``open_store`` finds the database that the settings mean (embedded, one's own, Supabase) and holds it; ``open_rpc`` is
the same for callers that want nothing but to call functions.
"""

from __future__ import annotations

from store.opening import Store, open_rpc, open_store
from store.rpc import Rpc

__all__ = ["Rpc", "Store", "open_rpc", "open_store"]
