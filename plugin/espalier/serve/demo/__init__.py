"""A page to see it at work: served by the HTTP front where ``serve.demo`` says so.

::

    http.assembly ── pages ─┬─ page/     (HTML, CSS and modules, as they are)
                            └─ search ── host   (a small search engine over a catalogue)

``page/espalier/`` is a copy of the module in ``integration/web/``, made by
``python -m tools.copy_web``.
"""
