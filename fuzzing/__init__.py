"""Coverage-guided fuzzing: whatever bytes arrive or lie on the disk, the broker copes.

Each target is a function from bytes to nothing that raises when a promise is
broken. `make fuzz` runs them with atheris; the property tests run them, too,
without it, on their seeds and on small changes of these.
"""
