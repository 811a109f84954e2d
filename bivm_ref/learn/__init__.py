"""Training, evaluation and export of the networks in `bivm_ref.net` (torch)."""
