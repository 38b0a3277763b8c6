"""Logs and metrics. A leaf: everybody may use it, it uses nobody."""
