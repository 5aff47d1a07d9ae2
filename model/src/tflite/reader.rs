//! Bounds-checked reading of flatbuffers.
//!
//! Every access checks against the buffer, so no verification pass has to be trusted. The tables
//! of the TFLite schema are read top-down to a fixed depth, hence cyclic offsets cannot loop; and
//! a budget on the bytes visited, proportional to the file, stops files whose parts overlap in
//! order to expand into more than they are. Format: <https://flatbuffers.dev/internals/>.

use std::cell::Cell;

use crate::ModelError;

/// A field of a table: its id in the schema, and its name for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub id: u16,
    pub name: &'static str,
}

/// The file and the bytes that may still be visited.
#[derive(Debug)]
pub(crate) struct Buffer<'a> {
    bytes: &'a [u8],
    budget: Cell<usize>,
}

impl<'a> Buffer<'a> {
    /// Honest writers share a few strings and vtables; eight times the file is far beyond that.
    pub fn new(bytes: &'a [u8]) -> Self {
        let budget = bytes.len().saturating_mul(8).saturating_add(1 << 16);
        Buffer {
            bytes,
            budget: Cell::new(budget),
        }
    }

    /// The root table.
    pub fn root(&self) -> Result<Table<'_>, ModelError> {
        let position = self.indirect(0)?;
        Table::at(self, position)
    }

    /// `len` bytes at `position`, counted against the budget.
    fn slice(&self, position: usize, len: usize) -> Result<&'a [u8], ModelError> {
        let end = position.checked_add(len);
        let slice = end.and_then(|end| self.bytes.get(position..end));
        let slice = slice.ok_or_else(|| {
            ModelError::malformed(
                "",
                format!(
                    "{len} bytes at byte {position} lie outside the file of {} bytes",
                    self.bytes.len()
                ),
            )
        })?;
        let left = self.budget.get().checked_sub(len).ok_or_else(|| {
            ModelError::malformed("", "parts of the file overlap many times over")
        })?;
        self.budget.set(left);
        Ok(slice)
    }

    fn scalar<T: Scalar>(&self, position: usize) -> Result<T, ModelError> {
        Ok(T::decode(self.slice(position, T::SIZE)?))
    }

    /// Follows the unsigned offset stored at `position`.
    fn indirect(&self, position: usize) -> Result<usize, ModelError> {
        let offset: u32 = self.scalar(position)?;
        Ok(position.saturating_add(offset as usize))
    }
}

/// A number stored little endian.
pub(crate) trait Scalar: Sized {
    const SIZE: usize;
    /// `bytes` has exactly `SIZE` bytes.
    fn decode(bytes: &[u8]) -> Self;
}

macro_rules! scalar {
    ($($t:ty),*) => {$(
        impl Scalar for $t {
            const SIZE: usize = size_of::<$t>();
            fn decode(bytes: &[u8]) -> Self {
                let mut fixed = [0; size_of::<$t>()];
                fixed.copy_from_slice(bytes);
                <$t>::from_le_bytes(fixed)
            }
        }
    )*};
}
scalar!(i8, u8, u16, i32, u32, i64, u64, f32);

/// A table whose vtable and extent lie inside the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'a> {
    buffer: &'a Buffer<'a>,
    position: usize,
    /// Size of the inline part.
    size: usize,
    vtable: &'a [u8],
}

impl<'a> Table<'a> {
    fn at(buffer: &'a Buffer<'a>, position: usize) -> Result<Self, ModelError> {
        let back: i32 = buffer.scalar(position)?;
        let vtable = position as i128 - i128::from(back);
        let vtable = usize::try_from(vtable).map_err(|_| {
            ModelError::malformed(
                "",
                format!("vtable of the table at byte {position} lies before the file"),
            )
        })?;
        let vtable_size: u16 = buffer.scalar(vtable)?;
        let size: u16 = buffer.scalar(vtable.saturating_add(2))?;
        if vtable_size < 4 || !vtable_size.is_multiple_of(2) || size < 4 {
            return Err(ModelError::malformed(
                "",
                format!("vtable at byte {vtable} has sizes {vtable_size} and {size}"),
            ));
        }
        buffer.slice(position, size.into())?;
        Ok(Table {
            buffer,
            position,
            size: size.into(),
            vtable: buffer.slice(vtable, vtable_size.into())?,
        })
    }

    /// Position of a field of `len` bytes; `None` where the file leaves it at its default.
    fn field(&self, field: Field, len: usize) -> Result<Option<usize>, ModelError> {
        let slot = 4 + 2 * usize::from(field.id);
        let Some(entry) = self.vtable.get(slot..slot + 2) else {
            return Ok(None);
        };
        let offset = usize::from(u16::decode(entry));
        if offset == 0 {
            return Ok(None);
        }
        if offset < 4 || offset + len > self.size {
            return Err(ModelError::malformed(
                field.name,
                format!(
                    "offset {offset} lies outside its table of {} bytes",
                    self.size
                ),
            ));
        }
        Ok(Some(self.position + offset))
    }

    /// A number, or `default` where the field is absent.
    pub fn scalar<T: Scalar>(&self, field: Field, default: T) -> Result<T, ModelError> {
        match self.field(field, T::SIZE)? {
            Some(at) => self.buffer.scalar(at).map_err(|e| e.within(field.name)),
            None => Ok(default),
        }
    }

    /// Follows a reference field.
    fn follow(&self, field: Field) -> Result<Option<usize>, ModelError> {
        match self.field(field, 4)? {
            Some(at) => Ok(Some(
                self.buffer.indirect(at).map_err(|e| e.within(field.name))?,
            )),
            None => Ok(None),
        }
    }

