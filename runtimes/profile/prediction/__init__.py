"""How long a bundle should take, from its plan and the limits of a machine."""
