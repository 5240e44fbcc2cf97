"""What a session typed before: one protocol, several stores.

``base`` holds the protocol, ``memory`` the store of a single process, ``fake``
the clock and the broken store that tests need.
"""
