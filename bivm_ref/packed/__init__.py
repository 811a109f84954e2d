"""The engine: a trained BiVM in plain NumPy, on packed bits. Imports no torch.

    bits, kernels, conv, sparse   the binary convolution: signs, two exact kernels, dense and masked
    ops, layers, network, refiner the float layers around it, and the network
    weights                       the file format
    reference                     slow loops that say what the fast ones must return
"""

from bivm_ref.packed.network import PackedBiVM

__all__ = ["PackedBiVM"]
