//! Policy files: what they say, and what is refused with which words.

use macforge_ptq::PtqError;
use macforge_ptq::calibrate::Calibrator;
use macforge_ptq::policy::{Granularity, LayerName, PolicyFile, Resolved};

fn layers() -> Vec<LayerName> {
    let named = |(name, alias): (&str, &str)| LayerName {
        name: name.into(),
        aliases: vec![alias.into()],
    };
    [("conv1", "relu1"), ("conv2", "relu2"), ("fc", "logits")]
        .map(named)
        .to_vec()
}

fn resolve(text: &str) -> Result<Resolved, PtqError> {
    PolicyFile::parse("p.toml", text)?.resolve(&layers())
}

fn refusal(text: &str) -> String {
    resolve(text).expect_err(text).to_string()
}

#[test]
fn without_a_file_everything_has_eight_bits() {
    let policy = resolve("").unwrap();
    for layer in policy.layers.values() {
        assert_eq!((layer.weights.bits, layer.activations.bits), (8, 8));
        assert_eq!(layer.weights.granularity, Granularity::Channel);
        assert!(!layer.float);
    }
}

#[test]
fn later_entries_win_and_missing_keys_keep_their_value() {
    let policy = resolve(
        r#"
        [default]
        weights = { bits = 4, calibrator = "mse" }
        activations = { calibrator = "percentile", percentile = 99.99 }
        [[layer]]
        match = "conv*"
        weights = { bits = 2 }
        bias_correction = true
        [[layer]]
        match = "relu2"
        weights = { bits = 8 }
        "#,
    )
    .unwrap();
    let [one, two, fc] = ["conv1", "conv2", "fc"].map(|n| policy.layers[n]);
    assert_eq!(
        [one.weights.bits, two.weights.bits, fc.weights.bits],
        [2, 8, 4]
    );
    assert_eq!(two.weights.calibrator, Calibrator::Mse);
    assert!(one.bias_correction && two.bias_correction && !fc.bias_correction);
    assert_eq!(fc.activations.calibrator, Calibrator::Percentile(99.99));
}

#[test]
fn unknown_keys_are_refused_and_the_known_ones_listed() {
    let text = refusal("[default]\nweight = { bits = 8 }\n");
    assert!(
        text.contains("`weight`") && text.contains("`weights`"),
        "{text}"
    );
    assert!(text.contains("line 2"), "{text}");
    let text = refusal("[[layer]]\nmatch = \"fc\"\nweights = { bit = 8 }\n");
    assert!(text.contains("`bit`") && text.contains("`bits`"), "{text}");
    let text = refusal("[default]\nactivations = { calibrator = \"entropy\" }\n");
    assert!(text.contains("entropy") && text.contains("kl"), "{text}");
}

#[test]
fn what_the_integer_path_cannot_do_is_refused_with_a_remedy() {
    for (text, words) in [
        (
            "[default]\nweights = { bits = 16, scheme = \"asymmetric\" }",
            "default.weights.scheme: 16 bits with a zero point",
        ),
        (
            "[default]\nactivations = { bits = 16, calibrator = \"kl\" }",
            "set calibrator to minmax, percentile or mse",
        ),
        (
            "[default]\nactivations = { bits = 3 }",
            "set bits to 2, 4, 8 or 16",
        ),
        (
            "[default]\nactivations = { granularity = \"channel\" }",
            "set granularity = \"tensor\"",
        ),
        (
            "[default]\nweights = { granularity = \"group\" }",
            "group_size",
        ),
        (
            "[default]\nweights = { group_size = 4 }",
            "granularity = \"group\"",
        ),
        (
            "[default]\nweights = { percentile = 99.0 }",
            "calibrator = \"percentile\"",
        ),
        (
            "[default]\nweights = { calibrator = \"percentile\", percentile = 101.0 }",
            "up to 100",
        ),
        ("[[layer]]\nmatch = \"pool*\"", "conv1, conv2, fc"),
    ] {
        let found = refusal(text);
        assert!(found.contains(words), "{text}: {found}");
    }
}

#[test]
fn a_policy_survives_its_own_toml() {
    let text = r#"
        [default]
        weights = { bits = 4, granularity = "group", group_size = 8 }
        equalize = true
        [[layer]]
        match = "fc"
        float = true
    "#;
    let policy = PolicyFile::parse("p.toml", text).unwrap();
    let again = PolicyFile::parse("p.toml", &policy.to_toml()).unwrap();
    assert_eq!(policy, again);
}
