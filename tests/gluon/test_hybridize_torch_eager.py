"""hybridize() on torch modules that a program cannot stand for: they stay eager, and say why."""

import warnings

import pytest
import torch
from torch import nn

import regluon as mx
from regluon.gluon.torch_program import hybridize, program
from tests.gluon.torch_models import alike, farthest, pair


class Branch(nn.Linear):
    def forward(self, x):
        y = super().forward(x)
        return y * 2 if y.sum() > 0 else y - 1


class Numpy(nn.Linear):
    def forward(self, x):
        return super().forward(x) * float(x.detach().numpy().max())


class Masked(nn.Linear):
    def forward(self, x):
        kept = x[x > 0]
        return super().forward(x) / kept.shape[0]


class Counting(nn.Linear):
    count = 0

    def forward(self, x):
        self.count += 1
        return super().forward(x) * self.count


class Collecting(nn.Linear):
    def __init__(self, *args):
        super().__init__(*args)
        self.seen = []

    def forward(self, x):
        self.seen.append(x)
        return super().forward(x)


class InPlace(nn.Linear):
    def forward(self, x):
        return super().forward(x.mul_(2)) + x


class Replacing(nn.Linear):
    def __init__(self, *args):
        super().__init__(*args)
        self.register_buffer("mean", torch.zeros(args[0]))

    def forward(self, x):
        self.mean = self.mean * 0.5 + x.detach().mean(0)
        return super().forward(x - self.mean)


class Unregistered(nn.Linear):
    def __init__(self, *args):
        super().__init__(*args)
        self.hidden = [torch.ones(args[0], requires_grad=True)]

    def forward(self, x):
        return super().forward(x * self.hidden[0])


class Inside(nn.Sequential):
    def __init__(self, *args):
        super().__init__(nn.Linear(*args))
        self[0].register_forward_hook(lambda net, args, out: out * 2)


class Dice(nn.Linear):
    faces = 0

    def forward(self, x):
        Dice.faces += 1
        return super().forward(x) * Dice.faces


REASONS = {
    Branch: "the value of a tensor is read",
    Numpy: "numpy() of a tensor",
    Masked: "the value of a tensor is read",
    Counting: "writes the attribute Counting.count",
    Collecting: "writes the attribute Collecting.seen",
    InPlace: "writes an argument in place",
    Replacing: "replaces the buffer mean",
    Unregistered: "no parameter of the module",
    Inside: "hooks",
}


@pytest.mark.parametrize("kind", REASONS)
def test_a_module_that_cannot_be_a_program_stays_eager_and_says_why(kind, caplog):
    module, reference = pair(lambda: kind(3, 3))
    if kind is Unregistered:
        for net in (module, reference):
            net.hidden = [torch.ones(3, dtype=torch.float64, requires_grad=True)]
    hybridize(module)
    for turn in range(5):
        x = torch.randn(4, 3).double() * (1 if turn % 2 else -1)

        def step(net, x=x):
            net.zero_grad()
            leaf = x.clone().requires_grad_()
            out = net(leaf + 0)
            out.square().sum().backward()
            return out.detach(), leaf.grad

        one, two = alike(step, module, reference)
        assert torch.equal(one[0], two[0])
        assert torch.equal(one[1], two[1])
        assert farthest(module, reference) == 0
        with torch.no_grad():
            assert torch.equal(*alike(lambda net, x=x: net(x.clone()), module, reference))
    if kind is Unregistered:
        assert torch.equal(module.hidden[0].grad, reference.hidden[0].grad)
    assert REASONS[kind] in caplog.text
    assert program(module) == ""
    messages = [record.message for record in caplog.records]
    assert len(set(messages)) == len(messages)
    if kind in (Branch, Masked):
        assert "test_hybridize_torch_eager.py" in caplog.text


def test_two_traces_that_differ_are_noticed(caplog):
    module = hybridize(Dice(3, 3))
    Dice.faces = 0
    x = torch.ones(2, 3)
    with torch.no_grad():
        first = module(x)
        for turn in range(2, 6):
            assert torch.allclose(module(x), first * turn)
    assert "did different things" in caplog.text
    assert "test_hybridize_torch_eager.py" in caplog.text


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return 3 * ctx.saved_tensors[0] * grad  # on purpose not the derivative


class Custom(nn.Linear):
    def forward(self, x):
        return Square.apply(super().forward(x))


def test_a_function_with_a_backward_pass_of_its_own_is_traced():
    module, reference = pair(lambda: Custom(3, 3))
    hybridize(module, passes=False)
    for _ in range(4):
        x = torch.randn(2, 3).double()
        for net in (module, reference):
            net.zero_grad()
            net(x).sum().backward()
        assert farthest(module, reference) == 0
    assert "# its gradients" in program(module)


def test_arguments_that_are_no_plain_values_are_called_eagerly(caplog):
    class Takes(nn.Linear):
        def forward(self, x, thing):
            return super().forward(x) * thing.factor

    class Thing:
        factor = 2

    module = hybridize(Takes(3, 3))
    x, thing = torch.ones(2, 3), Thing()
    first = module(x, thing).detach()
    thing.factor = 4
    assert torch.allclose(module(x, thing), first * 2)
    assert "an argument is a Thing" in caplog.text


def test_transforms_of_torch_see_the_eager_module():
    module = hybridize(nn.Linear(3, 2))
    x = torch.randn(4, 3)
    for _ in range(4):
        expected = module(x)
    assert torch.allclose(torch.func.vmap(module)(x), expected)
    state = dict(module.named_parameters())
    gradients = torch.func.grad(lambda s: torch.func.functional_call(module, s, x).sum())(state)
    assert torch.allclose(gradients["bias"], torch.full((2,), 4.0))


def test_what_is_no_module_is_refused():
    with pytest.raises(mx.MXNetError, match=r"needs a torch\.nn\.Module, not function"):
        hybridize(pair)
    with pytest.raises(mx.MXNetError, match="verify must be"):
        hybridize(nn.Linear(1, 1), verify="always")


class Loss(nn.Module):
    """A module without parameters."""

    def forward(self, x):
        return x.tanh()


def test_a_module_without_parameters_or_with_shared_ones():
    module, reference = pair(Loss)
    hybridize(module, passes=False)
    x = torch.randn(3, requires_grad=True, dtype=torch.float64)
    for _ in range(5):
        one, two = alike(lambda net: torch.autograd.grad(net(x).sum(), x)[0], module, reference)
        assert torch.equal(one, two)

    def tied():
        net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        net[1].weight = net[0].weight
        return net

    module, reference = pair(tied)
    hybridize(module, passes=False)
    for _ in range(4):
        for net in (module, reference):
            net.zero_grad()
            net(x).sum().backward()
        assert farthest(module, reference) == 0


def test_an_encoder_that_leaves_out_what_is_masked_stays_eager(caplog):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    module, reference = (net.eval() for net in pair(lambda: nn.TransformerEncoder(layer, 2)))
    hybridize(module)
    mask = torch.tensor([[False, False, True], [False, False, False]])
    x = torch.randn(2, 3, 8, dtype=torch.float64)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nested tensors are a prototype
        for _ in range(4):
            assert torch.equal(
                module(x, src_key_padding_mask=mask), reference(x, src_key_padding_mask=mask)
            )
            assert torch.allclose(module(x), reference(x))
    assert "torch would leave out what is masked" in caplog.text
    assert "aten.addmm" in program(module)  # without a mask
