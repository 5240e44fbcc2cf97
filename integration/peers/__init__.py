"""Peers measured beside Espalier."""
