//! int16 tensors as the design holds them and as they cross its streams: of every row the high bytes, then
//! the low ones less 128.

use macforge_quant::QTensor;

/// The bytes of a tensor's values, row-major.
pub fn split(tensor: &QTensor, values: &[i16]) -> Vec<i8> {
    let [_, w, c] = tensor.hwc();
    let rows = values.chunks(w * c);
    let high = |v: &i16| (v >> 8) as i8;
    let low = |v: &i16| (*v as u8 ^ 0x80) as i8;
    rows.flat_map(|row| row.iter().map(high).chain(row.iter().map(low)))
        .collect()
}

/// The values of a tensor's bytes.
pub fn join(tensor: &QTensor, bytes: &[i8]) -> Vec<i16> {
    let [_, w, c] = tensor.hwc();
    let value = |(&high, &low): (&i8, &i8)| i16::from_be_bytes([high as u8, low as u8 ^ 0x80]);
    let rows = bytes.chunks(2 * w * c);
    rows.flat_map(|row| {
        let (high, low) = row.split_at(row.len() / 2);
        high.iter().zip(low).map(value)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use macforge_quant::DType;

    #[test]
    fn rows_of_high_bytes_are_followed_by_their_low_ones() {
        let tensor = QTensor {
            name: "x".into(),
            shape: vec![2, 1, 2],
            dtype: DType::I16,
            quant: None,
            unsigned: false,
            channels_first: false,
        };
        let values = [0x1234, -1, i16::MIN, i16::MAX];
        let bytes = split(&tensor, &values);
        assert_eq!(bytes, [0x12, -1, -76, 127, -128, 127, -128, 127]);
        assert_eq!(join(&tensor, &bytes), values);
    }
}
