"""bivm_ref: binarized video matting (BiVM), built to be read. Start with notebooks/00_start_here.ipynb."""

__version__ = "0.1.0"
