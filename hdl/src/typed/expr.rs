//! Expressions with width and signedness.

use std::rc::Rc;

/// Width and signedness of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type {
    /// Bits, 1..=96.
    pub width: u32,
    /// Two's complement.
    pub signed: bool,
}

/// A two's complement type.
pub const fn signed(width: u32) -> Type {
    Type {
        width,
        signed: true,
    }
}

/// A natural-number type.
pub const fn unsigned(width: u32) -> Type {
    Type {
        width,
        signed: false,
    }
}

impl Type {
    /// The value of the low `width` bits of `bits`.
    pub(super) fn wrap(self, bits: i128) -> i128 {
        let spare = 128 - self.width;
        if self.signed {
            (bits << spare) >> spare
        } else {
            ((bits as u128) << spare >> spare) as i128
        }
    }

    /// Whether `value` is one of the type's values.
    pub fn holds(self, value: i128) -> bool {
        self.wrap(value) == value
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
    And,
    Or,
    Xor,
    Eq,
    Lt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Not,
    ReduceOr,
    ReduceAnd,
}

#[derive(Debug)]
pub(super) enum Op {
    /// A port, wire or register: its name and its place in the module's list of signals.
    Signal {
        name: String,
        index: usize,
    },
    Const(i128),
    Unary(Unary, Expr),
    Binary(Binary, Expr, Expr),
    Mux(Expr, Expr, Expr),
    /// Bits of a signal from `lsb` up.
    Slice {
        of: Expr,
        lsb: u32,
    },
    /// Most significant part first.
    Concat(Vec<Expr>),
    Extend(Expr),
    /// Same bits, other signedness.
    Cast(Expr),
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) ty: Type,
    pub(super) op: Op,
}

/// An expression of a [`Module`](super::Module).
///
/// Methods panic when types do not fit: that is a defect of the block's description, not of its
/// inputs.
#[derive(Clone, Debug)]
pub struct Expr(pub(super) Rc<Node>);

impl Expr {
    pub(super) fn new(ty: Type, op: Op) -> Self {
        assert!(
            (1..=96).contains(&ty.width),
            "width {} is not in 1..=96",
            ty.width
        );
        Expr(Rc::new(Node { ty, op }))
    }

    /// The expression's type.
    pub fn ty(&self) -> Type {
        self.0.ty
    }

    fn same(&self, other: &Expr, what: &str) -> Type {
        assert_eq!(self.ty(), other.ty(), "{what} of different types");
        self.ty()
    }

    fn binary(&self, op: Binary, other: &Expr, ty: Type) -> Expr {
        Expr::new(ty, Op::Binary(op, self.clone(), other.clone()))
    }

    /// Sum, modulo `2^width`. Extend the operands first where a carry must be kept.
    #[must_use]
    pub fn plus(&self, other: &Expr) -> Expr {
        self.binary(Binary::Add, other, self.same(other, "sum"))
    }

    /// Difference, modulo `2^width`.
    #[must_use]
    pub fn minus(&self, other: &Expr) -> Expr {
        self.binary(Binary::Sub, other, self.same(other, "difference"))
    }

    /// Full product of two signed values; its width is the sum of theirs. It must be the whole
    /// right side of a wire or register.
    #[must_use]
    pub fn times(&self, other: &Expr) -> Expr {
        let (a, b) = (self.ty(), other.ty());
        assert!(a.signed && b.signed, "only signed products");
        self.binary(Binary::Mul, other, signed(a.width + b.width))
    }

    /// Bitwise and.
    #[must_use]
    pub fn and(&self, other: &Expr) -> Expr {
        self.binary(Binary::And, other, self.same(other, "and"))
    }

    /// Bitwise or.
    #[must_use]
    pub fn or(&self, other: &Expr) -> Expr {
        self.binary(Binary::Or, other, self.same(other, "or"))
    }

    /// Bitwise exclusive or.
    #[must_use]
    pub fn xor(&self, other: &Expr) -> Expr {
        self.binary(Binary::Xor, other, self.same(other, "xor"))
    }

    /// Equality, one bit.
    #[must_use]
    pub fn equals(&self, other: &Expr) -> Expr {
        self.same(other, "comparison");
        self.binary(Binary::Eq, other, unsigned(1))
    }

