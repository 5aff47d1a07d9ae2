//! Invariants of attention.

use macforge_numeric::AttentionRule;

use super::ops::Check;
use crate::QuantError;
use crate::graph::{Attention, QTensor};

/// `check.input` are the queries.
pub(super) fn verify(
    check: &Check,
    [keys, values]: [&QTensor; 2],
    op: &Attention,
) -> Result<(), QuantError> {
    let shapes = [check.input, keys, values, check.output].map(|t| t.shape.as_slice());
    let &[&[_, channels], &[length, _], ..] = &shapes else {
        return check.fail(format!("shapes {shapes:?}, wanted two dimensions"));
    };
    let fits = shapes[2] == shapes[1] && shapes[1][1] == channels && shapes[3] == shapes[0];
    if !fits {
        return check.fail(format!(
            "shapes {shapes:?}, wanted [Tq, C], [Tk, C], [Tk, C] and [Tq, C]"
        ));
    }
    if op.heads == 0 || !channels.is_multiple_of(op.heads) {
        return check.fail(format!("{} heads on {channels} channels", op.heads));
    }
    let (width, most) = (channels / op.heads, AttentionRule::MAX_WIDTH);
    if width > most || length > AttentionRule::MAX_KEYS {
        return check.fail(format!(
            "{length} keys of {width} channels per head, at most {} of {most} are exact",
            AttentionRule::MAX_KEYS
        ));
    }
    if !(op.rule.score.is_valid() && op.rule.output.factor.is_valid()) {
        return check.fail("a factor that is no FP16 factor");
    }
    check.zero_point(op.rule.output.zero_point)
}
