"""The table that summary() prints is MXNet's."""

import pytest

import regluon as mx
from regluon.gluon import nn
from tests.gluon.cases import convnet


# What MXNet 1.9.1 prints for the same network.
TABLE = """\
--------------------------------------------------------------------------------
        Layer (type)                                Output Shape         Param #
================================================================================
               Input                                (2, 3, 6, 6)               0
            Conv2D-1                                (2, 4, 6, 6)             108
         BatchNorm-2                                (2, 4, 6, 6)              16
        Activation-3                                (2, 4, 6, 6)               0
         MaxPool2D-4                                (2, 4, 3, 3)               0
        Activation-5                                (2, 3, 3, 3)               0
            Conv2D-6                                (2, 3, 3, 3)              15
         BatchNorm-7                                (2, 3, 3, 3)              12
   GlobalAvgPool2D-8                                (2, 3, 1, 1)               0
           Flatten-9                                      (2, 3)               0
            Dense-10                                      (2, 2)               8
================================================================================
Parameters in forward computation graph, duplicate included
   Total params: 159
   Trainable params: 142
   Non-trainable params: 17
Shared params in forward computation graph: 0
Unique parameters in model: 159
--------------------------------------------------------------------------------
"""


def test_a_convolutional_network(capsys):
    net = convnet(mx)
    net.initialize()
    net.summary(mx.nd.ones((2, 3, 6, 6)))
    assert capsys.readouterr().out == TABLE


def test_shared_weights_are_counted_once_as_unique(capsys):
    net = nn.HybridSequential()
    first = nn.Dense(4, in_units=4)
    net.add(first, nn.Dense(4, in_units=4, params=first.params))
    net.initialize()
    net.summary(mx.nd.ones((1, 4)))
    out = capsys.readouterr().out
    assert "Total params: 40\n" in out
    assert "Shared params in forward computation graph: 20\n" in out


def test_the_hooks_are_gone_after_a_failure():
    net = nn.Dense(2, in_units=3)
    net.initialize()
    with pytest.raises(mx.base.ShapeError):
        net.summary(mx.nd.ones((1, 4)))
    assert not net._forward_hooks
