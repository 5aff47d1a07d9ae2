//! Coordinates of a nearest-neighbour Resize.

use super::Node;

/// Input position of every output position along one dimension; `None` for coordinate modes that
/// are not known. The float32 operations are onnxruntime's.
pub(super) fn map(node: &Node, input: usize, output: usize) -> Option<Vec<usize>> {
    // Upsample, and Resize before operator set 11, know only one mode
    let old = node.op.op_type == "Upsample" || node.op.inputs.len() == 2;
    let default = if old { "asymmetric" } else { "half_pixel" };
    let text =
        |name: &str, default: &'static str| node.op.text(name).unwrap_or(default).to_string();
    let coordinates = text("coordinate_transformation_mode", default);
    let rounding = text(
        "nearest_mode",
        if old { "floor" } else { "round_prefer_floor" },
    );
    let scale = output as f32 / input as f32;
    let position = |x: usize| {
        let x = x as f32;
        Some(match coordinates.as_str() {
            "asymmetric" => x / scale,
            "half_pixel" => (x + 0.5) / scale - 0.5,
            "pytorch_half_pixel" if output > 1 => (x + 0.5) / scale - 0.5,
            "pytorch_half_pixel" => 0.0,
            "align_corners" if output == 1 => 0.0,
            "align_corners" => x * (input - 1) as f32 / (output - 1) as f32,
            _ => return None,
        })
    };
    let nearest = |x: f32| {
        Some(match rounding.as_str() {
            "round_prefer_floor" if x == x.floor() + 0.5 => x.floor(),
            "round_prefer_floor" | "round_prefer_ceil" => x.round(),
            "floor" => x.floor(),
            "ceil" => x.ceil(),
            _ => return None,
        })
    };
    (0..output)
        .map(|x| {
            let at = nearest(position(x)?)?.max(0.0) as usize;
            Some(at.min(input - 1))
        })
        .collect()
}
