"""Writes tests/data/{gva,gha,gta}: small models whose attention maps are shared by several heads, and their logits.

    python3 crates/model/tests/support/gta_golden.py

The forward pass is in double precision, head by head, by the formulas of Sun et al. 2025 (arXiv 2506.17286). With n_q query
heads, n_k key heads, n_v value heads and n_h heads, head h has the map of query head h / (n_h / n_q):

    map[m] = softmax(q[m] · k[m / (n_q / n_k)] / sqrt(d))
    GVA and GHA: out[h] = Σ map[m] · v[value head of h], each of the n_v value heads once per query head of its key head
    GTA:         out[h] = sigmoid(G_h x) ⊙ (V_h · Σ map[m] · c[m / (n_q / n_k)]), with one latent value c per key head

It needs Python alone. The weights are rounded to single precision before they are used.
"""

import math
import pathlib
import random
import struct

HIDDEN, HEADS, HEAD, LAYERS, FFN, VOCAB, EPSILON, BASE = 64, 8, 8, 2, 64, 304, 1e-5, 10000.0
TOKENS, GREEDY = 24, 10

# Query heads, key heads, value heads, width of a latent value.
KINDS = {"gva": (4, 4, 8, None), "gha": (4, 2, 4, None), "gta": (4, 2, 2, 24)}


