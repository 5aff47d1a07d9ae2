//! The deliberate faults.

/// The design that is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Base {
    /// int8 streams.
    Int8,
    /// float32 streams.
    Float,
    /// Depthwise layers, several segments per word.
    Depthwise,
    /// A recurrent layer and softmax, in two precisions.
    Lstm,
    /// A sum with pairs that are off by one.
    Pairs,
    /// A recurrent layer with FP16 state.
    Fp16Lstm,
    /// Lanes with constants at product scale.
    Staircase,
    /// Weights from memory through three ports.
    Memory,
    /// The same, with several parameter words in a word of the stream.
    Constants,
    /// A recurrent layer with weights from memory.
    LstmMemory,
    /// Operators of two tensors.
    Tensors,
    /// Two precisions.
    Precisions,
    /// Two precisions with weights from memory.
    PrecisionsMemory,
    /// int16 values.
    Wide,
    /// Weights of 8, 4 and 2 bits on chip.
    Narrow,
    /// Four products per DSP.
    Quads,
    /// Activations in memory.
    Spill,
}

/// One change of one file.
pub enum Change {
    /// `old` stands exactly `times` times in `rtl/<file>.v` and becomes `new`.
    Text {
        file: &'static str,
        times: usize,
        old: &'static str,
        new: &'static str,
    },
    /// A bit of `mem/<image>.mem`, counted from the right end of the line.
    Bit {
        image: &'static str,
        line: usize,
        bit: usize,
    },
    /// A bit of a field of a layer's program word.
    Field {
        layer: usize,
        field: &'static str,
        bit: usize,
    },
}

/// A fault.
pub struct Mutant {
    /// What is wrong.
    pub name: &'static str,
    /// Where.
    pub base: Base,
    /// How.
    pub change: Change,
}

