"""The engine: a trained BiVM on packed bits, in NumPy. (Pillow reduces frames, safetensors reads the file.)

In the order in which a frame meets them, one idea to a file:

    bits        signs as bits; XOR and popcount, the definition of everything that follows
    planes      a sign map laid out so that a tap of a convolution copies nothing
    kernels     the same whole numbers twice: XOR and popcount, and a table that remembers them
    conv        a convolution from planes and a kernel, on whole rows or at active positions
    sparse      where the mask says that there is something to compute
    tune        which kernel each layer uses, measured at load
    ops         the float layers in between, in torch's order of operations
    run         strips, threads, memory that is kept from frame to frame
    memory, team, clock    aligned arrays, who computes which rows, and time by the part of the network
    layers, decoder, heads, refiner    the network's parts; network puts them together
    weights     the file
    trace       one frame watched on its way, every map and every whole number
    reference   the slow loops that the tests hold everything equal to
"""

from bivm_ref.packed.network import PackedBiVM

__all__ = ["PackedBiVM"]
