"""Runs a diffusion language model in llama.cpp, all of its text at once.

    run_gguf.py MODEL.gguf TOKENS.json

TOKENS.json holds a list of token ids. Prints the most likely token at every
position as a JSON list. Needs llama-cpp-python and numpy.
"""

import ctypes
import json
import sys

import llama_cpp
import numpy


def most_likely(path: str, tokens: list[int]) -> list[int]:
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(
        path.encode(), llama_cpp.llama_model_default_params()
    )
    if not model:
        sys.exit(f"llama.cpp does not load {path}")
    count = len(tokens)
    params = llama_cpp.llama_context_default_params()
    # Every token attends to every other one, so all of them have to be in one piece.
    params.n_ctx = params.n_batch = params.n_ubatch = count
    context = llama_cpp.llama_init_from_model(model, params)
    batch = llama_cpp.llama_batch_init(count, 0, 1)
    batch.n_tokens = count
    for i, token in enumerate(tokens):
        batch.token[i] = token
        batch.pos[i] = i
        batch.n_seq_id[i] = 1
        batch.seq_id[i][0] = 0
        batch.logits[i] = True
    if llama_cpp.llama_decode(context, batch) != 0:
        sys.exit("llama.cpp does not run the model")
    width = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    row = ctypes.POINTER(ctypes.c_float * width)
    rows = (llama_cpp.llama_get_logits_ith(context, i) for i in range(count))
    return [int(numpy.argmax(ctypes.cast(one, row).contents)) for one in rows]


if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as file:
        print(json.dumps(most_likely(sys.argv[1], json.load(file))))