/// A text that stands once in a file of `base` becomes another one.
const fn text(
    base: Base,
    name: &'static str,
    file: &'static str,
    [old, new]: [&'static str; 2],
) -> Mutant {
    Mutant {
        name,
        base,
        change: Change::Text {
            file,
            times: 1,
            old,
            new,
        },
    }
}

const fn int8(
    name: &'static str,
    file: &'static str,
    old: &'static str,
    new: &'static str,
) -> Mutant {
    text(Base::Int8, name, file, [old, new])
}

const fn float(
    name: &'static str,
    file: &'static str,
    old: &'static str,
    new: &'static str,
) -> Mutant {
    text(Base::Float, name, file, [old, new])
}

const fn depthwise(
    name: &'static str,
    file: &'static str,
    old: &'static str,
    new: &'static str,
) -> Mutant {
    text(Base::Depthwise, name, file, [old, new])
}

const fn memory(
    name: &'static str,
    file: &'static str,
    old: &'static str,
    new: &'static str,
) -> Mutant {
    text(Base::Memory, name, file, [old, new])
}

const fn spill(
    name: &'static str,
    file: &'static str,
    old: &'static str,
    new: &'static str,
) -> Mutant {
    text(Base::Spill, name, file, [old, new])
}

const fn lstm_memory(
    name: &'static str,
    file: &'static str,
    old: &'static str,
    new: &'static str,
) -> Mutant {
    text(Base::LstmMemory, name, file, [old, new])
}

const fn narrow(
    name: &'static str,
    file: &'static str,
    old: &'static str,
    new: &'static str,
) -> Mutant {
    text(Base::Narrow, name, file, [old, new])
}

const fn quads(
    name: &'static str,
    file: &'static str,
    old: &'static str,
    new: &'static str,
) -> Mutant {
    text(Base::Quads, name, file, [old, new])
}

const fn tensors(
    name: &'static str,
    file: &'static str,
    old: &'static str,
    new: &'static str,
) -> Mutant {
    text(Base::Tensors, name, file, [old, new])
}

const fn wide(
    name: &'static str,
    file: &'static str,
    old: &'static str,
    new: &'static str,
) -> Mutant {
    text(Base::Wide, name, file, [old, new])
}

const fn lstm(
    name: &'static str,
    file: &'static str,
    old: &'static str,
    new: &'static str,
) -> Mutant {
    text(Base::Lstm, name, file, [old, new])
}

const fn staircase(name: &'static str, old: &'static str, new: &'static str) -> Mutant {
    text(Base::Staircase, name, "requant_lane", [old, new])
}

const fn pairs(name: &'static str, old: &'static str, new: &'static str) -> Mutant {
    text(Base::Pairs, name, "pair_exceptions", [old, new])
}

const fn fp16_lstm(
    name: &'static str,
    file: &'static str,
    old: &'static str,
    new: &'static str,
) -> Mutant {
    text(Base::Fp16Lstm, name, file, [old, new])
}

const fn lstm_bit(name: &'static str, image: &'static str, line: usize, bit: usize) -> Mutant {
    Mutant {
        name,
        base: Base::Lstm,
        change: Change::Bit { image, line, bit },
    }
}

const fn bit(name: &'static str, image: &'static str, line: usize, bit: usize) -> Mutant {
    Mutant {
        name,
        base: Base::Int8,
        change: Change::Bit { image, line, bit },
    }
}

const fn field(name: &'static str, layer: usize, field: &'static str, bit: usize) -> Mutant {
    Mutant {
        name,
        base: Base::Int8,
        change: Change::Field { layer, field, bit },
    }
}

/// Bits of a lane's bias; the multiplier (31) and the shift (6) follow.
const BIAS: usize = 25;

/// Line of the weight image that belongs to the first depthwise layer: behind the 9 steps of five tiles
/// of the convolution before it.
const DEPTHWISE_WEIGHT: usize = 50;

/// All faults. Where a term is switched off, `& 1'b0` keeps its signal in use, so that the mutant
/// lints like the original.
#[rustfmt::skip]
pub const MUTANTS: &[Mutant] = &[
    spill(
        "a row does not fill its last burst",
        "activation_writer",
        "filling_q <= word_end && stored_row_end && !burst_end;",
        "filling_q <= 1'b0;",
    ),
    spill(
        "what fills a row is taken for words",
        "activation_reader",
        "else filling_q <= word_comes && row_end && !rlast;",
        "else filling_q <= 1'b0;",
    ),
    spill(
        "an input begins anew when all of it is written so far",
        "activation_port",
        "writer_idle && !in_begun_q && !in_valid",
        "writer_idle && !in_valid",
    ),
    spill(
        "words come whether there is room or not",
        "activation_writer",
        "assign room = words <= MOST[6:0];",
        "assign room = words <= MOST[6:0] || 1'b1;",
    ),
    spill(
        "a burst is asked for before all of it is there",
        "activation_writer",
        "!awvalid_q && whole_q != 0 && !stop",
        "!awvalid_q && beats != 0 && !stop",
    ),
    spill(
        "wlast one beat early",
        "activation_writer",
        "assign wlast  = sent_q == 4'd15;",
        "assign wlast  = sent_q == 4'd14;",
    ),
    spill(
        "all rows of a region are one",
        "region_walk",
        ".row_end(last_col),",
        ".row_end(1'b0),",
    ),
    spill(
        "a pixel's channel words are one",
        "region_walk",
        "plane_q <= pixel_end ? {AW{1'b0}} : plane_q + plane;",
        "plane_q <= {AW{1'b0}};",
    ),
    // requantizer, residual add
    int8("requantizer without its rounding constant", "requant_lane",
        "{{2{zero_point[7]}}, zero_point, 1'b1}", "{{2{zero_point[7]}}, zero_point, 1'b0}"),
    int8("first rounding does not follow the sign", "requant_lane",
        "{12{(negative_q & special2_q)}}", "{12{(negative_q & special2_q & 1'b0)}}"),
    int8("first rounding is left out", "requant_lane",
        "special_q <= double_round;", "special_q <= double_round & 1'b0;"),
    int8("half of the multiplier counts one bit less", "requant_lane",
        "lo_sum_q[42:17]});", "{lo_sum_q[42], lo_sum_q[42:18]}});"),
    int8("overflow below counts as overflow above", "requant_lane",
        "far_below_q <= over_q & h_negative_q", "far_below_q <= over_q & (~h_negative_q)"),
    int8("upper clamp is not applied", "requant_lane",
        "(above_q ? clamp_hi : byte_q)", "((above_q & 1'b0) ? clamp_hi : byte_q)"),
    int8("saturation counts activation clamps", "requant_lane",
        "& (~lower_is_activation)", "& (lower_is_activation)"),
    int8("residual add without rounding", "macforge_top",
        ".add_offset(f_add_offset)", ".add_offset(f_add_offset - 36'sd262144)"),
    int8("sign bit of the addend is added, not subtracted", "add_lane",
        "high3_q[29:3] - {high_term3[25], high_term3}", "high3_q[29:3] + {high_term3[25], high_term3}"),
    int8("residual address one cycle late", "drain",
        ".STAGES(TO_ADD_IN-4)) u_addr", ".STAGES(TO_ADD_IN-3)) u_addr"),

    // lanes with constants at product scale
    staircase("the constant at product scale is left out",
        "fraction2_q, 15'd0", "fraction2_q & 16'd0, 15'd0"),
    staircase("the constant at product scale counts half",
        "{12'd0, fraction2_q, 15'd0}", "{13'd0, fraction2_q, 14'd0}"),
    staircase("the constant at product scale is the next channel's",
        "fraction2_q <= fraction_q;", "fraction2_q <= fraction_q ^ fraction_q ^ bias[15:0];"),

    // pairs that are off by one
    pairs("a pair of the list is an ordinary one",
        "pairs[e*18+17] &&", "pairs[e*18+17] && 1'b0 &&"),
    pairs("an unused entry counts",
        "pairs[e*18+17] &&", "(pairs[e*18+17] || 1'b1) &&"),
    pairs("the second operand of a pair is not looked at",
        "pairs[e*18 +: 16] == {a, b}", "(pairs[e*18 +: 16] | 16'h00ff) == {a, b | 8'hff}"),
    pairs("one is added where one is taken off",
        "|up ? offset_up : |down ? offset_down", "|(up | down) ? offset_up : |down ? offset_down"),

    // int16 values
    wide("sums of high bytes count once", "mac_column",
        "shift[0] ? wide0 <<< UNIT : wide0", "shift[0] && clear ? wide0 <<< UNIT : wide0"),
    wide("sums of two high bytes count 256 times", "mac_column",
        "shift[1] ? wide1 <<< (2*UNIT)", "shift[1] ? wide1 <<< UNIT"),
    wide("the shift belongs to the step before", "dot_array",
        ".STAGES(BEFORE_ACC)) u_shift", ".STAGES(BEFORE_ACC+1)) u_shift"),
    wide("low bytes outside of the image are those of 128", "feeder",
        "low_late ? 8'h80 : pad_value", "pad_value"),
    wide("low bytes outside of the image come one step late", "feeder",
        ".STAGES(5)) u_low", ".STAGES(6)) u_low"),
    wide("low bytes of folded columns outside of the image are those of 128", "input_folded",
        "span_row_q[0]) ? 8'h80", "span_row_q[0]) ? 8'h00"),
    wide("both bytes of a result are the high one", "drain_unit",
        ".half(half)", ".half({1'b0, |half})"),
    wide("sums of more than 25 bits are cut off", "drain_unit",
        ".wide(wide)", ".wide(wide && phase != phase)"),
    wide("the low byte is not relabelled", "requant_lane",
        "{(~value_q[7]), value_q[6:0]}", "{value_q[7], value_q[6:0]}"),
    wide("saturations are counted with both bytes", "requant_lane",
        "& (~half[1])", "& (half[1] | (~half[1]))"),

    // packed multiply-accumulate
    int8("upper weight at 2^16 instead of 2^17", "packed_mac",
        "$signed({w1_q, 17'd0})", "$signed({w1_q[7], w1_q, 16'd0})"),
    int8("lane split without the carry of the low lane", "lane_split",
        "one = 19'b1", "one = 19'b0"),
    int8("accumulator is not cleared after the last step", "mac_column",
        "clear || acc_last", "clear"),
    int8("weights of a chain are skewed by one too many", "dot_array",
        ".STAGES(SKEW)) u_weight", ".STAGES(SKEW+1)) u_weight"),
    int8("accumulator flags one cycle late", "dot_array",
        "(CHAIN - 1) + 1 + LEVELS;", "(CHAIN - 1) + 2 + LEVELS;"),

    // four products per DSP
    quads("upper weight at 2^19 instead of 2^20", "quad_mac",
        "$signed({w1_q[3], w1_q, 20'd0})", "$signed({w1_q[3], w1_q[3], w1_q, 19'd0})"),
    quads("the upper activation without the borrow of the lower one", "quad_operand",
        "negative = a0[3];", "negative = a0[3] & a1[3];"),
    quads("a borrow does not reach the sign", "quad_operand",
        "sign = a1[3] ^ borrow3;", "sign = a1[3];"),
    quads("chains begin without half a field", "quad_column",
        "cascade[47:0] = START;", "cascade[47:0] = {START[47:20], 20'd0};"),
    quads("the half of the third field is not taken off", "quad_split",
        "(p[29:20] ^ 10'h200)", "(p[29:20])"),
    quads("the highest field loses its sign", "quad_split",
        "$signed(p[39:30])", "$signed({1'b0, p[38:30]})"),
    quads("sums of both pixels of the lower weight are exchanged", "quad_column",
        "{w1a1, w0a1, w1a0, w0a0}", "{w1a1, w0a0, w1a0, w0a1}"),
    quads("the high nibble of an activation", "nibbles",
        "bytes[i*8 +: 4]", "bytes[i*8+4 +: 4]"),
    quads("unsigned activations keep their offset", "nibbles",
        "^ {invert, 3'd0}", "^ {invert & bytes[i*8], 3'd0}"),
    quads("high parts of activations do not count sixteenfold", "quad_column",
        "acc_high ? wide <<< 4 : wide", "acc_high ? wide <<< 3 : wide"),
    quads("layers of one pass take the high parts", "feeder",
        ".in(two_passes && !pass_q)", ".in(!pass_q)"),
    quads("high parts count before they are in the sum", "dot_array",
        ".STAGES(BEFORE_ACC)) u_shift", ".STAGES(BEFORE_ACC-1)) u_shift"),
    quads("a running sum goes on in the next tile", "quad_column",
        "clear || acc_last", "clear"),
    Mutant {
        name: "a layer's activations are taken for signed ones",
        base: Base::Quads,
        change: Change::Field { layer: 1, field: "invert", bit: 0 },
    },

    // feeder
    int8("pad value off by one", "feeder",
        "{IC{outside}}", "{IC{outside ^ 8'h01}}"),
    int8("rotator takes the neighbour's bank", "feeder",
        ".select(rot_bank[i*RW +: RW])", ".select(rot_bank[((i+1)%P)*RW +: RW])"),
    int8("rotator ignores the channel chunk", "feeder",
        ".select(rot_sub)", ".select(rot_sub & {SUBW{1'b0}})"),
    int8("two lanes meet in a bank", "lane_agu",
        ".rem(lane_rem), .delta(kernel_rem)", ".rem(lane_rem == 1 ? {RW{1'b0}} : lane_rem), .delta(kernel_rem)"),
    int8("bank carry of a lane is dropped", "lane_agu",
        "{{(AW-1){1'b0}}, rem_carry}", "{{(AW-1){1'b0}}, rem_carry & 1'b0}"),
    int8("bank carry of a kernel column is dropped", "feeder",
        "kernel_quot_q + step_x_quot + {{(AW-1){1'b0}}, rem_carry}",
        "kernel_quot_q + step_x_quot + {{(AW-1){1'b0}}, rem_carry & 1'b0}"),
    int8("one row below the image counts as inside", "lane_agu",
        "(iy_q < height)", "(iy_q <= height)"),
    int8("one column beside the image counts as inside", "lane_agu",
        "(ix_q < width)", "(ix_q <= width)"),
    int8("a row wraps one pixel late", "lane_agu",
        "$signed(next_x) >= $signed(limit_x)", "$signed(next_x) > $signed(limit_x)"),
    int8("bank P exists", "bank_step",
        "sum >= P", "sum > P"),
    depthwise("a short group does not hold", "macforge_top",
        ".hold(f_hold)", ".hold(f_hold & {NW{f_softmax}})"),
    int8("weights restart at the layer instead of the tile", "feeder",
        "!group_last) weight_addr_q <= weight_tile_q;", "!group_last) weight_addr_q <= weight_base;"),
    int8("tile_last only with the last tile", "feeder",
        "last_step, group_last, group_last && final_tile}",
        "last_step, group_last && final_tile, group_last && final_tile}"),

    // pooling
    int8("maximum starts with the window before", "channel_array",
        "(max_mode && !acc_first) ?", "max_mode ?"),
    int8("average of one lane instead of all", "channel_array",
        "(p == 0 && reduce) ?", "(p == 0 && reduce && acc_first) ?"),
    int8("maximum becomes minimum", "pool_max",
        "less = a < b", "less = b < a"),

    // depthwise convolution
    depthwise("first product added to the window before", "channel_array",
        "clear || last_before", "clear"),
    depthwise("carry of the product is dropped", "channel_array",
        "assign carry = carries[C-1:0];", "assign carry = carries[C-1:0] & {C{reduce}};"),
    depthwise("weight bit 6 is dropped", "channel_array",
        "weight_q <= weighted ? weight :", "weight_q <= weighted ? weight & {C{8'hbf}} :"),
    depthwise("highest digit of a weight is never negative", "channel_mul",
        "{9{w[7]}}", "{9{w[7] & 1'b0}}"),
    depthwise("all channels have the first one's weight", "channel_array",
        ".w(weight_q[c*8 +: 8])", ".w(weight_q[(c&0)*8 +: 8])"),
    depthwise("pooling multiplies by the weights", "channel_array",
        "weighted ? weight : {C{8'd1}}", "(weighted || 1'b1) ? weight : {C{8'd1}}"),
    depthwise("accumulator flags of the channel array one cycle late", "channel_array",
        "HAS_WEIGHTS ? 3 : 0", "HAS_WEIGHTS ? 4 : 0"),
    depthwise("all tiles read the first word", "feeder",
        "if (group_end && group_last) chunk_addr_q", "if (group_end && group_last && start) chunk_addr_q"),
    depthwise("all channels have the first one's requantizer", "drain",
        "shared_params ? param_q", "(shared_params || !draining_q || 1'b1) ? param_q"),
    depthwise("a row of drained pixels wraps one late", "drain_walker",
        "next_col >= enum_cols", "next_col > enum_cols"),
    depthwise("the drained pixels advance without their carry", "drain_walker",
        "{{(AW-1){1'b0}}, carry}", "{{(AW-1){1'b0}}, carry & restart}"),
    Mutant {
        name: "a depthwise weight",
        base: Base::Depthwise,
        change: Change::Bit { image: "weights", line: DEPTHWISE_WEIGHT, bit: 3 },
    },

    // recurrent layer
    lstm("the input's sum goes on in the hidden state's", "lstm_gates",
        "(sum_first ? 32'sd0 : acc_q)", "(sum_first && !sum_hidden ? 32'sd0 : acc_q)"),
    lstm("scaling adds a quarter instead of a half", "lstm_scale",
        "half = (32'd1 << places) >> 1;", "half = (32'd1 << places) >> 2;"),
    lstm("the input's part of a gate is not cut", "lstm_unit",
        "own_q        <= own_over ?", "own_q        <= own_over && first_step && !first_step ?"),
    lstm("the forget gate forgets nothing at once", "lstm_unit",
        "keep_q    <= forget_gate_q * cell_old;", "keep_q    <= {forget_gate_q[15:8], 8'd0} * cell_old;"),
    lstm("the cell state of the inference before", "lstm_unit",
        "cell_old = first_step ? 16'sd0", "cell_old = first_step && rst ? 16'sd0"),
    lstm("the hidden state of the inference before", "lstm_unit",
        "first_step ? {K{8'd11}}", "first_step && rst ? {K{8'd11}}"),
    lstm("the hidden state of the step before", "lstm_unit",
        ".rhalf(!step_q[0])", ".rhalf(step_q[0])"),
    lstm("output gate of the next unit", "lstm_unit",
        "#(.WIDTH(16), .STAGES(10)) u_output_gate", "#(.WIDTH(16), .STAGES(1)) u_output_gate"),
    lstm("logistic function of a negative number like tanh", "lstm_activation",
        "is_logistic ? 16'h7fff - value_q", "is_logistic && !negative ? 16'h7fff - value_q"),
    lstm("tanh's blocks start where the logistic function's do", "lstm_activation",
        ".addr({fn_q, m_q[14:K]})", ".addr({fn_q & {FW{1'b0}}, m_q[14:K]})"),
    lstm("the sequence is read from one bank", "lstm_loader",
        "bank_wrap ? {RW{1'b0}} : read_bank_q + 1'b1;", "bank_wrap || 1'b1 ? {RW{1'b0}} : read_bank_q + 1'b1;"),
    lstm("hidden states are written to one bank", "lstm_writer",
        "wrap ? {RW{1'b0}} : bank_q + 1'b1;", "wrap || 1'b1 ? {RW{1'b0}} : bank_q + 1'b1;"),
    lstm("saturated hidden states are not counted", "lstm_unit",
        "hidden_ready && hidden_over)", "hidden_ready && hidden_over && rst)"),
    lstm_bit("a recurrent weight", "lstm_weights", 4, 5),
    lstm_bit("a bias of a gate", "lstm_params", 9, 10),
    lstm_bit("a multiplier of a gate", "lstm_params", 6, 32 + 27),
    lstm_bit("a bias of a gate of the second precision", "lstm_params", 8 * 5 + 9, 10),
    lstm("both precisions have the first one's hidden state and weights", "lstm_unit",
        "case (constants)", "case (constants & 1'b0)"),
    lstm("both precisions have the first one's exponentials", "softmax_unit",
        ".constants(constants)", ".constants(constants & 1'b0)"),
    Mutant {
        name: "the second precision's LSTM has the first one's number",
        base: Base::Lstm,
        change: Change::Field { layer: 3, field: "constants", bit: 0 },
    },

    // recurrent layer with FP16 state
    fp16_lstm("the candidate goes through the logistic function", "lstm_unit",
        "!cell_late_valid && gate_index != 2'd2", "!cell_late_valid"),
    fp16_lstm("an FP16 cell state of the inference before", "lstm_unit",
        "cell_old = first_step ? 16'd0", "cell_old = first_step && rst ? 16'd0"),
    fp16_lstm("what enters an FP16 cell is not added", "lstm_unit",
        ".a(kept_q), .b(product)", ".a(kept_q), .b(kept_q)"),
    fp16_lstm("half an argument has another fraction", "fp16_activation",
        "x[14:0] - 15'h0400;", "x[14:0] - 15'h0410;"),
    fp16_lstm("gates without their bias", "lstm_unit",
        "biased_q     <= sum_late + $signed(param[31:0]);", "biased_q     <= sum_late + $signed(param[31:0] & {32{rst}});"),
    fp16_lstm("FP16 sums are cut instead of rounded", "fp16_add",
        "rounded_q <= ", "rounded_q <= -15'sd1 + "),
    Mutant {
        name: "a value of tanh",
        base: Base::Fp16Lstm,
        change: Change::Bit { image: "fp16_tanh", line: 0x1200, bit: 9 },
    },
    Mutant {
        name: "an exponent of a gate",
        base: Base::Fp16Lstm,
        change: Change::Bit { image: "lstm_params", line: 3, bit: 50 },
    },

    // weights from memory
    memory("a burst is left out", "axi_reader",
        ": araddr_q + BURST_BYTES;", ": araddr_q + 2 * BURST_BYTES;"),
    memory("bursts cross pages", "axi_reader",
        "araddr_q <= {first_page, 12'd0};", "araddr_q <= {first_page, 12'd64};"),
    memory("the stream does not begin again", "axi_reader",
        "araddr_q <= final_burst ? {first_page, 12'd0} :", "araddr_q <="),
    memory("beats are taken without valid", "axi_reader",
        "beat_valid = rvalid && !stop;", "beat_valid = !stop;"),
    memory("a beat is dropped while a word waits", "weight_unpack",
        "assign beat_ready = !word_valid_q || word_ready;", "assign beat_ready = 1'b1;"),
    memory("four-bit weights without sign", "weight_unpack",
        "{{4{beat[w*4+3]}}, beat[w*4 +: 4]}", "{4'd0, beat[w*4 +: 4]}"),
    memory("a word ends one beat late", "weight_unpack",
        "reach >= BEATS[PW-1:0]", "reach > BEATS[PW-1:0]"),
    memory("CRC without its last beat", "weight_unpack",
        "data_last_q  <= block_last;", "data_last_q  <= body_q && count_q == 24'd1;"),
    memory("a place is given back before it is read", "weight_stream",
        "#(.WIDTH(1), .STAGES(5)) u_give_back", "#(.WIDTH(1), .STAGES(0)) u_give_back"),
    memory("words are given back in every pixel group", "weight_stream",
        ".in(step && group_last && !rst)", ".in(step && !rst)"),
    memory("one port's word counts for all", "weight_stream",
        "&port_ready && !stopped_q", "port_ready[0] && !stopped_q"),
    memory("a tile begins again at its second word", "weight_stream",
        "addr_q   <= rewind ? tile_addr_q : addr_next;", "addr_q   <= rewind ? tile_addr_q + 1'b1 : addr_next;"),
    memory("the ring takes a word more", "weight_ring",
        "full_q   <= stored == DEPTH[CW-1:0];", "full_q   <= stored > DEPTH[CW-1:0];"),
    memory("a tile's words are counted once", "weight_ring",
        "(rewind ? walked : {CW{1'b0}})", "(rewind && !full_q ? walked : {CW{1'b0}})"),
    memory("a step does not wait for its weights", "feeder",
        "wire issue       = running_q && !holding_q && !param_next && weights_ready;",
        "wire issue       = running_q && !holding_q && !param_next;"),
    memory("a tile's first constants are read once more", "feeder",
        "assign issue_tile = group_last || param_next;", "assign issue_tile = group_last;"),
    memory("only a layer's first tile has constants", "feeder",
        "if (start || (group_end && group_last)) begin\n                    params_q",
        "if (start) begin\n                    params_q"),
    text(Base::Constants, "the second word of constants does not wait for the first", "feeder",
        ["gap_q <= param_issue ? PARAM_GAP[GW-1:0] :", "gap_q <= param_issue ? {GW{1'b0}} :"]),
    text(Base::Constants, "constants of a word's first group of lanes only", "param_ring",
        ["complete ? whole : shifted", "complete ? whole : shift_q"]),
    memory("constants from behind those of the layer before", "param_ring",
        "write_addr_q <= 0;", "write_addr_q <= write_addr_q;"),
    memory("constants of weighted layers from the chip", "macforge_top",
        "f_param_words == 0 ? param_on_chip : param_streamed", "param_on_chip"),
    memory("pooling takes weights", "macforge_top",
        "uses_weights = !f_channel_mode || f_weighted;", "uses_weights = 1'b1;"),

    // recurrent layer with weights from memory
    lstm_memory("a part of a word one cycle early", "lstm_unit",
        ".STAGES(6)) u_part", ".STAGES(5)) u_part"),
    lstm_memory("the first part of every word", "lstm_unit",
        ".select(word_part)", ".select(word_part & {PW{rst}})"),
    lstm_memory("a word is given back with its first part", "lstm_unit",
        "weight_step = active && part_last;", "weight_step = active && part_q == 0;"),
    lstm_memory("a step goes on in the last word of the step before", "lstm_unit",
        "(unit_last && unit_q == UNITS_M1);", "(unit_last && unit_q == UNITS_M1 && rst);"),
    lstm_memory("products do not wait for their weights", "lstm_unit",
        "wanted && weights_ready &&", "wanted &&"),
    lstm_memory("units an odd number of cycles apart", "lstm_unit",
        "(!unit_last ||", "(!unit_last || wanted ||"),
    lstm_memory("operands one cycle ahead of their weights", "lstm_unit",
        ".STAGES(4)) u_late", ".STAGES(3)) u_late"),
    lstm_memory("an LSTM's words stay in the ring", "macforge_top",
        ".group_last(issue_tile || lstm_step)", ".group_last(issue_tile)"),

    // narrow weights on chip
    narrow("every step takes the low half of a word", "weight_widen",
        "high ? all[7:4] : all[3:0]", "(high & 1'b0) ? all[7:4] : all[3:0]"),
    narrow("every step takes the low quarter of a half", "weight_widen",
        "part_late[0] ? half[3:2] : half[1:0]", "(part_late[0] & 1'b0) ? half[3:2] : half[1:0]"),
    narrow("the part of the next word", "weight_widen",
        "#(.WIDTH(PW), .STAGES(2)) u_part", "#(.WIDTH(PW), .STAGES(1)) u_part"),
    narrow("four-bit weights on chip without sign", "weight_widen",
        "{4{low[3]}}", "{4{low[3] && step[0]}}"),
    narrow("two-bit weights on chip without sign", "weight_widen",
        "{2{quarter[1]}}", "2'd0"),
    narrow("eight-bit weights are taken as narrow ones", "weight_widen",
        "wide ? all[7:4] :", "(wide & 1'b0) ? all[7:4] :"),
    narrow("two-bit weights are taken as those of four bits", "weight_widen",
        "step[0] ? {2{quarter[1]}}", "(step[0] & 1'b0) ? {2{quarter[1]}}"),
    narrow("a tile begins at a whole word", "feeder",
        "&& group_last) weight_tile_q <=", "&& group_last) weight_tile_q <= {{(WAW-2){1'b1}}, 2'd0} &"),
    narrow("a tile's second pixel group begins at a whole word", "feeder",
        "weight_addr_q <= weight_tile_q;", "weight_addr_q <= {weight_tile_q[WAW-1:2], 2'd0};"),
    narrow("narrow weights one cycle late", "feeder",
        ".STAGES(3)) u_weight_addr", ".STAGES(4)) u_weight_addr"),
    Mutant {
        name: "a layer's steps take twice as many parts",
        base: Base::Narrow,
        change: Change::Field { layer: 1, field: "weight_step", bit: 0 },
    },

    // operators of two tensors
    tensors("a product of the window's last value with itself", "channel_array",
        "if (step_valid && step_first) first_q", "if (step_valid) first_q"),
    tensors("products with the first pixel's value", "channel_array",
        "product && step_last ? first_q :", "product && step_last ? {P{first_q[C*8-1:0]}} :"),
    tensors("carries of the first pixel's products", "channel_array",
        "y, carry[p*C+c]}", "y, carry[c]}"),
    tensors("a gathered row lacks its last element", "gather_unit",
        "count_q[0] < tail_0", "count_q[0] + 1'b1 < tail_0"),
    tensors("gathered channels stay in their word", "gather_unit",
        "(lane_carry ? plane :", "(lane_carry && start ? plane :"),
    tensors("gathered pixels advance without their carry", "gather_unit",
        "{{(AW-1){1'b0}}, rem_carry}", "{{(AW-1){1'b0}}, rem_carry & start}"),
    tensors("gathered words go to their banks without carry", "gather_unit",
        "{{(DW-1){1'b0}}, to_carry}", "{{(DW-1){1'b0}}, to_carry & start}"),
    tensors("a computed weight's third part comes too early", "gather_unit",
        "rest == 9'd128", "rest > 9'd90"),
    tensors("a computed weight without its zero point", "gather_unit",
        "{zero_point[7], zero_point}", "{zero_point[7], zero_point ^ 8'd4}"),
    tensors("the second row of computed weights is not negated", "gather_unit",
        "value_q[8] != negate ?", "value_q[8] != (negate && start) ?"),
    tensors("a computed weight word is not written", "weight_ram",
        "if (write_valid)", "if (write_valid && write_addr[0])"),
    tensors("a full word one element early", "gather_unit",
        ".STAGES(6)) u_full", ".STAGES(5)) u_full"),
    tensors("bytes of accumulators are clamped", "drain_unit",
        ".wrap(wrap)", ".wrap(wrap && phase != phase)"),
    Mutant {
        name: "a part of a computed weight",
        base: Base::Tensors,
        change: Change::Field { layer: 2, field: "gather_part", bit: 0 },
    },

    // drain and buffers
    int8("the last pixel of a tile is not written", "drain",
        "pixels_left_q > INDEX[PW-1:0] &&", "pixels_left_q > INDEX[PW-1:0] + 1'b1 &&"),
    int8("results one cycle ahead of their data", "drain",
        ".STAGES(TO_ADD_IN)) u_place", ".STAGES(TO_ADD_IN-1)) u_place"),
    depthwise("the first segment of a word is always written", "drain",
        "seg[n] = sub_q == n[SUBW-1:0];", "seg[n] = sub_q == n[SUBW-1:0] || n == 0;"),
    int8("saturation counter is not cleared between layers", "drain",
        "(rst || stats_clear)", "(rst && !stats_clear)"),
    int8("padded outputs are counted as saturated", "drain",
        "&& lane_valid[sq]}", "&& (lane_valid[sq] || sc < D)}"),
    int8("every bank is written", "activation_buffer",
        "{NSEG{we[b]}}", "{NSEG{we[b] || we[0]}}"),
    int8("auxiliary read selects the bank too early", "macforge_top",
        "#(.WIDTH(RW+1), .STAGES(2)) u_aux", "#(.WIDTH(RW+1), .STAGES(1)) u_aux"),

    // sequencer and registers
    int8("a layer starts before the one before is written", "macforge_top",
        "soft_done_late : drain_done;", "soft_done_late : (drain_done || (acc_done && acc_layer_last));"),
    int8("the program word comes one layer late", "sequencer",
        "last_layer ? FIRST[LIW-1:0] : layer_index_q + 1'b1", "last_layer ? FIRST[LIW-1:0] : layer_index_q"),
    int8("softmax is done before its output is written", "macforge_top",
        ".STAGES(2)) u_softmax_done", ".STAGES(0)) u_softmax_done"),
    int8("wrong identification", "axil_registers",
        "32'h4D464731", "32'h4D464730"),
    int8("a read is answered with the counter beside it", "axil_registers",
        "saturations_read_q <= layer_saturations[s_axil_araddr[LIW+1:2]]",
        "saturations_read_q <= layer_saturations[s_axil_araddr[LIW+1:2] ^ 1]"),
    int8("read data may leave before it is taken", "axil_registers",
        "else if (s_axil_rready) s_axil_rvalid <= 1'b0;", "else if (s_axil_rready || s_axil_rvalid) s_axil_rvalid <= 1'b0;"),

    text(Base::Precisions, "the precision changes during an inference", "sequencer",
        ["            if (idle) begin\n                set_q         <= set;",
         "            set_q <= set;\n            if (idle) begin"]),
    text(Base::Precisions, "the second precision ends where the first one does", "sequencer",
        ["last_layer  = layer_index_q == set_last;", "last_layer  = layer_index_q == 3'd2;"]),
    text(Base::Precisions, "the precision before begins once more", "sequencer",
        ["                layer_index_q <= set_first;\n                next_index_q  <= set_first;\n", ""]),
    text(Base::PrecisionsMemory, "a precision's weights are read again without a choice", "axi_reader",
        ["chosen_q      <= begins || (chosen_q && !turn);", "chosen_q      <= begins || chosen_q;"]),
    text(Base::PrecisionsMemory, "both precisions read the first one's weights", "axi_reader",
        ["if (chosen_set_q == i[SIW-1:0])", "if (chosen_set_q == i[SIW-1:0] && rst)"]),
    text(Base::PrecisionsMemory, "the second precision's weights end where the first one's do", "axi_reader",
        ["bursts_m1 = all_bursts_m1[i*BW +: BW];", "bursts_m1 = all_bursts_m1[i*BW +: BW] & {BW{rst}} | bursts_m1;"]),
    text(Base::PrecisionsMemory, "an inference begins with each of its elements", "sequencer",
        ["begins       = input_taken && !begun_q;", "begins       = input_taken;"]),
    Mutant {
        name: "weight address of a layer of the second precision",
        base: Base::Precisions,
        change: Change::Field { layer: 3, field: "weight_base", bit: 1 },
    },

    // streams
    int8("input words are taken without valid", "input_unpack",
        "else if (s_axis_tvalid && s_axis_tready) left_q <= 3'd4;", "else if (s_axis_tready) left_q <= 3'd4;"),
    int8("an input word is replaced before its last byte", "input_unpack",
        "(left_q == 1 && take)", "(left_q == 2 && take)"),
    int8("output word is read one cycle too early", "output_walk",
        "wait_q == 3'd3", "wait_q == 3'd2"),
    int8("output valid does not wait for ready", "output_pack",
        "else if (m_axis_tready) m_axis_tvalid <= 1'b0;", "else m_axis_tvalid <= 1'b0;"),
    int8("no tlast", "output_pack",
        "m_axis_tlast <= byte_last;", "m_axis_tlast <= byte_last & 1'b0;"),
    float("output payload changes while stalled", "dequantize_stream",
        "!flight_q && !m_axis_tvalid;", "!flight_q;"),

    // softmax
    int8("softmax sum in the wrong format", "softmax_unit",
        "bits_q   <= 4'd12;", "bits_q   <= 4'd11;"),
    int8("softmax without its last rounding", "softmax_unit",
        "{1'b0, half_units} + 10'd1;", "{1'b0, half_units} + 10'd0;"),
    int8("softmax keeps the maximum of the inference before", "softmax_unit",
        "if (state_q == IDLE) max_q <= 8'sh80;", "if (rst) max_q <= 8'sh80;"),

    // memory images
    bit("a weight of the third convolution", "weights", 100, 100),
    bit("a weight of the classifier", "weights", 594, 6),
    bit("a shift of the second convolution", "params", 3, BIAS + 31),
    bit("a multiplier of the third convolution", "params", 6, BIAS + 24),
    bit("a bias of the classifier", "params", 16, 8),
    field("zero point of a layer", 3, "zero_point", 0),
    field("weight address of a layer", 5, "weight_base", 1),
    field("input width of a layer", 2, "in_width", 0),
    field("groups of a layer", 0, "groups_m1", 2),
    field("buffer of a layer", 4, "in_buffer", 0),
];
