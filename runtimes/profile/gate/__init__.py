"""The regression gate: is a bundle slower than another, beyond what noise can explain?

``docs/regression-gate.md`` says what is decided how, and how often that is wrong.
"""
