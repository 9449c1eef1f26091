"""The gateway: HTTP under /v1, and the workspace.

It proves who asks, shapes what was sent, calls one SQL function, and sends on what that returns. Who may do what is
decided in the database; the HTTP status of an error in ``errors.py``; what happens later in jobs/.
"""

from importlib.metadata import version

VERSION = version("labelcrew")