    /// A sub-table (or the value of a union, whose type the caller knows).
    pub fn table(&self, field: Field) -> Result<Option<Table<'a>>, ModelError> {
        match self.follow(field)? {
            Some(at) => Ok(Some(
                Table::at(self.buffer, at).map_err(|e| e.within(field.name))?,
            )),
            None => Ok(None),
        }
    }

    /// The elements of a vector of `width`-byte elements.
    fn vector_bytes(
        &self,
        field: Field,
        width: usize,
    ) -> Result<Option<(usize, &'a [u8])>, ModelError> {
        let Some(at) = self.follow(field)? else {
            return Ok(None);
        };
        let read = || {
            let count: u32 = self.buffer.scalar(at)?;
            let first = at.saturating_add(4);
            let len = (count as usize).saturating_mul(width);
            Ok((first, self.buffer.slice(first, len)?))
        };
        read()
            .map(Some)
            .map_err(|e: ModelError| e.within(field.name))
    }

    /// A vector of bytes.
    pub fn bytes(&self, field: Field) -> Result<Option<&'a [u8]>, ModelError> {
        Ok(self.vector_bytes(field, 1)?.map(|(_, bytes)| bytes))
    }

    /// A vector of numbers; empty where absent.
    pub fn scalars<T: Scalar>(&self, field: Field) -> Result<Vec<T>, ModelError> {
        let (_, bytes) = self.vector_bytes(field, T::SIZE)?.unwrap_or_default();
        Ok(bytes.chunks_exact(T::SIZE).map(T::decode).collect())
    }

    /// A string; empty where absent. Names end up in comments of generated files, so control
    /// characters (line breaks above all) are replaced.
    pub fn string(&self, field: Field) -> Result<String, ModelError> {
        let bytes = self.bytes(field)?.unwrap_or_default();
        let text = std::str::from_utf8(bytes)
            .map_err(|_| ModelError::malformed(field.name, "not UTF-8"))?;
        Ok(text.replace(char::is_control, "\u{fffd}"))
    }

    /// A vector of tables; empty where absent.
    pub fn tables(&self, field: Field) -> Result<TableVector<'a>, ModelError> {
        let (first, bytes) = self.vector_bytes(field, 4)?.unwrap_or_default();
        Ok(TableVector {
            buffer: self.buffer,
            field,
            first,
            len: bytes.len() / 4,
        })
    }
}

/// A vector of tables; each is checked when it is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableVector<'a> {
    buffer: &'a Buffer<'a>,
    field: Field,
    first: usize,
    len: usize,
}

impl<'a> TableVector<'a> {
    /// Number of tables.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Table `index`; an error, not a panic, where there is none.
    pub fn get(&self, index: usize) -> Result<Table<'a>, ModelError> {
        let name = self.field.name;
        if index >= self.len {
            return Err(ModelError::malformed(
                name,
                format!("index {index}, but there are {}", self.len),
            ));
        }
        let at = self.buffer.indirect(self.first + 4 * index);
        at.and_then(|at| Table::at(self.buffer, at))
            .map_err(|e| e.within(format!("{name}[{index}]")))
    }

    /// Reads every table with `read`; errors are placed at `name[index]`.
    pub fn map<T>(
        &self,
        mut read: impl FnMut(usize, Table<'a>) -> Result<T, ModelError>,
    ) -> Result<Vec<T>, ModelError> {
        (0..self.len)
            .map(|i| {
                let place = |e: ModelError| e.within(format!("{}[{i}]", self.field.name));
                read(i, self.get(i)?).map_err(place)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: Field = Field {
        id: 0,
        name: "items",
    };

    /// Root table with one field: a vector of `count` references to the one table that follows,
    /// whose own field is a vector of `len` bytes.
    fn fan(count: u32, len: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let word = |out: &mut Vec<u8>, v: u32| out.extend(v.to_le_bytes());
        word(&mut out, 12); // root at 12
        out.extend([6, 0, 8, 0, 4, 0, 0, 0]); // vtable at 4: 6 bytes, table of 8, field 0 at 4
        word(&mut out, 8); // table at 12: vtable 8 bytes back
        word(&mut out, 4); // at 16: vector at 20
        word(&mut out, count);
        let item = 24 + 4 * count;
        for i in 0..count {
            word(&mut out, item - (24 + 4 * i));
        }
        word(&mut out, item - 4);
        word(&mut out, 4);
        word(&mut out, len);
        out.resize(out.len() + len as usize, 7);
        out
    }

    fn sum(file: &[u8]) -> Result<usize, ModelError> {
        let buffer = Buffer::new(file);
        let items = buffer.root()?.tables(ITEMS)?;
        let sizes = items.map(|_, t| Ok(t.scalars::<u8>(ITEMS)?.len()))?;
        Ok(sizes.into_iter().sum())
    }

    #[test]
    fn shared_tables_are_read_as_often_as_they_are_referenced() {
        assert_eq!(sum(&fan(3, 100)).unwrap(), 300);
    }

    #[test]
    fn a_file_that_expands_by_overlapping_parts_is_refused() {
        let error = sum(&fan(50_000, 50_000)).unwrap_err().to_string();
        assert!(error.contains("overlap many times over"), "{error}");
        assert!(error.contains("items["), "{error}");
    }

    #[test]
    fn every_truncation_is_an_error_that_names_a_place() {
        let file = fan(3, 5);
        for len in 0..file.len() {
            let error = sum(&file[..len]).unwrap_err().to_string();
            assert!(error.contains("outside the file"), "{len}: {error}");
        }
    }

    #[test]
    fn a_field_outside_its_table_is_refused() {
        let mut file = fan(1, 1);
        file[8] = 6; // field 0 at 6: would end at 10 of 8
        let error = sum(&file).unwrap_err().to_string();
        assert!(
            error.contains("items: offset 6 lies outside its table"),
            "{error}"
        );
    }
}
