//! The expressions of every supported name in `tokenizer.ggml.pre`.
//!
//! An expression is a fact of the models' tokenizer.json, or of their tiktoken code. Where llama.cpp's own approximates it, the
//! models' counts. The `regex` crate has no look-ahead, so that [`Spaces`] replaces the ends `\s+(?!\S)|\s+`. Its classes have no
//! case folding here: contractions are written out, as in llama.cpp.

/// A pre-tokenizer: its expressions, and two options of the BPE model that depend on its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pre {
    pub(super) splits: &'static [Split],
    /// A word that is a token becomes that token, without merges.
    pub(crate) ignore_merges: bool,
    /// The default of `tokenizer.ggml.add_bos_token`.
    pub(crate) add_bos: bool,
}

/// One expression of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Split {
    pub(super) pattern: &'static str,
    pub(super) spaces: Spaces,
}

/// The matches that replace `\s+(?!\S)|\s+`. Before a word, such a run of whitespace loses its last character,
/// unless it has only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spaces {
    /// Every match made of whitespace.
    All,
    /// Every match made of whitespace that does not end in a line break. The others are from an earlier branch,
    /// `\s*[\r\n]+`, which matches up to the last line break of a run.
    AfterNewlines,
    /// None: the expression has no look-ahead.
    Never,
}

