# Measures llama.cpp through llama-cpp-python: for every line on stdin, prints a JSON line with the tokens per second of
# a prompt of 64 tokens (pp64) and of generating 16 tokens (tg16).
import json
import sys
import time

from llama_cpp import Llama

path, threads = sys.argv[1], int(sys.argv[2])
model = Llama(
    model_path=path, n_ctx=256, n_batch=64, n_ubatch=64, n_threads=threads, n_threads_batch=threads, verbose=False
)
tokens = [(7919 * i + 1) % model.n_vocab() for i in range(64)]


def rate(count, step):
    model.reset()
    start = time.perf_counter()
    for i in range(0, count, step):
        model.eval(tokens[i : i + step])
    return count / (time.perf_counter() - start)


for _ in sys.stdin:
    print(json.dumps({"pp64": rate(64, 64), "tg16": rate(16, 1)}), flush=True)
