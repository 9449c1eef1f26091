"""Files in and out: one module a format, streaming both ways, and never the whole file in memory.

``reading.open_rows`` turns any file of texts into rows and rejections, ``labels`` turns what a row says about its
label into a payload, ``writing`` turns export rows back into bytes. ``registry`` lists the formats; a new one is a
module with a ``read`` function, an ``Encoder`` or both, and one line there. Modules here know files and the vocabulary,
nothing else.
"""
