"""The HTTP front: the same service for browsers, as JSON.

A worker of its own beside those that speak gRPC, with the same index and sessions::

    server ── app ── front ─┬─ mapping   (JSON to message and back)
    (uvicorn: connections)  ├─ replies   (statuses as HTTP)
    (app: bodies, time)     ├─ origins   (who may ask from a browser)
                            └─ service ── domain, as over gRPC

``server`` is all that knows uvicorn, ``app`` all that knows ASGI; the rest are functions
of a request.
"""
