//! The older file of SentencePiece, `tokenizer.model`: a protocol buffer with the tokens, their scores and kinds.
//!
//! Fields are those of `ModelProto` in
//! <https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto>; its kinds of tokens are llama.cpp's.

/// A vocabulary by id.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub(super) tokens: Vec<String>,
    pub(super) scores: Vec<f32>,
    pub(super) types: Vec<i32>,
    /// Whether a text begins with a space of the tokenizer's own.
    pub(super) adds_space: bool,
}

/// Tokens of more bytes than this are no vocabulary.
const MAX_TOKENS: usize = 1 << 24;

/// `TrainerSpec.model_type` of BPE.
const BPE: u64 = 2;

/// Reads a file.
///
/// # Errors
/// What is wrong with the file, or the step that llama.cpp's SentencePiece does not have.
pub(super) fn read(bytes: &[u8]) -> Result<Pieces, String> {
    let mut found = Pieces { adds_space: true, ..Pieces::default() };
    let mut kind = 1;
    for field in fields(bytes)? {
        match field {
            (1, Field::Bytes(piece)) => add(&mut found, piece)?,
            (2, Field::Bytes(trainer)) => {
                for field in fields(trainer)? {
                    if let (3, Field::Number(it)) = field {
                        kind = it;
                    }
                }
            }
            (3, Field::Bytes(normalizer)) => {
                for field in fields(normalizer)? {
                    match field {
                        (2, Field::Bytes(map)) if !map.is_empty() => {
                            return Err("its characters are normalized, which GGUF has no key for".to_owned());
                        }
                        (3, Field::Number(it)) => found.adds_space = it != 0,
                        (4, Field::Number(it)) if it != 0 => {
                            return Err("it removes extra spaces, which GGUF has no key for".to_owned());
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if kind != BPE {
        return Err("its model is not BPE".to_owned());
    }
    if found.tokens.is_empty() { Err("it has no tokens".to_owned()) } else { Ok(found) }
}

/// Adds a token: `ModelProto.SentencePiece`.
fn add(found: &mut Pieces, piece: &[u8]) -> Result<(), String> {
    let (mut token, mut score, mut kind) = (String::new(), 0.0, 1);
    for field in fields(piece)? {
        match field {
            (1, Field::Bytes(text)) => {
                token = String::from_utf8(text.to_vec()).map_err(|_| "a token is not UTF-8".to_owned())?;
            }
            (2, Field::Fixed(bits)) => score = f32::from_bits(bits),
            (3, Field::Number(it)) => kind = i32::try_from(it).unwrap_or_default(),
            _ => {}
        }
    }
    if found.tokens.len() >= MAX_TOKENS || !(1..=6).contains(&kind) || score.is_nan() {
        return Err(format!("token {} is malformed", found.tokens.len()));
    }
    found.tokens.push(token);
    found.scores.push(score);
    found.types.push(kind);
    Ok(())
}

/// The value of a field.
enum Field<'a> {
    Number(u64),
    Fixed(u32),
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers.
fn fields(mut rest: &[u8]) -> Result<Vec<(u64, Field<'_>)>, String> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let key = number(&mut rest)?;
        let field = match key & 7 {
            0 => Field::Number(number(&mut rest)?),
            1 => {
                take(&mut rest, 8)?;
                continue;
            }
            2 => {
                let length = usize::try_from(number(&mut rest)?).map_err(|_| cut())?;
                Field::Bytes(take(&mut rest, length)?)
            }
            5 => {
                let four = take(&mut rest, 4)?;
                Field::Fixed(u32::from_le_bytes(four.try_into().map_err(|_| cut())?))
            }
            other => return Err(format!("it is no SentencePiece file (wire type {other})")),
        };
        found.push((key >> 3, field));
    }
    Ok(found)
}

fn cut() -> String {
    "it ends too early".to_owned()
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (head, tail) = rest.split_at_checked(length).ok_or_else(cut)?;
    *rest = tail;
    Ok(head)
}

/// A number of up to ten bytes, seven bits in each.
fn number(rest: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number in it is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::read;

    /// A field with bytes.
    fn message(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).expect("it is short");
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn piece(text: &str, score: f32, kind: u8) -> Vec<u8> {
        let score = [&[2 << 3 | 5], &score.to_le_bytes()[..]].concat();
        message(1, &[message(1, text.as_bytes()), score, vec![3 << 3, kind]].concat())
    }

    const BPE: [u8; 4] = [2 << 3 | 2, 2, 3 << 3, 2];

    #[test]
    fn tokens_scores_and_kinds_are_read() {
        let file =
            [&piece("<unk>", 0.0, 2)[..], &piece("\u{2581}a", -1.5, 1), &BPE, &[3 << 3 | 2, 2, 3 << 3, 0]]
                .concat();
        let read = read(&file).unwrap();
        assert_eq!(read.tokens, ["<unk>", "\u{2581}a"]);
        assert_eq!(
            (&read.scores[..], &read.types[..], read.adds_space),
            (&[0.0, -1.5][..], &[2, 1][..], false)
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let token = piece("a", 0.0, 1);
        let with = |more: &[u8]| [&token[..], &BPE, more].concat();
        for (file, part) in [
            (Vec::new(), "not BPE"),
            (token.clone(), "not BPE"),
            (BPE.to_vec(), "no tokens"),
            (with(&[3 << 3 | 2, 2, 4 << 3, 1]), "extra spaces"),
            (with(&[3 << 3 | 2, 3, 2 << 3 | 2, 1, 9]), "normalized"),
            (with(&piece("b", f32::NAN, 1)), "token 1"),
            (with(&piece("b", 0.0, 9)), "token 1"),
            (with(&[1 << 3 | 2, 200]), "too early"),
            (with(&[0x0b]), "wire type 3"),
            (with(&[0xff; 12]), "too long"),
        ] {
            let problem = read(&file).unwrap_err();
            assert!(problem.contains(part), "{problem}, {part}");
        }
    }
}
