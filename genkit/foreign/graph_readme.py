"""README.md of an exported graph."""

from __future__ import annotations

from genkit.core.graph import Graph, Port

NEEDS = {"torch": "torch", "onnx": "onnxruntime and numpy"}

RUN = {
    "torch": """import numpy as np
import torch

rows = np.load("example.npz")
model = torch.export.load("{file}").module()
{output} = model({positional})
print(np.abs({output}.detach().numpy() - rows["{output}"]).max())  # rounding""",
    "onnx": """import numpy as np
import onnxruntime

rows = np.load("example.npz")
model = onnxruntime.InferenceSession("{file}", providers=["CPUExecutionProvider"])
({output},) = model.run(None, {{{named}}})
print(np.abs({output} - rows["{output}"]).max())  # rounding""",
}


def readme(name: str, graph: Graph, to: str, file: str) -> str:
    """README.md: the inputs and the output, with names, shapes and ranges, and code that runs the file."""
    kind = graph.generator.config["type"]
    notes = "".join(f"\n{note}.\n" for note in graph.notes)
    names = [port.name for port in graph.inputs]
    code = RUN[to].format(
        file=file,
        output=graph.output.name,
        positional=", ".join(f'torch.from_numpy(rows["{name}"])' for name in names),
        named=", ".join(f'"{name}": rows["{name}"]' for name in names),
    )
    return f"""# {name}

A {kind} of genkit as `{file}`, which needs {NEEDS[to]} and not genkit. n is any number of rows, each
computed by itself.

| input | type | shape | values |
|---|---|---|---|
{"".join(map(_row, graph.inputs))}
| output | type | shape | values |
|---|---|---|---|
{_row(graph.output)}{notes}
`example.npz` has four rows of each, by these names; those of seed 0. In this folder:

```python
{code}
```
"""


def _row(port: Port) -> str:
    shape = ", ".join(["n", *map(str, port.shape)])
    return f"| `{port.name}` | {'int64' if port.whole else 'float32'} | ({shape}) | {port.about} |\n"