/// English contractions, in any case of ASCII letters.
macro_rules! contraction {
    () => {
        r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    };
}
/// Symbols and whitespace of GPT-4 and its descendants.
macro_rules! symbols_and_spaces {
    () => {
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
    };
}
/// Words of GPT-4o: an optional leading symbol, upper case, lower case, then `$tail`. `$not` ends both classes.
macro_rules! cased_words {
    ($not:expr, $tail:expr) => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}",
            $not,
            r"]*[\p{Ll}\p{Lm}\p{Lo}\p{M}",
            $not,
            "]+",
            $tail,
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}",
            $not,
            r"]+[\p{Ll}\p{Lm}\p{Lo}\p{M}",
            $not,
            "]*",
            $tail
        )
    };
}
/// As [`cased_words`], then digits, symbols with the characters `$after` behind them, and whitespace.
macro_rules! gpt4o {
    ($digits:expr, $after:expr) => {
        concat!(
            cased_words!("", concat!(contraction!(), "?")),
            "|",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[",
            $after,
            r"]*|\s*[\r\n]+|\s+"
        )
    };
}

const fn all(pattern: &'static str) -> Split {
    Split { pattern, spaces: Spaces::All }
}

const fn after_newlines(pattern: &'static str) -> Split {
    Split { pattern, spaces: Spaces::AfterNewlines }
}

const fn exact(pattern: &'static str) -> Split {
    Split { pattern, spaces: Spaces::Never }
}

const WORDS: Split = all(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+");
const DIGIT: Split = exact(r"\p{N}");
const THREE_DIGITS: Split = exact("[0-9][0-9][0-9]");
const UP_TO_THREE_DIGITS: Split = exact(r"\p{N}{1,3}");

const GPT2: &[Split] = &[WORDS];
const STARCODER: &[Split] = &[DIGIT, WORDS];
const NUMBER: Split = exact(r"\p{N}+");

const DEFAULT: &[Split] = &[exact(r"[\p{P}\$\+<=>\^~\|]+"), WORDS, NUMBER, THREE_DIGITS];
/// The model splits numbers after its bytes became letters, where some bytes of other letters count as digits. A vocabulary that
/// was trained so has no merge across them.
const FALCON: &[Split] = &[exact(r"[\p{P}\$\+<=>\^~\|`]+"), WORDS, NUMBER, THREE_DIGITS];
const LLAMA3: &[Split] = &[after_newlines(concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    symbols_and_spaces!()
))];
const QWEN2: &[Split] =
    &[after_newlines(concat!(contraction!(), r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}", symbols_and_spaces!()))];
const QWEN35: &[Split] = &[after_newlines(concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
))];
/// Qwen2's without contractions, because Turkish suffixes follow an apostrophe.
const UFAKZEKA: &[Split] =
    &[after_newlines(concat!(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}", symbols_and_spaces!()))];
const SEED_CODER: &[Split] = &[after_newlines(concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+"
))];
/// The models' `?+` and `++` are possessive, which changes nothing: what follows cannot match the same characters.
const BAILING: &[Split] = &[after_newlines(concat!(
    r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+"
))];
const MINICPM5: &[Split] = &[
    UP_TO_THREE_DIGITS,
    after_newlines(concat!(contraction!(), r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+", symbols_and_spaces!())),
];
const TEKKEN: &[Split] =
    &[after_newlines(concat!(cased_words!("", ""), r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+"))];
const GPT4O: &[Split] = &[after_newlines(gpt4o!(r"\p{N}{1,3}", r"\r\n/"))];
/// Hangul, punctuation, Bopomofo, and Han with kana, each apart from the words of GPT-4o.
const YOUTU: &[Split] = &[
    exact(
        r"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}]+|[一-龥\x{3040}-ゟ゠-ヿ]+",
    ),
    after_newlines(gpt4o!(r"\p{N}", r"\r\n/")),
];
/// The words of GPT-4o without Han, whose runs are words.
const KIMI: &[Split] = &[after_newlines(concat!(
    r"\p{Han}+|",
    cased_words!(r"&&[^\p{Han}]", concat!(contraction!(), "?")),
    r"|\p{N}{1,3}",
    symbols_and_spaces!()
))];
const DEEPSEEK3: &[Split] = &[
    UP_TO_THREE_DIGITS,
    exact(r"[一-龥\x{3040}-ゟ゠-ヿ]+"),
    after_newlines(concat!(
        r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
        r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+"
    )),
];
/// The letters with two cases in `deepseek-llm`, without a few of Unicode's, such as the Armenian and Georgian small ones.
macro_rules! deepseek_letters {
    () => {
        concat!(
            r"A-Za-z\xB5\xC0-\xD6\xD8-\xF6\xF8-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF}",
            r"\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}",
            r"\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}",
            r"\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}",
            r"\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}",
            r"\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}",
            r"\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}",
            r"\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}",
            r"\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}",
            r"\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}",
            r"\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}",
            r"\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}",
            r"\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}",
            r"\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}"
        )
    };
}

/// A line break, which is a word.
const LINE_BREAK: Split = exact(r"[\r\n]");
/// Han, the Hangul syllables, and what lies between U+0800 and U+4E00.
const DEEPSEEK_ASIAN: Split = exact("[一-龥\u{800}-一가-\u{D7FF}]+");
const DEEPSEEK_CODER: &[Split] =
    &[LINE_BREAK, exact(r"\s?\p{L}+"), exact(r"\s?\p{P}+"), DEEPSEEK_ASIAN, DIGIT];
const DEEPSEEK_LLM: &[Split] = &[
    LINE_BREAK,
    exact(concat!(r"\s?[", deepseek_letters!(), "]+")),
    exact("\\s?[!-/:-~！-／：-～‘-‟\u{3000}-。]+"),
    exact(r"\s+$"),
    DEEPSEEK_ASIAN,
    DIGIT,
];
/// Everything but whitespace and these signs, of which each is a word.
const BLOOM: Split = exact(" ?[^(\\s|.,!?…。，、।۔،)]+");

const fn plain(splits: &'static [Split]) -> Pre {
    Pre { splits, ignore_merges: false, add_bos: false }
}

const fn whole_words(splits: &'static [Split], add_bos: bool) -> Pre {
    Pre { splits, ignore_merges: true, add_bos }
}

/// Every supported name, grouped by expressions.
#[rustfmt::skip]
pub(super) const TABLE: &[(&[&str], Pre)] = &[
    (&["default"], plain(DEFAULT)),
    // `gpt-neox` is not a name of llama.cpp's, which calls the same expression `olmo`.
    (&["gpt-2", "gpt-neox", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "gigachat", "a.x-4.0", "mellum",
        "exaone4"], plain(GPT2)),
    (&["starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"], plain(STARCODER)),
    (&["falcon"], plain(FALCON)),
    (&["llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"], whole_words(LLAMA3, true)),
    (&["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], plain(LLAMA3)),
    (&["qwen2", "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2", "kormo", "f2llmv2"], plain(QWEN2)),
    (&["qwen35"], plain(QWEN35)),
    (&["ufakzeka"], plain(UFAKZEKA)),
    (&["seed-coder"], plain(SEED_CODER)),
    (&["bailingmoe", "bailingmoe2", "llada-moe"], plain(BAILING)),
    (&["minicpm5"], whole_words(MINICPM5, false)),
    (&["tekken"], whole_words(TEKKEN, true)),
    (&["gpt-4o", "llama4", "kanana2", "minimax-m2", "talkie"], plain(GPT4O)),
    (&["youtu"], whole_words(YOUTU, false)),
    (&["kimi-k2"], plain(KIMI)),
    (&["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"], plain(DEEPSEEK3)),
    (&["deepseek-llm"], plain(DEEPSEEK_LLM)),
    (&["deepseek-coder"], plain(DEEPSEEK_CODER)),
    (&["bloom", "gpt3-finnish", "poro-chat"], plain(&[BLOOM])),
    (&["viking"], plain(&[BLOOM, DIGIT])),
];
