"""A packed file back in torch: packing it again gives every number back."""

import numpy as np
import pytest
from test_engine_equals_torch import random_network

from bivm_ref.learn.export import pack
from bivm_ref.learn.unpack import unpack
from bivm_ref.packed import weights


def test_pack_of_unpack_is_the_file():
    arch, tensors, _ = weights.load(weights.default_weights())
    again = pack(unpack(arch, tensors))
    assert again.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(again[name], tensor, err_msg=name)
        assert again[name].dtype == tensor.dtype


def test_nasty_networks_come_back_too():
    tensors = pack(random_network("small", seed=3))
    again = pack(unpack(random_network("small").arch, tensors))
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(again[name], tensor, err_msg=name)


def test_tensors_of_another_network_are_refused():
    arch, tensors, _ = weights.load(weights.default_weights())
    tensors = {**tensors, "head.bias": np.zeros(3, np.float32)}
    with pytest.raises(ValueError, match="head.bias has shape"):
        unpack(arch, tensors)
