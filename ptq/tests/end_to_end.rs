//! A small float network, quantized as a whole.

mod support;

use macforge_model::onnx::{OnnxAttribute, OnnxGraph};
use macforge_numeric::MulAdd;
use macforge_ptq::policy::PolicyFile;
use macforge_ptq::prepare::{equalize, prepare};
use macforge_ptq::{LayerReport, Monitor, Options, PtqError, Quantization, Session, Silent};
use macforge_quant::QOp;
use support::{OPTIONS, data, network, quantize};

fn output_sqnr(mut done: Quantization) -> f64 {
    done.evaluate(&data(24, 3), &mut Silent).unwrap();
    let evaluation = done.report.evaluation.unwrap();
    evaluation.outputs.sqnr_db.unwrap()
}

fn layer<'r>(done: &'r Quantization, name: &str) -> &'r LayerReport {
    let found = done.report.layers.iter().find(|l| l.name == name);
    found.unwrap_or_else(|| panic!("no layer {name}"))
}

fn float_outputs(graph: &OnnxGraph) -> Vec<f32> {
    let session = Session::new(graph).unwrap();
    let outputs = data(8, 1).samples.into_iter().flat_map(|sample| {
        let given = sample.iter().map(|(n, v)| (n.as_str(), v));
        session.run(given, &["y"]).unwrap()["y"]
            .iter()
            .copied()
            .collect::<Vec<_>>()
    });
    outputs.collect()
}

/// The float library wants windows spelled out.
fn windows(graph: &mut OnnxGraph) {
    for node in graph.nodes.iter_mut().filter(|n| n.op_type == "Conv") {
        for name in ["strides", "dilations"] {
            node.attributes
                .insert(name.into(), OnnxAttribute::Ints(vec![1, 1]));
        }
    }
}

#[test]
fn preparation_and_equalisation_do_not_change_what_is_computed() {
    let mut graph = network();
    windows(&mut graph);
    let before = float_outputs(&graph);
    prepare(&mut graph).unwrap();
    let ops: Vec<&str> = graph.nodes.iter().map(|n| n.op_type.as_str()).collect();
    assert!(!ops.contains(&"BatchNormalization"), "{ops:?}");
    let folded = float_outputs(&graph);
    // the second convolution's input is read by the addition as well: no pair there
    assert_eq!(equalize(&mut graph), 0);
    for (a, b) in before.iter().zip(&folded) {
        assert!((a - b).abs() < 1e-4 * a.abs().max(1.0), "{a} {b}");
    }
}

#[test]
fn equalisation_evens_out_channels_of_a_chain() {
    let mut graph = network();
    // without the residual path the two convolutions are a pair
    graph.nodes[5].inputs[0] = "c2".into();
    graph.nodes.remove(4);
    windows(&mut graph);
    let before = float_outputs(&graph);
    prepare(&mut graph).unwrap();
    assert_eq!(equalize(&mut graph), 1);
    for (a, b) in before.iter().zip(&float_outputs(&graph)) {
        assert!((a - b).abs() < 1e-4 * a.abs().max(1.0), "{a} {b}");
    }
    let largest = |name: &str, of: &dyn Fn(usize) -> usize| {
        let values = graph.initializers[name].data.as_f32().unwrap();
        let mut largest = [0f32; 8];
        for (i, v) in values.iter().enumerate() {
            largest[of(i)] = largest[of(i)].max(v.abs());
        }
        largest
    };
    let first = largest("w1", &|i| i / 27);
    let second = largest("w2", &|i| i / 9 % 8);
    for (a, b) in first.iter().zip(&second) {
        assert!((a - b).abs() < 1e-3 * a, "{first:?} {second:?}");
    }
}

#[test]
fn eight_bits_stay_close_to_float_and_four_bits_less_so() {
    let eight = output_sqnr(quantize("").unwrap());
    let four = output_sqnr(quantize("[default]\nweights = { bits = 4 }").unwrap());
    let two = output_sqnr(quantize("[default]\nweights = { bits = 2 }").unwrap());
    assert!(
        eight > 28.0 && eight > four + 5.0 && four > two + 3.0,
        "{eight} {four} {two}"
    );
}

