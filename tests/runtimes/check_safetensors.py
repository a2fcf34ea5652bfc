"""Opens files with the reference package. Arguments: a JSON list of paths, and where what came of each goes."""

import json
import sys

from safetensors import safe_open


def read(path):
    try:
        with safe_open(path, framework="np") as file:
            slices = [(name, file.get_slice(name)) for name in file.keys()]
            tensors = [[name, part.get_dtype(), part.get_shape()] for name, part in slices]
            return {"tensors": tensors, "metadata": file.metadata()}
    except Exception as error:
        return {"error": str(error)}


with open(sys.argv[1], encoding="utf-8") as file:
    paths = json.load(file)
with open(sys.argv[2], "w", encoding="utf-8") as file:
    json.dump([read(path) for path in paths], file)
