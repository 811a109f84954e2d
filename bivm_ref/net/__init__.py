"""The networks in torch: BiVM, its float twin, and RVM, the float ancestor."""

from bivm_ref.net.bivm import BiVM
from bivm_ref.net.output import MattingOutput
from bivm_ref.net.rvm import RVM

__all__ = ["RVM", "BiVM", "MattingOutput"]
