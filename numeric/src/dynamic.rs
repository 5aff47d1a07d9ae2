//! ONNX's DynamicQuantizeLinear: uint8 parameters from the data itself.

/// Parameters that cover a set of float32 values and zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DynamicParams {
    /// `(max - min) / 255` of the values and zero; 1 where all are zero.
    pub scale: f32,
    /// `-min / scale`, rounded half to even and saturated to uint8.
    pub zero_point: u8,
}

impl DynamicParams {
    /// Parameters of these values.
    pub fn of(values: &[f32]) -> Self {
        let lowest = values.iter().fold(0.0f32, |m, &v| m.min(v));
        let highest = values.iter().fold(0.0f32, |m, &v| m.max(v));
        let range = (highest - lowest) / 255.0;
        let scale = if range == 0.0 { 1.0 } else { range };
        let zero_point = (0.0 - lowest / scale).clamp(0.0, 255.0).round_ties_even() as u8;
        Self { scale, zero_point }
    }

    /// One value: the quotient by the scale rounded half to even, plus the zero point, saturated.
    pub fn quantize(self, value: f32) -> u8 {
        let steps = (value / self.scale).round_ties_even() as i32;
        steps.saturating_add(self.zero_point.into()).clamp(0, 255) as u8
    }
}
