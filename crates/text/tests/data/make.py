"""Writes pre_tokenizers.json and sentencepiece.json: ids of sample texts by the `tokenizers` package, an independent
implementation; and sentencepiece.model, with ids by the `sentencepiece` package.

    pip install tokenizers sentencepiece && python3 make.py

The vocabulary of the first is tokenizer.json of this folder. The pre-tokenizers are those of published models, as their
tokenizer.json or tiktoken code states them; each stands under its name in `tokenizer.ggml.pre`. The second has a small
SentencePiece vocabulary, in the four forms in which published models have theirs.
"""

import json
import os
import pathlib

import sentencepiece as older
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent
CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"


def cased(less="", tail=CONTRACTIONS + "?"):
    """Words of GPT-4o's tokenizer."""
    upper, lower = f"[{UPPER}{less}]", f"[{LOWER}{less}]"
    first = r"[^\r\n\p{L}\p{N}]?"
    return f"{first}{upper}*{lower}+{tail}|{first}{upper}+{lower}*{tail}"


def slashed(digits):
    return digits + r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def qwen2(digits=r"\p{N}"):
    return CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits + "|" + TAIL


DEEPSEEK_LETTERS = (
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝ"
    "\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec"
    "\u1ff2-\u1ff4\u1ff6-\u1ffcℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ"
    "𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
)
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

