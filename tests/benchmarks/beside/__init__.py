"""The parts of ``tests/benchmarks/beside_llama_cpp.py``: one model on two runtimes, in turn."""
