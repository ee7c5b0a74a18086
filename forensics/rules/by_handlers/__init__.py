"""Leaks of Go and Rust services by allocation stacks over time: which handler's allocations stay, and what they are.

A heap profile says who allocated what is still alive, not who holds it. What can be proved is said: this handler's
calls allocated it, so many bytes of it are alive, and they grow. What part of a response stays alive tells how it is
kept: the whole output with its metadata, items alone, metadata alone, strings alone; frames between the handler and the
allocation tell of paginators, clients and configurations; goroutines tell of work that never ends.
"""

from forensics.rules.by_handlers.judging import applies, by_handlers, causes
from forensics.rules.by_handlers.patterns import PATTERNS, Pattern

__all__ = ["PATTERNS", "Pattern", "applies", "by_handlers", "causes"]
