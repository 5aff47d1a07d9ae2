//! The nearest known name, for error messages.

/// The name of `known` with the smallest edit distance to `wanted` (letter case ignored), or `None`
/// if more than a third of the longer name would have to change: then it is no typing mistake.
pub(crate) fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    known
        .map(|name| (edit_distance(&wanted, name), name))
        .min()
        .filter(|&(distance, name)| 3 * distance <= name.len().max(wanted.len()))
        .map(|(_, name)| name)
}

/// Levenshtein distance in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distance_counts_insertions_deletions_and_substitutions() {
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("abc", ""), 3);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("zc702", "zc706"), 1);
    }

    #[test]
    fn only_a_similar_name_is_suggested() {
        let known = ["pynq-z2", "zc706"];
        assert_eq!(nearest("PYNQ_Z2", known.into_iter()), Some("pynq-z2"));
        assert_eq!(nearest("ultra96", known.into_iter()), None);
    }
}
