//! A walk over the wire format before anything is decoded: recognises the format, and bounds the
//! memory that decoding can take.

use crate::ModelError;

/// Tag of `ModelProto.graph`.
const GRAPH: u64 = 7;
/// Most fields outside of tensors; a decoded one takes up to 300 bytes, an encoded one two.
const MAX_FIELDS: usize = 4_000_000;

/// Messages whose fields decode to structures. Tensors are none: their contents take at most
/// eight bytes for one.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    /// Value types and annotations, whatever is in them.
    Other,
}

impl Message {
    /// The message in field `tag`, where it is one whose fields count.
    fn inner(self, tag: u64) -> Option<Message> {
        match (self, tag) {
            (Message::Model, GRAPH) => Some(Message::Graph),
            (Message::Model, 8 | 25) | (Message::Graph, 11..=14) => Some(Message::Other),
            (Message::Graph, 1) => Some(Message::Node),
            (Message::Node, 5) => Some(Message::Attribute),
            (Message::Other, _) => Some(Message::Other),
            _ => None,
        }
    }
}

/// One field of a message.
struct Field<'a> {
    tag: u64,
    /// Content of a length-delimited field; for the truncated last one, what is there.
    content: Option<&'a [u8]>,
}

/// The next field and the rest; `None` at the end, and where the bytes are no field.
fn next(bytes: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (key, rest) = varint(bytes)?;
    let (content, rest) = match key & 7 {
        0 => (None, varint(rest)?.1),
        1 => (None, rest.get(8..)?),
        2 => {
            let (length, rest) = varint(rest)?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let (content, rest) = rest.split_at(length.min(rest.len()));
            (Some(content), rest)
        }
        5 => (None, rest.get(4..)?),
        _ => return None,
    };
    let tag = key >> 3;
    (tag != 0).then_some((Field { tag, content }, rest))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * index as u32)?;
        if byte < 0x80 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

/// True where the bytes are fields of a `ModelProto` up to its graph. ONNX files carry no magic
/// number; a plausible walk to a graph field is the best that there is.
pub(crate) fn is_onnx(mut bytes: &[u8]) -> bool {
    while let Some((field, rest)) = next(bytes) {
        match field.tag {
            GRAPH => return field.content.is_some(),
            1..=8 | 14 | 20 | 25 | 26 => bytes = rest,
            _ => return false,
        }
    }
    false
}

/// Refuses files whose decoding would take far more memory than they have bytes.
pub(super) fn bound_memory(bytes: &[u8]) -> Result<(), ModelError> {
    let mut left = MAX_FIELDS;
    if count(bytes, Message::Model, &mut left, 0) {
        return Ok(());
    }
    Err(ModelError::malformed(
        "model",
        format!("more than {MAX_FIELDS} fields outside of tensors"),
    ))
}

/// Deepest message that counts: model, graph, value, type, tensor type, shape, dimension.
const MAX_DEPTH: usize = 7;

/// Counts the fields down; false when none is left.
fn count(mut bytes: &[u8], message: Message, left: &mut usize, depth: usize) -> bool {
    while let Some((field, rest)) = next(bytes) {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        if let (Some(content), Some(inner)) = (field.content, message.inner(field.tag))
            && depth < MAX_DEPTH
            && !count(content, inner, left, depth + 1)
        {
            return false;
        }
        bytes = rest;
    }
    true
}
