//! Tables of 16-bit functions.

use macforge_numeric::HalfTables;
use macforge_numeric::transcendental::{logistic, tanh};

#[test]
fn every_format_has_tables_that_give_every_value() {
    for cell_bits in 0..=6 {
        let tables = HalfTables::new(&[cell_bits]);
        let function = tables.cell_function(cell_bits).expect("asked for");
        assert_eq!(function, if cell_bits == 3 { 1 } else { 2 });
        for s in i16::MIN..=i16::MAX {
            let x = i64::from(s);
            assert_eq!(i64::from(tables.lookup(0, s)), logistic::<16>(x, 3));
            assert_eq!(i64::from(tables.lookup(1, s)), tanh::<16>(x, 3));
            let cell = tables.lookup(function, s);
            assert_eq!(i64::from(cell), tanh::<16>(x, cell_bits), "{s}");
        }
    }
}

#[test]
fn cell_states_of_several_formats_share_their_tables() {
    let tables = HalfTables::new(&[4, 3, 0, 4]);
    let functions = [4, 3, 0, 5].map(|bits| tables.cell_function(bits));
    assert_eq!(functions, [Some(2), Some(1), Some(3), None]);
    assert_eq!(tables.base.len(), 4);
    for s in (i16::MIN..=i16::MAX).step_by(7) {
        let cell = tables.lookup(3, s);
        assert_eq!(i64::from(cell), tanh::<16>(s.into(), 0), "{s}");
    }
}

#[test]
fn tables_are_about_half_the_size_of_the_plain_ones() {
    let tables = HalfTables::new(&[3]);
    assert!(tables.delta_bits <= 8, "{} bits", tables.delta_bits);
    let wide = tables.delta.iter().flatten();
    assert!(wide.clone().all(|&d| d < 1 << tables.delta_bits));
    assert!(tables.base[0].len() <= 1 << 12);
}
