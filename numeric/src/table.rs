//! Any unary int8 function as 256 entries.

/// Tabulates `f`; the index of `q` is `q as u8`, so entry 128 belongs to -128.
pub fn table(f: impl Fn(i8) -> i8) -> Box<[i8; 256]> {
    Box::new(std::array::from_fn(|index| f(index as u8 as i8)))
}

/// Looks `q` up.
pub fn lookup(table: &[i8; 256], q: i8) -> i8 {
    table[usize::from(q as u8)]
}
