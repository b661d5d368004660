"""Write the `.params` files of `tests/golden/` with MXNet 1.9.1, and check that MXNet reads all.

    python tools/golden_params.py          (with a Python that has mxnet 1.9.1, not regluon)

The versions before V2 are written byte by byte from the layout, because MXNet 1.9.1 only reads
them; it must give back the same values here. `tests/array/test_params_format.py` knows the values:
element number i of an array is i modulo 5 (booleans: i modulo 2).
"""

import struct
from pathlib import Path

import mxnet as mx
import numpy as onp


GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"

BFLOAT16 = onp.dtype([("bfloat16", onp.uint16)])
FLAGS = {"float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int32": 4, "int8": 5, "int64": 6}
SHAPES = {"weight": (2, 3), "é/bias": (4,), "empty": (0, 3)}


def values(shape, dtype="float32"):
    """Return the array that the tests expect."""
    modulo = 2 if dtype == "bool" else 5
    return (onp.arange(int(onp.prod(shape))) % modulo).reshape(shape).astype(dtype)


def array(shape, dtype="float32"):
    """Return the same as an MXNet array."""
    return mx.nd.array(values(shape, dtype), dtype=dtype)


def legacy(shape, dtype="float32", device=(1, 0)):
    """Return one array as MXNet wrote it before version 1: 32-bit sizes after their number."""
    head = struct.pack(f"<I{len(shape)}I", len(shape), *shape)
    return head + struct.pack("<iii", *device, FLAGS[dtype]) + values(shape, dtype).tobytes()


def version_1(shape, dtype="float32", device=(1, 0)):
    """Return one array as version 1: a magic number and 64-bit sizes."""
    head = struct.pack(f"<II{len(shape)}q", 0xF993FAC8, len(shape), *shape)
    return head + struct.pack("<iii", *device, FLAGS[dtype]) + values(shape, dtype).tobytes()


def listing(arrays, names=()):
    """Return a whole file."""
    parts = [struct.pack("<QQQ", 0x112, 0, len(arrays)), *arrays, struct.pack("<Q", len(names))]
    for name in names:
        raw = name.encode()
        parts += [struct.pack("<Q", len(raw)), raw]
    return b"".join(parts)


def write_by_hand():
    """Write the old versions and have MXNet confirm them."""
    names = list(SHAPES)
    for version, encode in (("legacy", legacy), ("v1", version_1)):
        arrays = [encode(shape) for shape in SHAPES.values()]
        (GOLDEN / f"{version}_dict.params").write_bytes(listing(arrays, names))
        arrays = [encode((3, 2), dtype, device=(2, 1)) for dtype in FLAGS]
        (GOLDEN / f"{version}_list.params").write_bytes(listing(arrays))
        loaded = mx.nd.load(str(GOLDEN / f"{version}_dict.params"))
        for name, shape in SHAPES.items():
            onp.testing.assert_array_equal(loaded[name].asnumpy(), values(shape))
        listed = mx.nd.load(str(GOLDEN / f"{version}_list.params"))
        assert [onp.dtype(found.dtype).name for found in listed] == list(FLAGS)
        for found in listed:
            onp.testing.assert_array_equal(found.asnumpy(), values((3, 2)))


def write_with_mxnet():
    """Write the current versions."""
    typed = {f"arg:{dtype}": array((2, 3), dtype) for dtype in [*FLAGS, "bool"]}
    typed["aux:bfloat16"] = array((2, 3)).astype(BFLOAT16)
    mx.nd.save(str(GOLDEN / "v2_types.params"), typed)
    mx.nd.save(str(GOLDEN / "v2_dict.params"), {n: array(s) for n, s in SHAPES.items()})
    mx.nd.save(str(GOLDEN / "v2_list.params"), [array((2, 3)), array((4,), "int64")])
    mx.nd.save(str(GOLDEN / "v2_empty.params"), [])
    for kind in ("row_sparse", "csr"):
        mx.nd.save(str(GOLDEN / f"v2_{kind}.params"), {"sparse": array((2, 3)).tostype(kind)})
    with mx.util.np_shape(True):
        scalars = {"scalar": array(()), "empty": array((0, 3)), "weight": array((2, 3))}
        mx.nd.save(str(GOLDEN / "v3_dict.params"), scalars)
        assert mx.nd.load(str(GOLDEN / "v3_dict.params"))["scalar"].shape == ()


def main():
    """Write and check everything."""
    GOLDEN.mkdir(exist_ok=True)
    write_by_hand()
    write_with_mxnet()
    for path in sorted(GOLDEN.glob("*.params")):
        print(f"{path.stat().st_size:6d} {path.name}")


if __name__ == "__main__":
    main()
