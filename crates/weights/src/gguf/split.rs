//! Split GGUF files: `NAME-00001-of-0000N.gguf` has the metadata, and each part has some of the tensors.

use std::path::{Path, PathBuf};

use super::{File, MAGIC, read};
use crate::{Error, Metadata, map::Map, parts::Part, recognize::recognize};

const COUNT: &str = "split.count";
const NUMBER: &str = "split.no";
const TENSORS: &str = "split.tensors.count";

/// Reads a GGUF file, or all parts of a split one from the path of any part.
///
/// # Errors
/// [`Error::Split`] for parts that are missing, do not belong together or were renamed or joined, else as [`read`].
pub(crate) fn read_all(path: &Path) -> Result<(File, Vec<Map>, Vec<PathBuf>), Error> {
    let map = Map::open(path)?;
    let file = read(path, &map)?;
    let split = |problem: String| Error::Split { path: path.to_owned(), problem };
    let keys =
        Metadata::new(path, file.metadata.iter().filter(|it| it.0.starts_with("split.")).cloned().collect());
    let count = keys.find::<u64>(COUNT)?.unwrap_or(0);
    if count <= 1 {
        return Ok((file, vec![map], vec![path.to_owned()]));
    }
    if is_joined(&file, &map) {
        let problem =
            format!("its {count} parts were joined byte by byte; use the parts, side by side and unchanged");
        return Err(split(problem));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = Part::of(&name, ".gguf").filter(|it| it.count == count).ok_or_else(|| {
        let number = keys.find::<u64>(NUMBER).ok().flatten().unwrap_or(0) + 1;
        split(format!(
            "this is part {number} of {count}; its name must end in -{number:05}-of-{count:05}.gguf"
        ))
    })?;
    let paths: Vec<PathBuf> = (1..=count).map(|i| path.with_file_name(part.sibling(i))).collect();
    let missing: Vec<String> = paths
        .iter()
        .filter(|it| !it.is_file())
        .map(|it| format!("`{}`", it.file_name().unwrap_or_default().to_string_lossy()))
        .collect();
    if !missing.is_empty() {
        return Err(split(format!(
            "of {count} parts these are missing in its folder: {}",
            missing.join(", ")
        )));
    }
    join(path, &paths, &keys)
}

/// The parts as one file, with the metadata of the first.
fn join(path: &Path, paths: &[PathBuf], keys: &Metadata) -> Result<(File, Vec<Map>, Vec<PathBuf>), Error> {
    let split = |problem: String| Error::Split { path: path.to_owned(), problem };
    let mut whole: Option<File> = None;
    let mut maps = Vec::new();
    for (i, path) in paths.iter().enumerate() {
        let map = Map::open(path)?;
        if !map.as_ref().starts_with(&MAGIC) {
            return Err(
                recognize(path).unwrap_or_else(|| split(format!("`{}` is no GGUF file", path.display())))
            );
        }
        let mut file = read(path, &map)?;
        let own = Metadata::new(path, file.metadata.clone());
        let (number, count) = (own.find::<usize>(NUMBER)?, own.find::<usize>(COUNT)?);
        if number != Some(i) || count != Some(paths.len()) {
            return Err(split(format!("`{}` is not part {} of {}", path.display(), i + 1, paths.len())));
        }
        file.tensors.iter_mut().for_each(|it| it.storage = it.storage.clone().in_map(i));
        maps.push(map);
        match &mut whole {
            None => whole = Some(file),
            Some(whole) => {
                whole.tensors.append(&mut file.tensors);
                whole.left_out.append(&mut file.left_out);
            }
        }
    }
    let mut whole = whole.ok_or_else(|| split("it has no parts".to_owned()))?;
    let found = whole.tensors.len() + whole.left_out.len();
    match keys.find::<usize>(TENSORS)? {
        Some(stated) if stated != found => {
            Err(split(format!("its parts have {found} tensors, but `{TENSORS}` is {stated}")))
        }
        _ => {
            whole.metadata.retain(|(key, _)| !key.starts_with("split."));
            Ok((whole, maps, paths.to_vec()))
        }
    }
}

/// Whether another part follows the last tensor of the first.
fn is_joined(file: &File, map: &Map) -> bool {
    let bytes = map.as_ref();
    let end = file.tensors.iter().filter_map(|it| it.storage.range()).map(|it| it.end).max().unwrap_or(0);
    let end = usize::try_from(end).unwrap_or(usize::MAX);
    // The padding of a part is shorter than this.
    let window = bytes.get(end..).map(|it| &it[..it.len().min(4096)]).unwrap_or_default();
    end > 0 && window.windows(MAGIC.len()).any(|it| it == MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Checkpoint, Value,
        gguf::{Writer, header},
    };
    use ridgeline_quant::Format;

    /// Writes part `i` of 2 with one tensor whose values are `i + 1`, and returns its path.
    fn write(folder: &Path, i: u16) -> PathBuf {
        let path = folder.join(format!("m-{:05}-of-00002.gguf", i + 1));
        let mut metadata = Metadata::new(&path, Vec::new());
        if i == 0 {
            metadata.set("general.architecture", Value::Str("llama".to_owned()));
            metadata.set("general.name", Value::Str("split".to_owned()));
        }
        metadata.set(NUMBER, Value::U16(i));
        metadata.set(COUNT, Value::U16(2));
        metadata.set(TENSORS, Value::I32(2));
        let tensor = (format!("t{i}"), vec![32], Format::SINGLE);
        let mut writer = Writer::create(&path, &header(&path, &metadata, &[tensor]).unwrap()).unwrap();
        writer.append(&f32::from(i + 1).to_le_bytes().repeat(32)).unwrap();
        writer.pad().unwrap();
        writer.finish().unwrap();
        path
    }

    #[test]
    fn a_split_file_opens_from_any_part() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [0, 1].map(|i| write(folder.path(), i));
        for path in &paths {
            let it = Checkpoint::open(path).unwrap();
            assert_eq!(it.metadata().str("general.name").unwrap(), "split");
            assert!(!it.metadata().has(COUNT));
            assert_eq!(it.files(), paths);
            for (name, value) in [("t0", 1.0), ("t1", 2.0)] {
                assert_eq!(it.tensor(name).unwrap().to_f32(), vec![value; 32]);
            }
        }
    }

    #[test]
    fn parts_that_cannot_be_joined_say_why() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = [0, 1].map(|i| write(folder.path(), i));
        let message = |path: &Path| Checkpoint::open(path).unwrap_err().to_string();
        let joined = folder.path().join("whole.gguf");
        std::fs::write(&joined, [std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap()].concat())
            .unwrap();
        assert!(message(&joined).contains("joined byte by byte"), "{}", message(&joined));
        let renamed = folder.path().join("renamed.gguf");
        std::fs::copy(&second, &renamed).unwrap();
        assert!(message(&renamed).contains("-00002-of-00002.gguf"), "{}", message(&renamed));
        std::fs::copy(&first, &second).unwrap();
        assert!(message(&first).contains("is not part 2 of 2"), "{}", message(&first));
        std::fs::write(&second, "<html>").unwrap();
        assert!(message(&first).contains("a web page"), "{}", message(&first));
        std::fs::remove_file(&second).unwrap();
        assert!(message(&first).contains("`m-00002-of-00002.gguf`"), "{}", message(&first));
    }
}