class Model:
    def __init__(self, kind, seed):
        self.n_q, self.n_k, self.n_v, self.latent = KINDS[kind]
        self.rng = random.Random(seed)
        self.tensors = {}
        value = self.latent or HEAD
        self.matrix("token_embd.weight", VOCAB, HIDDEN, 1.0)
        self.gain("output_norm.weight")
        self.matrix("output.weight", VOCAB, HIDDEN)
        for layer in range(LAYERS):
            name = f"blk.{layer}."
            self.gain(name + "attn_norm.weight")
            self.matrix(name + "attn_q.weight", self.n_q * HEAD, HIDDEN)
            self.matrix(name + "attn_k.weight", self.n_k * HEAD, HIDDEN)
            self.matrix(name + "attn_v.weight", self.n_v * value, HIDDEN)
            if self.latent:
                self.matrix(name + "attn_v_b.weight", HIDDEN, value)
                self.matrix(name + "attn_gate.weight", HIDDEN, HIDDEN)
            self.matrix(name + "attn_output.weight", HIDDEN, HEADS * HEAD)
            self.gain(name + "ffn_norm.weight")
            self.matrix(name + "ffn_gate.weight", FFN, HIDDEN)
            self.matrix(name + "ffn_up.weight", FFN, HIDDEN)
            self.matrix(name + "ffn_down.weight", HIDDEN, FFN)
        # Keys and values per layer: a list over positions of lists over heads.
        self.keys = [[] for _ in range(LAYERS)]
        self.values = [[] for _ in range(LAYERS)]

    def matrix(self, name, rows, cols, deviation=None):
        deviation = deviation or 1.2 / math.sqrt(cols)
        row = lambda: [single(self.rng.gauss(0.0, deviation)) for _ in range(cols)]
        self.tensors[name] = [row() for _ in range(rows)]

    def gain(self, name):
        self.tensors[name] = [single(self.rng.gauss(1.0, 0.2)) for _ in range(HIDDEN)]

    def step(self, token):
        """The logits after one more token."""
        x = list(self.tensors["token_embd.weight"][token])
        for layer in range(LAYERS):
            weight = lambda part: self.tensors[f"blk.{layer}.{part}.weight"]
            y = norm(x, weight("attn_norm"))
            x = plus(x, times(weight("attn_output"), self.attention(layer, weight, y)))
            y = norm(x, weight("ffn_norm"))
            gated = [silu(g) * u for g, u in zip(times(weight("ffn_gate"), y), times(weight("ffn_up"), y))]
            x = plus(x, times(weight("ffn_down"), gated))
        return times(self.tensors["output.weight"], norm(x, self.tensors["output_norm.weight"]))

    def attention(self, layer, weight, x):
        position = len(self.keys[layer])
        rotated = lambda part: [rotate(head, position) for head in split(times(weight(part), x), HEAD)]
        queries = rotated("attn_q")
        self.keys[layer].append(rotated("attn_k"))
        self.values[layer].append(split(times(weight("attn_v"), x), self.latent or HEAD))
        of_key = lambda query: query // (self.n_q // self.n_k)
        maps = []
        for query, q in enumerate(queries):
            scores = [dot(q, keys[of_key(query)]) / math.sqrt(HEAD) for keys in self.keys[layer]]
            most = max(scores)
            weights = [math.exp(score - most) for score in scores]
            maps.append([it / sum(weights) for it in weights])
        per_map = HEADS // self.n_q
        out = []
        for head in range(HEADS):
            query, of_map = divmod(head, per_map)
            if self.latent:
                value = of_key(query)
            else:
                value = of_key(query) * (self.n_v // self.n_k) + of_map
            pairs = list(zip(maps[query], (values[value] for values in self.values[layer])))
            mixed = [sum(w * v[i] for w, v in pairs) for i in range(len(pairs[0][1]))]
            if self.latent:
                rows = slice(head * HEAD, (head + 1) * HEAD)
                decoded = times(weight("attn_v_b")[rows], mixed)
                gates = times(weight("attn_gate")[rows], x)
                mixed = [d / (1.0 + math.exp(-g)) for d, g in zip(decoded, gates)]
            out += mixed
        return out


def single(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def times(matrix, x):
    return [dot(row, x) for row in matrix]


def plus(a, b):
    return [x + y for x, y in zip(a, b)]


def split(x, width):
    return [x[i : i + width] for i in range(0, len(x), width)]


def norm(x, gain):
    scale = 1.0 / math.sqrt(dot(x, x) / len(x) + EPSILON)
    return [v * scale * g for v, g in zip(x, gain)]


def silu(x):
    return x / (1.0 + math.exp(-x))


def rotate(x, position):
    """RoPE of pairs i and i + half of a head."""
    half = len(x) // 2
    out = list(x)
    for i in range(half):
        angle = position * BASE ** (-2.0 * i / len(x))
        cos, sin = math.cos(angle), math.sin(angle)
        out[i] = x[i] * cos - x[i + half] * sin
        out[i + half] = x[i + half] * cos + x[i] * sin
    return out


def write_gguf(path, model):
    """GGUF version 3 with tensors in F32."""
    text = lambda it: struct.pack("<Q", len(it)) + it.encode()
    keys = [("general.architecture", 8, text("gta"))]
    count = lambda name, n: keys.append((f"gta.{name}", 4, struct.pack("<I", n)))
    number = lambda name, x: keys.append((f"gta.{name}", 6, struct.pack("<f", x)))
    count("block_count", LAYERS)
    count("context_length", 64)
    count("embedding_length", HIDDEN)
    count("feed_forward_length", FFN)
    count("attention.head_count", model.n_q)
    count("attention.head_count_kv", model.n_k)
    count("attention.key_length", HEAD)
    count("attention.value_length", model.latent or model.n_v // model.n_k * HEAD)
    count("vocab_size", VOCAB)
    number("rope.freq_base", BASE)
    number("attention.layer_norm_rms_epsilon", EPSILON)
    if model.latent:
        keys.append(("gta.attention.latent_values", 7, struct.pack("<?", True)))
    infos, data = b"", b""
    for name, rows in model.tensors.items():
        shape = [len(rows), len(rows[0])] if isinstance(rows[0], list) else [len(rows)]
        if name.endswith("attn_v_b.weight"):
            shape = [model.n_q, HIDDEN // model.n_q, model.latent]
        values = [v for row in rows for v in row] if isinstance(rows[0], list) else rows
        infos += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        infos += struct.pack("<IQ", 0, len(data))
        data += struct.pack(f"<{len(values)}f", *values)
        data += bytes(-len(data) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(model.tensors), len(keys))
    head += b"".join(text(key) + struct.pack("<I", kind) + value for key, kind, value in keys) + infos
    path.write_bytes(head + bytes(-len(head) % 32) + data)


def write_golden(path, ids, logits, greedy):
    parts = {
        "logits": ("F32", [len(ids), VOCAB], struct.pack(f"<{len(ids) * VOCAB}f", *(x for row in logits for x in row))),
        "greedy": ("I32", [len(greedy)], struct.pack(f"<{len(greedy)}i", *greedy)),
        "input_ids": ("I32", [len(ids)], struct.pack(f"<{len(ids)}i", *ids)),
    }
    header, at = [], 0
    for name, (dtype, shape, data) in parts.items():
        header.append(f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{at},{at + len(data)}]}}')
        at += len(data)
    header = ("{" + ",".join(header) + "}").replace(" ", "")
    header += " " * (-len(header) % 8)
    data = b"".join(data for _, _, data in parts.values())
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + data)


def main():
    folder = pathlib.Path(__file__).parent.parent / "data"
    for seed, kind in enumerate(KINDS):
        model = Model(kind, seed)
        ids = [model.rng.randrange(VOCAB) for _ in range(TOKENS)]
        logits = [model.step(token) for token in ids]
        greedy, last, margin = [], logits[-1], math.inf
        for _ in range(GREEDY):
            best, second = sorted(last)[:-3:-1]
            margin = min(margin, best - second)
            greedy.append(last.index(best))
            last = model.step(greedy[-1])
        (folder / kind).mkdir(exist_ok=True)
        write_gguf(folder / kind / "model.gguf", model)
        write_golden(folder / kind / "golden.safetensors", ids, logits, greedy)
        print(f"{kind}: {len(set(greedy))} of {GREEDY} greedy tokens differ, by at least {margin:.3f} from the second")


if __name__ == "__main__":
    main()
