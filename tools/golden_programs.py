"""Write the outputs of the programs in `tests/programs/*.txt` anew, as MXNet 1.9.1 prints them.

    PYTHONPATH=. python tools/golden_programs.py

Needs an interpreter that has MXNet 1.9.1; a program runs there with `mxnet` for `regluon`.
"""

import mxnet as mx
import numpy as onp

from tests.programs.transcript import FOLDER, Statement, outputs, parts, statements


def shown(body: str, title: str, numpy_like: bool) -> str:
    """Return a program with MXNet's outputs."""
    mx.npx.set_np(shape=numpy_like, array=numpy_like)
    onp.random.seed(0)
    program = list(statements(body))
    asked = [Statement(item.source.replace("regluon", "mxnet"), "") for item in program]
    lines = []
    for item, output in zip(program, outputs(asked, title), strict=True):
        lines.append(">>> " + item.source.replace("\n", "\n... "))
        lines += [output.replace("mxnet", "regluon")] if output else []
    return "\n".join(lines)


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.txt")):
        found = parts(path.read_text(encoding="utf-8"))
        texts = [f"# {name}\n{shown(body, name, path.stem[:3] == 'np_')}\n" for name, body in found]
        path.write_text("\n".join(texts), encoding="utf-8")
