"""What a session typed before: one protocol, several stores.

``base`` holds the protocol, ``memory`` the store of a single process, ``shared``
that of all processes of a machine, ``redis`` that of several machines, ``opening``
chooses among them, ``fake`` has the clock and the broken store that tests need.
"""
