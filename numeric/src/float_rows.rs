//! float32 functions of a whole row, which a host computes behind the last integer tensor.

/// `exp(x)` for `x <= 0` in the operations of onnxruntime's softmax (`MlasComputeSumExpF32Kernel`):
/// `x = n ln 2 + r` with a two-part `ln 2`, a polynomial of degree six in `r` by fused
/// multiply-adds, times `2^n`. Below -88.376 it stays at that value's exponential.
fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -88.376_26;
    /// 1.5 * 2^23: adding it leaves the nearest integer in the low bits.
    const TO_INTEGER: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = -6.931_457_5e-1;
    const LN2_LOW: f32 = -1.428_606_8e-6;
    /// Coefficients of r^6 to r^0, as bit patterns.
    const POLYNOMIAL: [u32; 7] = [
        0x3AB4_A000,
        0x3C09_2F6E,
        0x3D2A_ADAD,
        0x3E2A_AA28,
        0x3EFF_FFFB,
        0x3F80_0000,
        0x3F80_0000,
    ];
    let x = x.max(LOWEST);
    let n = x.mul_add(std::f32::consts::LOG2_E, TO_INTEGER) - TO_INTEGER;
    let r = n.mul_add(LN2_LOW, n.mul_add(LN2_HIGH, x));
    let [first, rest @ ..] = POLYNOMIAL.map(f32::from_bits);
    let p = rest.iter().fold(first, |p, &c| p.mul_add(r, c));
    // n is in -128..=0, so both powers are normal numbers and both products are exact
    let half = (n as i32) / 2;
    p * power(half) * power(n as i32 - half)
}

fn power(n: i32) -> f32 {
    f32::from_bits(((127 + n) as u32) << 23)
}

/// The exponentials of the distances to the largest value, and their sum: four running sums of
/// every fourth value, added in pairs, then the values that are left over.
fn exponentials(row: &[f32]) -> (f32, Vec<f32>, f32) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let values: Vec<f32> = row.iter().map(|&x| exp(x - largest)).collect();
    let (fours, rest) = values.as_chunks::<4>();
    let lanes = fours.iter().fold([0.0; 4], |sums: [f32; 4], four| {
        [0, 1, 2, 3].map(|i| sums[i] + four[i])
    });
    let pairs = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    let sum = rest.iter().fold(pairs, |sum, x| sum + x);
    (largest, values, sum)
}

/// Softmax of a row in float32, in the operations of onnxruntime on x86-64 for short rows: each
/// exponential times the reciprocal of their sum.
pub fn softmax(row: &[f32]) -> Vec<f32> {
    let (_, values, sum) = exponentials(row);
    let scale = 1.0 / sum;
    values.iter().map(|x| x * scale).collect()
}

/// `x - max - ln(sum of exponentials)` of a row in float32.
pub fn log_softmax(row: &[f32]) -> Vec<f32> {
    let (largest, _, sum) = exponentials(row);
    let log = sum.ln();
    row.iter().map(|x| x - largest - log).collect()
}

/// Logistic function in float32, from the exponential of the negative magnitude.
pub fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    let upper = 1.0 / (1.0 + e);
    if x < 0.0 { 1.0 - upper } else { upper }
}

/// Position of the largest value; the first of several. 0 for an empty row.
pub fn arg_max(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, &x) in row.iter().enumerate() {
        if x > row[best] {
            best = index;
        }
    }
    best
}
