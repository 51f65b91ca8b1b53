"""A world that betrays: simulated disk, clock and network, workloads, checkers, mutants.

Everything follows from one seed. Nothing here is part of the package.
"""
