"""Statistics: pure functions on numpy arrays, no database, no network, usable in a notebook.

Conventions, so that every module reads alike:

- ``vectors`` are (n, d) float32 and of length 1 (:mod:`learning.embedding`); ``probabilities`` are (n, k) and rows sum
  to 1 unless several labels may be given; columns follow ``Labelset.keys``.
- Labels enter as class indexes (n,), as class keys (n,), or as weights (n, k): soft labels.
- Wrong shapes, NaN and infinities raise :class:`schemas.errors.Invalid`; too little to learn from raises
  ``no-training-data``.
- What is learnt can be stored as bytes (npz, never pickle) or as a JSON dictionary with a version.
- Randomness comes from a ``seed`` argument; the same input gives the same output.

Importing this package, or any module of it, imports numpy and nothing heavier.
"""
