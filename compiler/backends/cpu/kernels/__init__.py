"""The hot operations as TIR functions, one file a kernel.

A kernel is a function of plain numbers (shapes, scheme, activation type, instruction set) that
returns a `Kernel`. Matrix products are composed: `weights/<scheme>.py` says how eight rows are
packed and decoded, `activations.py` how a single token meets them, `panel.py` how a chunk does,
`tuning.py` in what sizes, and `linear`, `linear_glu`, `expert_glu` and `expert_linear` say which
rows meet which tokens.
"""