    /// Less than, one bit; signed or unsigned as the operands are.
    #[must_use]
    pub fn less(&self, other: &Expr) -> Expr {
        self.same(other, "comparison");
        self.binary(Binary::Lt, other, unsigned(1))
    }

    /// Bitwise complement.
    #[must_use]
    pub fn not(&self) -> Expr {
        Expr::new(self.ty(), Op::Unary(Unary::Not, self.clone()))
    }

    /// Whether any bit is one.
    #[must_use]
    pub fn any(&self) -> Expr {
        Expr::new(unsigned(1), Op::Unary(Unary::ReduceOr, self.clone()))
    }

    /// Whether all bits are one.
    #[must_use]
    pub fn all(&self) -> Expr {
        Expr::new(unsigned(1), Op::Unary(Unary::ReduceAnd, self.clone()))
    }

    /// `width` bits of a signal from bit `lsb` up, unsigned.
    #[must_use]
    pub fn slice(&self, lsb: u32, width: u32) -> Expr {
        assert!(
            matches!(self.0.op, Op::Signal { .. }),
            "only signals are sliced: name it first"
        );
        assert!(
            lsb + width <= self.ty().width,
            "slice outside of its signal"
        );
        let of = self.clone();
        Expr::new(unsigned(width), Op::Slice { of, lsb })
    }

    /// One bit of a signal.
    #[must_use]
    pub fn bit(&self, index: u32) -> Expr {
        self.slice(index, 1)
    }

    /// The sign bit of a signed signal.
    #[must_use]
    pub fn sign(&self) -> Expr {
        assert!(self.ty().signed, "an unsigned value has no sign");
        self.bit(self.ty().width - 1)
    }

    /// The same value in `width` bits; a signal, a slice or a cast of one.
    #[must_use]
    pub fn extend(&self, width: u32) -> Expr {
        let ty = self.ty();
        assert!(width >= ty.width, "extension to fewer bits");
        if width == ty.width {
            return self.clone();
        }
        Expr::new(Type { width, ..ty }, Op::Extend(self.clone()))
    }

    /// The same bits as a two's complement value.
    #[must_use]
    pub fn as_signed(&self) -> Expr {
        self.cast(true)
    }

    /// The same bits as a natural number.
    #[must_use]
    pub fn as_unsigned(&self) -> Expr {
        self.cast(false)
    }

    fn cast(&self, signed: bool) -> Expr {
        if self.ty().signed == signed {
            return self.clone();
        }
        let ty = Type {
            signed,
            ..self.ty()
        };
        Expr::new(ty, Op::Cast(self.clone()))
    }

    /// `{x, zeros}`: the value times `2^bits`, `bits` wider.
    #[must_use]
    pub fn shifted_left(&self, bits: u32) -> Expr {
        if bits == 0 {
            return self.clone();
        }
        let joined = concat(&[self.as_unsigned(), constant(unsigned(bits), 0)]);
        joined.cast(self.ty().signed)
    }

    /// Whether `node` is a product, which needs a target of its own width.
    pub(super) fn is_product(&self) -> bool {
        matches!(self.0.op, Op::Binary(Binary::Mul, ..))
    }
}

/// A constant of type `ty`.
pub fn constant(ty: Type, value: i128) -> Expr {
    assert!(ty.holds(value), "{value} does not fit {ty:?}");
    Expr::new(ty, Op::Const(value))
}

/// `select ? then : otherwise`.
pub fn mux(select: &Expr, then: &Expr, otherwise: &Expr) -> Expr {
    assert_eq!(select.ty(), unsigned(1), "a select is one bit");
    let ty = then.same(otherwise, "choice");
    Expr::new(ty, Op::Mux(select.clone(), then.clone(), otherwise.clone()))
}

/// Bits side by side, most significant part first; unsigned.
pub fn concat(parts: &[Expr]) -> Expr {
    let width = parts.iter().map(|p| p.ty().width).sum();
    Expr::new(unsigned(width), Op::Concat(parts.to_vec()))
}

/// One bit, `times` times; unsigned.
pub fn repeat(bit: &Expr, times: u32) -> Expr {
    assert_eq!(bit.ty(), unsigned(1), "only single bits are repeated");
    match times {
        1 => bit.clone(),
        _ => concat(&vec![bit.clone(); times as usize]),
    }
}

/// Whether any of some single bits is one.
pub fn any(bits: &[Expr]) -> Expr {
    concat(bits).any()
}
