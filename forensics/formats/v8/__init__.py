"""V8's ``.heapsnapshot``: read as it was written, judged as DevTools judges it, turned into a HeapGraph."""
