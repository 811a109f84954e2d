"""Shared by every test: plots are drawn off screen, whatever the machine has."""

import matplotlib

# Chosen here and not through MPLBACKEND: that variable would reach the kernels that the notebook tests start,
# replace Jupyter's inline backend there, and every figure would vanish from the output.
matplotlib.use("Agg")
