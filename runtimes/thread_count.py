"""How many threads can compute."""

MAX_THREADS = 1024
"""``THREAD_POOL_MAX_THREADS`` of the C runtime."""
