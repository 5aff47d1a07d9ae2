//! Models that the program carries.

/// A built-in model with labelled samples.
pub struct Builtin {
    /// Name on the command line.
    pub name: &'static str,
    /// Model file name.
    pub file: &'static str,
    /// Model file.
    pub model: &'static [u8],
    /// Samples (`input`, `label`, `output0`) as `.npz`.
    pub samples: &'static [u8],
    /// Class names, one per line.
    pub labels: &'static str,
}

/// The forest-fire-risk classifier that this project trained itself (`testdata/fire-risk`).
pub const FIRE_RISK: Builtin = Builtin {
    name: "fire-risk",
    file: "fire_risk_int8.tflite",
    model: include_bytes!("../../testdata/fire-risk/fire_risk_int8.tflite"),
    samples: include_bytes!("../../testdata/fire-risk/samples.npz"),
    labels: include_str!("../../testdata/fire-risk/labels.txt"),
};

/// All built-in models.
pub const ALL: [&Builtin; 1] = [&FIRE_RISK];

/// The built-in model called `name`.
pub fn find(name: &str) -> Option<&'static Builtin> {
    ALL.into_iter().find(|b| b.name == name)
}
