//! Names of the parts of a split file: `NAME-00001-of-00003.gguf`.

/// One part.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Part {
    base: String,
    extension: String,
    /// The number of parts.
    pub(crate) count: u64,
    /// From 1.
    pub(crate) number: u64,
}

impl Part {
    /// Reads the name of a part with this extension.
    pub(crate) fn of(name: &str, extension: &str) -> Option<Self> {
        let rest = name.strip_suffix(extension)?;
        let (rest, count) = rest.rsplit_once("-of-")?;
        let (base, number) = rest.rsplit_once('-')?;
        let read = |it: &str| (it.len() == 5).then(|| it.parse::<u64>().ok()).flatten();
        let (number, count) = (read(number)?, read(count)?);
        let valid = (1..=count).contains(&number);
        valid.then(|| Self { base: base.to_owned(), extension: extension.to_owned(), count, number })
    }

    /// The name of another part of the same file.
    pub(crate) fn sibling(&self, number: u64) -> String {
        format!("{}-{number:05}-of-{:05}{}", self.base, self.count, self.extension)
    }
}

#[cfg(test)]
mod tests {
    use super::Part;

    #[test]
    fn names_of_parts_have_two_numbers() {
        let part = Part::of("a-b-00002-of-00003.gguf", ".gguf").unwrap();
        assert_eq!((part.number, part.count), (2, 3));
        assert_eq!(part.sibling(1), "a-b-00001-of-00003.gguf");
        for name in [
            "a.gguf",
            "a-00004-of-00003.gguf",
            "a-1-of-3.gguf",
            "a-00001-of-00003.bin",
            "-0000x-of-00003.gguf",
        ] {
            assert_eq!(Part::of(name, ".gguf"), None, "{name}");
        }
    }
}
