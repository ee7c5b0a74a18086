"""Capture of a Node process through its inspector: the Chrome DevTools protocol, spoken from outside."""
