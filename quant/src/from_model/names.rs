//! Unique tensor names.

use std::collections::BTreeSet;

/// Hands out each name once.
#[derive(Default)]
pub(crate) struct UniqueNames {
    taken: BTreeSet<String>,
}

impl UniqueNames {
    /// `wanted` itself, or with the model's tensor index where it is empty or taken.
    pub fn unique(&mut self, wanted: &str, index: usize) -> String {
        let base = if wanted.is_empty() { "tensor" } else { wanted };
        let mut name = base.to_string();
        if wanted.is_empty() || self.taken.contains(base) {
            name = format!("{base}_{index}");
            // Another tensor may really be called that.
            while self.taken.contains(&name) {
                name.push('_');
            }
        }
        self.taken.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_unless_empty_or_taken() {
        let mut names = UniqueNames::default();
        let got = ["a", "", "a", "a_2", "a_4", "a"]
            .iter()
            .enumerate()
            .map(|(i, n)| names.unique(n, if i == 5 { 4 } else { i }))
            .collect::<Vec<_>>();
        assert_eq!(got, ["a", "tensor_1", "a_2", "a_2_3", "a_4", "a_4_"]);
    }
}