# Expressions one after the other, `digits` for single digits, `numbers` for runs of them, `punctuation` for runs of that,
# `words` for those of GPT-2; then whether a word that is a token skips the merges. `default` is llama.cpp's own. Falcon splits
# numbers after its bytes became letters, of which some are digits; the split of the text is the same for all others.
PUBLISHED = {
    "default": ([r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"], False),
    "falcon": (["punctuation", GPT2, "numbers", "[0-9][0-9][0-9]"], False),
    "gpt-2": (["words"], False),
    "gpt-neox": (["words"], False),
    "olmo": (["words"], False),
    "smollm": (["digits", "words"], False),
    "starcoder": (["digits", "words"], False),
    "llama-bpe": ([qwen2(r"\p{N}{1,3}")], True),
    "smaug-bpe": ([qwen2(r"\p{N}{1,3}")], False),
    "qwen2": ([qwen2()], False),
    "qwen35": (
        [
            CONTRACTIONS
            + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ],
        False,
    ),
    "ufakzeka": ([r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|" + TAIL], False),
    "seed-coder": (
        [CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"],
        False,
    ),
    "bailingmoe": (
        [
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]"
            r"|\s+(?!\S)|\s+"
        ],
        False,
    ),
    "minicpm5": ([r"\p{N}{1,3}", qwen2(r"\p{N}+")], True),
    "tekken": ([cased(tail="") + "|" + slashed(r"\p{N}")], True),
    "gpt-4o": ([cased() + "|" + slashed(r"\p{N}{1,3}")], False),
    "youtu": (
        [
            "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥\u3040-ゟ゠-ヿ]+",
            cased() + "|" + slashed(r"\p{N}"),
        ],
        True,
    ),
    "kimi-k2": ([r"[\p{Han}]+|" + cased(r"&&[^\p{Han}]") + r"|\p{N}{1,3}|" + TAIL], False),
    "deepseek-v3": (
        [
            r"\p{N}{1,3}",
            "[一-龥\u3040-ゟ゠-ヿ]+",
            r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
            r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
        ],
        False,
    ),
    "deepseek-llm": (
        [
            "[\r\n]",
            rf"\s?[{DEEPSEEK_LETTERS}]+",
            "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+",
            r"\s+$",
            "[一-龥\u0800-一가-\ud7ff]+",
            "digits",
        ],
        False,
    ),
    "deepseek-coder": (["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥\u0800-一가-\ud7ff]+", "digits"], False),
    "bloom": ([BLOOM], False),
    "viking": ([BLOOM, "digits"], False),
}

SAMPLES = [
    "It's 1999, I'LL pay $12,345.67 or 1234567; we'Ve said 'tis  so.",
    "def f(x):\n    return {'a': x ** 2}  # ''' \"\"\"\n\n\n\tif a!=b && c<=d: pass\r\n  \r\n x/y //\n/z",
    " lead\n\n  indented\r\n\ttabs   and   runs \u3000 wide\u3000。 end   ",
    "HelloWorld XMLHttpRequest iOSApp's ÜBERgröße naïve e\u0301te\u0301 ςΣ Ωmega K\u212a",
    "我想在apple工作1314151天～ 東京タワー、ひらがな「カタカナ」。한국어 문장 ㄱㄴ ㄅㄆ！",
    "нещо на Български; ქართული ᲥᲐᲠ ᎣᏏᏲ հայերեն ՀԱՅ हिन्दी में १२३ ไทย العربية، ٣٤٥۔",
    "🚀 (normal) 😶\u200d🌫️ 🦙.cpp x\u0001\u007f\u00a0\u2003y 1½²③ “quoted”—dash… ‘x’",
    "\n",
    "   ",
    "a.b@c.de https://x.y/z?q=1&r=2#s <|tag|> [[link]] ~~no~~ `code` ^_^ ;-)",
]


def pre_tokenizer(steps):
    made = []
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    for step in steps:
        if step == "digits":
            made.append(pre_tokenizers.Digits(individual_digits=True))
        elif step == "numbers":
            made.append(pre_tokenizers.Digits(individual_digits=False))
        elif step == "punctuation":
            made.append(pre_tokenizers.Punctuation("contiguous"))
        elif step == "words":
            made.append(words)
        else:
            made.append(pre_tokenizers.Split(Regex(step), "isolated"))
    if steps[-1] != "words":
        made.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    return pre_tokenizers.Sequence(made)


def write_pre_tokenizers():
    file = json.loads((HERE / "tokenizer.json").read_text())
    vocab = file["model"]["vocab"]
    merges = [tuple(it.split(" ")) if isinstance(it, str) else tuple(it) for it in file["model"]["merges"]]
    of_name = {}
    for name, (steps, ignore_merges) in PUBLISHED.items():
        tokenizer = Tokenizer(models.BPE(vocab, merges, ignore_merges=ignore_merges))
        tokenizer.pre_tokenizer = pre_tokenizer(steps)
        of_name[name] = [
            {
                "words": [text[a:b] for _, (a, b) in tokenizer.pre_tokenizer.pre_tokenize_str(text)],
                "ids": tokenizer.encode(text).ids,
            }
            for text in SAMPLES
        ]
    lines = [f"{json.dumps(name)}: {json.dumps(it, ensure_ascii=False)}" for name, it in of_name.items()]
    head = '"samples": ' + json.dumps(SAMPLES, ensure_ascii=False)
    (HERE / "pre_tokenizers.json").write_text("{" + head + ',\n"names": {\n' + ",\n".join(lines) + "\n}}\n")


SPECIAL = ["<unk>", "<s>", "</s>"]
TEXTS = [
    "",
    "Hello world",
    " leading, and  two   spaces ",
    "The film was produced in 2005 ; it 's 12,345.67 \u2013 so.\n\n\tindent",
    "aaaa aaaaaaa ----- ===== ....... !!!!",
    "na\u00efve \u6211\u60f3 \U0001f999 e\u0301 \u2581 x\u2581y",
    "<0x41> <unk> is plain",
    "<s>[INST] one </s> two</s></s>three<s>",
    "<s> <s>\n<s>x",
]


def sentencepiece_vocabulary():
    """A vocabulary of 512 tokens as SentencePiece orders them, with every split of a token as a merge, as in published files."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=True)
    text = (HERE / "../../../../models/tiny/wikitext-2-excerpt.txt").read_text()
    bpe.train_from_iterator(text.splitlines(), trainers.BpeTrainer(vocab_size=253, show_progress=False))
    model = json.loads(bpe.to_str())["model"]
    letters = [it for it in sorted(model["vocab"], key=model["vocab"].get) if len(it) == 1]
    merged = ["".join(it) for it in model["merges"]]
    # Runs of one character, which can be split in several ways.
    runs = [it for n in (2, 4, 3) for it in (n * "a", n * "-", n * "\u2581") if it not in merged]
    words = (merged + runs)[: 253 - len(letters)]
    tokens = SPECIAL + [f"<0x{byte:02X}>" for byte in range(256)] + words + letters
    vocab = {token: i for i, token in enumerate(tokens)}
    merges = []
    for word in words:
        splits = [(word[:i], word[i:]) for i in range(1, len(word))]
        known = [it for it in splits if it[0] in vocab and it[1] in vocab]
        merges += sorted(known, key=lambda it: (vocab[it[0]], vocab[it[1]]))
    return vocab, merges


def sentencepiece(vocab, merges, normalizer, pre_tokenizer):
    made = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if normalizer is not None:
        made.normalizer = normalizer
    if pre_tokenizer is not None:
        made.pre_tokenizer = pre_tokenizer
    steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence(steps + [decoders.Strip(" ", 1, 0)])
    made.add_special_tokens([AddedToken(it, normalized=False, special=True) for it in SPECIAL])
    return made


def write_older():
    """Writes a tokenizer.model, and returns texts with their ids."""
    # The model holds the paths, which are relative for that reason.
    os.chdir(HERE)
    older.SentencePieceTrainer.train(
        input="../../../../models/tiny/wikitext-2-excerpt.txt",
        model_prefix="sentencepiece",
        model_type="bpe",
        vocab_size=500,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    (HERE / "sentencepiece.vocab").unlink()
    model = older.SentencePieceProcessor(model_file=str(HERE / "sentencepiece.model"))
    # It reads no special tokens in a text.
    texts = [it for it in TEXTS if "<" not in it] + ["<s> is plain </s>"]
    return {"texts": texts, "ids": [model.encode(text) for text in texts]}


def write_sentencepiece(of_model):
    vocab, merges = sentencepiece_vocabulary()
    spaces = normalizers.Replace(" ", "\u2581")
    forms = {
        "llama-2": (normalizers.Sequence([normalizers.Prepend("\u2581"), spaces]), None),
        "mistral": (None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False)),
        "metaspace": (None, pre_tokenizers.Metaspace(prepend_scheme="always", split=False)),
        "gemma": (spaces, pre_tokenizers.Split(" ", "merged_with_previous")),
    }
    made = {name: sentencepiece(vocab, merges, *form) for name, form in forms.items()}
    whole = json.loads(made["llama-2"].to_str())
    parts = {}
    for name, tokenizer in made.items():
        tree = json.loads(tokenizer.to_str())
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
        parts[name] = {"normalizer": tree["normalizer"], "pre_tokenizer": tree["pre_tokenizer"], "ids": ids}
    lines = [f"{json.dumps(name)}: {json.dumps(it, ensure_ascii=False)}" for name, it in parts.items()]
    text = '{"texts": ' + json.dumps(TEXTS, ensure_ascii=False) + ',\n"forms": {\n' + ",\n".join(lines)
    text += '\n},\n"older": ' + json.dumps(of_model, ensure_ascii=False)
    text += ',\n"tokenizer": ' + json.dumps(whole, ensure_ascii=False) + "}\n"
    (HERE / "sentencepiece.json").write_text(text)


write_pre_tokenizers()
write_sentencepiece(write_older())
