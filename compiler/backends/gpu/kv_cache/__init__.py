"""KV caches on GPUs: the same numbers as on the CPU, in words of 32 bits; one file a type.

A file has the columns of a word, ``encode`` and ``decode``.
"""