#[test]
fn every_option_gives_a_network_that_works() {
    for (policy, least) in [
        ("[default]\nweights = { granularity = \"tensor\" }", 25.0),
        (
            "[default]\nweights = { granularity = \"group\", group_size = 3 }",
            25.0,
        ),
        ("[default]\nweights = { scheme = \"asymmetric\" }", 25.0),
        ("[default]\nactivations = { scheme = \"symmetric\" }", 22.0),
        ("[default]\nactivations = { calibrator = \"kl\" }", 5.0),
        ("[default]\nactivations = { calibrator = \"mse\" }", 25.0),
        ("[default]\npower_of_two = true", 18.0),
        ("[default]\nbias_correction = true\nequalize = true", 28.0),
        (
            "[default]\nactivations = { bits = 4 }\n[[layer]]\nmatch = \"x\"\nactivations = { bits = 8 }",
            8.0,
        ),
        ("[default]\nactivations = { bits = 4 }", 5.0),
    ] {
        let found = output_sqnr(quantize(policy).unwrap());
        assert!(found > least, "{policy}: {found} dB");
    }
}

#[test]
fn bias_correction_takes_out_the_mean_error() {
    let four = "[default]\nweights = { bits = 4, granularity = \"tensor\" }\n";
    let plain = output_sqnr(quantize(four).unwrap());
    let corrected = output_sqnr(quantize(&format!("{four}bias_correction = true")).unwrap());
    assert!(corrected > plain + 0.2, "{plain} {corrected}");
}

