//! One case: named arrays, and a configuration in JSON.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ndarray::ArrayD;
use ndarray_npy::{NpzReader, ReadableElement};
use serde_json::Value;

/// An open case.
pub struct CaseFile {
    /// Name of the case.
    pub name: String,
    arrays: NpzReader<File>,
    config: Value,
}

impl CaseFile {
    /// Opens case `name` in `folder`.
    pub fn open(folder: &Path, name: &str) -> Self {
        let path = folder.join(format!("{name}.npz"));
        let open = || File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let text = text_entry(open(), "config.npy");
        Self {
            name: name.to_owned(),
            arrays: NpzReader::new(open()).unwrap(),
            config: serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}")),
        }
    }

    /// The first of the arrays `names` that the case has.
    pub fn any<T: ReadableElement>(&mut self, names: &[&str]) -> Option<Vec<T>> {
        names.iter().find_map(|name| {
            let name = format!("{}_{name}", self.name);
            let array: ArrayD<T> = self.arrays.by_name(&name).ok()?;
            Some(array.into_iter().collect())
        })
    }

    /// Array `name`.
    pub fn array<T: ReadableElement>(&mut self, name: &str) -> Vec<T> {
        let array = self.any(&[name]);
        array.unwrap_or_else(|| panic!("{} has no array {name}", self.name))
    }

    /// The integer `key` of the configuration, whose keys carry the case's name in capitals.
    pub fn number(&self, key: &str) -> Option<i32> {
        let key = format!("{}_{key}", self.name.to_uppercase());
        let number = self.config.get(&key)?.as_i64()?;
        Some(i32::try_from(number).unwrap())
    }

    /// An integer that must be there.
    pub fn int(&self, key: &str) -> i32 {
        let number = self.number(key);
        number.unwrap_or_else(|| panic!("{} has no {key}", self.name))
    }

    /// A size.
    pub fn size(&self, key: &str) -> usize {
        usize::try_from(self.int(key)).unwrap()
    }

    /// Sizes.
    pub fn sizes<const N: usize>(&self, keys: [&str; N]) -> [usize; N] {
        keys.map(|key| self.size(key))
    }
}

/// A text scalar: numpy stores it as UTF-32 behind a header, whose length is at byte 8.
fn text_entry(file: File, entry: &str) -> String {
    let mut archive = zip::ZipArchive::new(file).unwrap();
    let mut bytes = Vec::new();
    let mut reader = archive.by_name(entry).unwrap();
    reader.read_to_end(&mut bytes).unwrap();
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let (words, _) = bytes[10 + header..].as_chunks::<4>();
    let characters = words.iter().map(|&word| u32::from_le_bytes(word));
    characters
        .map(|code| char::from_u32(code).unwrap())
        .filter(|&c| c != '\0')
        .collect()
}
