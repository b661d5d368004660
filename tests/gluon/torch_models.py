"""Models in plain torch, shaped as torchvision's and timm's, and what tests compare of them."""

import copy

import torch
from torch import nn
from torch.nn import functional as F


class Basic(nn.Module):
    def __init__(self, inside, outside, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.downsample = None
        if stride != 1 or inside != outside:
            conv = nn.Conv2d(inside, outside, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(outside))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet18(nn.Module):
    def __init__(self, width=4, classes=5):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        layers, inside = [], width
        for stage in range(4):
            outside = width << stage
            stride = 1 if stage == 0 else 2
            layers.append(nn.Sequential(Basic(inside, outside, stride), Basic(outside, outside, 1)))
            inside = outside
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inside, classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        batch, count, dim = x.shape
        qkv = self.qkv(x).reshape(batch, count, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.drop(self.proj(x.transpose(1, 2).reshape(batch, count, dim)))


class Layer(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = Attention(dim, heads)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self, dim=16, heads=2, depth=2, classes=5):
        super().__init__()
        self.patch = nn.Conv2d(3, dim, 8, 8)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.randn(1, 17, dim) * 0.02)
        self.blocks = nn.Sequential(*(Layer(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class LSTM(nn.Module):
    def __init__(self, words=20, dim=6, classes=3):
        super().__init__()
        self.embed = nn.Embedding(words, dim)
        self.lstm = nn.LSTM(dim, 5, 2, batch_first=True, bidirectional=True, dropout=0.2)
        self.fc = nn.Linear(10, classes)

    def forward(self, tokens):
        states, _ = self.lstm(self.embed(tokens))
        return self.fc(states[:, -1])


def mlp():
    sizes = (512, 256, 128, 2)
    layers = [nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 2)]
    assert [layer.out_features for layer in layers[::2]] == [*sizes[1:]]
    return nn.Sequential(*layers)


def image():
    return torch.randn(3, 3, 32, 32)


MODELS = {
    "resnet18": (ResNet18, image),
    "vit": (ViT, image),
    "lstm": (LSTM, lambda: torch.randint(0, 20, (3, 7))),
    "mlp": (mlp, lambda: torch.randn(4, 512)),
}


def pair(make, dtype=torch.float64):
    """Return a model and a copy of it."""
    torch.manual_seed(3)
    module = make().to(dtype)
    return module, copy.deepcopy(module)


def farthest(module, other):
    """Return the largest difference of parameters, buffers and gradients."""
    pairs = [*zip(module.state_dict().values(), other.state_dict().values(), strict=True)]
    for one, two in zip(module.parameters(), other.parameters(), strict=True):
        assert (one.grad is None) == (two.grad is None)
        if one.grad is not None:
            pairs.append((one.grad, two.grad))
    return max(float((one.double() - two.double()).abs().max()) for one, two in pairs)


def alike(function, first, second):
    """Call a function of a module on both, with the same random numbers, and return both."""
    state = torch.get_rng_state()
    one = function(first)
    after = torch.get_rng_state()
    torch.set_rng_state(state)
    two = function(second)
    assert torch.equal(after, torch.get_rng_state())
    return one, two