#[test]
fn narrow_weights_and_activations_keep_to_their_range() {
    let policy = "[default]\nweights = { bits = 4 }\nactivations = { bits = 4 }\n\
                  [[layer]]\nmatch = \"x\"\nactivations = { bits = 8 }";
    let done = quantize(policy).unwrap();
    let graph = done.graph.as_ref().unwrap();
    let mut seen = 0;
    for node in &graph.nodes {
        if let QOp::Conv2d(conv) = &node.op {
            assert!(conv.weights.iter().all(|w| (-7..=7).contains(w)));
            assert!(
                conv.requant
                    .iter()
                    .all(|r| r.clamp.lo >= -8 && r.clamp.hi <= 7)
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 2);
    let ranges = graph.value_ranges().unwrap();
    let produced = graph
        .nodes
        .iter()
        .filter(|n| !matches!(n.op, QOp::Quantize | QOp::Dequantize));
    for node in produced {
        let range = ranges[node.output.0];
        assert!(range.lo >= -8 && range.hi <= 7, "{}: {range}", node.name);
    }
}

#[test]
fn additions_can_be_built_as_one_multiply_add() {
    for policy in ["", "[default]\nactivations = { calibrator = \"mse\" }"] {
        let done = quantize(policy).unwrap();
        let rules = done
            .graph
            .as_ref()
            .unwrap()
            .nodes
            .iter()
            .filter_map(|n| match &n.op {
                QOp::Binary(rule) => Some(*rule),
                _ => None,
            });
        let rules: Vec<_> = rules.collect();
        assert_eq!(rules.len(), 1);
        assert!(MulAdd::solve(&rules[0]).is_ok());
    }
}

#[test]
fn saturation_is_told_from_rounding() {
    let saturated = |policy: &str| {
        let done = quantize(policy).unwrap();
        let error = layer(&done, "conv2").activations.as_ref().unwrap().error;
        (error.saturated_share, error.saturation, error.rounding)
    };
    let (share, saturation, rounding) = saturated("");
    assert_eq!((share, saturation), (0.0, 0.0));
    assert!(rounding > 0.0);
    let clipped = "[default]\nactivations = { calibrator = \"percentile\", percentile = 95.0 }";
    let (share, saturation, _) = saturated(clipped);
    assert!(
        (share - 0.05).abs() < 0.01 && saturation > 0.0,
        "{share} {saturation}"
    );
}

#[test]
fn the_report_tells_ranges_and_accumulated_error() {
    let done = quantize("").unwrap();
    let names: Vec<&str> = done.report.layers.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(
        names,
        ["x", "conv1", "conv2", "add", "pool", "flatten", "fc"]
    );
    let conv = layer(&done, "conv1");
    assert_eq!(conv.op, "Conv+Relu");
    let activations = conv.activations.as_ref().unwrap();
    assert_eq!(activations.represented[0], 0.0);
    assert!(activations.outlier_share > 0.0 && activations.outlier_share < 0.05);
    for name in ["x", "conv1", "conv2", "add", "pool", "fc"] {
        let accumulated = layer(&done, name).accumulated.expect(name);
        assert!(
            accumulated.sqnr_db.unwrap() > 25.0,
            "{name}: {accumulated:?}"
        );
    }
}

#[test]
fn two_runs_give_the_same_bytes() {
    let policy = "[default]\nweights = { bits = 4, calibrator = \"mse\" }\nbias_correction = true";
    let [a, b] = [quantize(policy).unwrap(), quantize(policy).unwrap()];
    assert_eq!(a.onnx.to_bytes().unwrap(), b.onnx.to_bytes().unwrap());
    assert_eq!(a.report, b.report);
}

#[test]
fn a_float_layer_at_the_end_is_left_to_the_host() {
    let done = quantize("[[layer]]\nmatch = \"fc\"\nfloat = true").unwrap();
    assert_eq!(done.report.outside, ["fc"]);
    let graph = done.graph.as_ref().unwrap();
    assert!(
        !graph
            .nodes
            .iter()
            .any(|n| matches!(n.op, QOp::FullyConnected(_)))
    );
    assert!(output_sqnr(done) > 28.0);
}

#[test]
fn a_float_layer_in_the_middle_is_refused() {
    let error = quantize("[[layer]]\nmatch = \"conv2\"\nfloat = true")
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("conv2") && error.contains("`add`"),
        "{error}"
    );
}

#[test]
fn narrow_inputs_fill_their_container_and_are_cut_inside() {
    let done = quantize("[default]\nactivations = { bits = 4 }").unwrap();
    let graph = done.graph.as_ref().unwrap();
    let ranges = graph.value_ranges().unwrap();
    let conv = graph.nodes.iter().find(|n| matches!(n.op, QOp::Conv2d(_)));
    let input = conv.expect("the model has a convolution").inputs[0];
    assert!(!graph.inputs.contains(&input));
    let range = ranges[input.0];
    assert!(range.lo >= -8 && range.hi <= 7, "{range}");
}

#[test]
fn weights_only_leaves_activations_float() {
    let mut done = quantize("[default]\nweights = { bits = 4 }\nweights_only = true").unwrap();
    assert!(done.graph.is_none());
    let ops: Vec<&str> = done.onnx.nodes.iter().map(|n| n.op_type.as_str()).collect();
    assert!(
        !ops.contains(&"QuantizeLinear") && ops.contains(&"DequantizeLinear"),
        "{ops:?}"
    );
    done.evaluate(&data(10, 5), &mut Silent).unwrap();
    assert!(done.report.evaluation.unwrap().outputs.sqnr_db.unwrap() > 10.0);
}

#[test]
fn a_quantized_model_is_not_quantized_again() {
    let done = quantize("").unwrap();
    let again = Quantization::new(
        done.onnx,
        &PolicyFile::default(),
        &data(2, 1),
        OPTIONS,
        &mut Silent,
    );
    let error = again.err().unwrap().to_string();
    assert!(error.contains("quantized already"), "{error}");
}

#[test]
fn sensitivity_ranks_layers_and_suggests_a_policy() {
    let options = Options {
        sensitivity: true,
        ..OPTIONS
    };
    let (policy, data) = (PolicyFile::default(), data(24, 3));
    let done = Quantization::new(network(), &policy, &data, options, &mut Silent).unwrap();
    for name in ["conv1", "conv2", "add", "fc"] {
        let alone = layer(&done, name).sensitivity.expect(name);
        assert!(
            alone.output_sqnr_db.is_some_and(|db| db > 25.0),
            "{name}: {alone:?}"
        );
    }
    assert!(layer(&done, "flatten").sensitivity.is_none());
    let suggestion = done.suggest(&data, &mut Silent).unwrap();
    assert_eq!(suggestion.candidates.len(), 3);
    assert!(
        suggestion
            .candidates
            .is_sorted_by(|a, b| a.noise <= b.noise)
    );
    assert_eq!(suggestion.policy.layer.len(), suggestion.taken);
    let again = Quantization::new(network(), &suggestion.policy, &data, OPTIONS, &mut Silent);
    assert!(again.is_ok());
}

/// Stops after some steps.
struct Stop(usize);

impl Monitor for Stop {
    fn stage(&mut self, _: &str, _: usize) {}
    fn step(&mut self) -> bool {
        self.0 -= 1;
        self.0 > 0
    }
}

#[test]
fn the_monitor_can_stop_the_work_at_any_step() {
    for steps in [1, 30, 60, 80] {
        let policy = PolicyFile::parse("p", "[default]\nbias_correction = true").unwrap();
        let done = Quantization::new(network(), &policy, &data(24, 3), OPTIONS, &mut Stop(steps));
        assert!(matches!(done.err(), Some(PtqError::Cancelled)), "{steps}");
    }
}

#[test]
fn bad_data_are_refused() {
    let empty = data(0, 1);
    let none = Quantization::new(
        network(),
        &PolicyFile::default(),
        &empty,
        OPTIONS,
        &mut Silent,
    );
    assert!(none.err().unwrap().to_string().contains("no samples"));
    let mut nan = data(2, 1);
    nan.samples[1].get_mut("x").unwrap()[[0, 0, 0, 0]] = f32::NAN;
    let none = Quantization::new(
        network(),
        &PolicyFile::default(),
        &nan,
        OPTIONS,
        &mut Silent,
    );
    assert!(none.err().unwrap().to_string().contains("no number"));
}
