//! Tables of unary functions.

use macforge_numeric::table::{lookup, table};

#[test]
fn a_table_is_indexed_by_the_value_as_an_unsigned_byte() {
    let negate = table(|q| q.saturating_neg());
    assert_eq!((negate[0x80], negate[0xff], negate[1]), (127, 1, -1));
    for q in i8::MIN..=i8::MAX {
        assert_eq!(lookup(&negate, q), q.saturating_neg());
    }
}
