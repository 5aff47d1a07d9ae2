//! File names inside a bundle.

use crate::error::ScriptError;

/// Name of a file of the bundle, relative to the bundle's root, its parts separated by `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BundlePath(String);

impl BundlePath {
    /// Checks `path`. Any character is fine but NUL and those above U+FFFF (which the Tcl of Vivado
    /// cannot write); errors: an empty or absolute path, a part that is empty, `.` or `..`.
    pub fn new(path: &str) -> Result<Self, ScriptError> {
        let problem = if path.is_empty() {
            "it is empty"
        } else if path.starts_with('/') {
            "it is absolute"
        } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            "it has an empty part, `.` or `..`"
        } else if path.chars().any(|c| c == '\0' || c > '\u{ffff}') {
            "it has a character that Tcl cannot write"
        } else {
            return Ok(Self(path.to_owned()));
        };
        Err(ScriptError::BadPath {
            path: path.to_owned(),
            problem,
        })
    }

    /// The path as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_the_root_are_accepted() {
        for path in ["rtl/top.v", "a b/[1] $x {.v", "~user/é.v", "...", "-sv"] {
            assert_eq!(BundlePath::new(path).unwrap().as_str(), path);
        }
        for path in [
            "",
            "/rtl/top.v",
            "rtl//top.v",
            "./top.v",
            "../top.v",
            "rtl/",
            "a\0b",
            "😀.v",
        ] {
            assert!(BundlePath::new(path).is_err(), "{path:?}");
        }
    }
}
