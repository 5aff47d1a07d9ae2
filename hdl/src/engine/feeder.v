// Purpose   feeder: walks output-channel tile > pixel group > kernel row > kernel column > pass >
//           channel chunk (two passes where weights need more than eight bits, or activations of an array of
//           four products per DSP more than four) and issues, per cycle, P activation addresses (one per bank) and one weight
//           address; afterwards it rotates the P bank words to the P pixel lanes and pads.
//           The dot array takes IC channels of a word per step, the channel array whole words. Where
//           the lanes' constants come with the weights (PARAM_GAP > 0), a tile begins with their words.
// int16     Rows of an int16 tensor are two: high bytes, then low bytes less 128. With `row_pairs` the
//           kernel has both rows in turn, with `byte_passes` the first pass has the weights' high bytes;
//           `step_shift` counts how many of both the step multiplies. WIDE 0: neither. With PARTS the
//           first of two passes has the high parts of activations.
// Latency   READ_LATENCY = 6 cycles from issue to `act`, the flags travel along.
// Initiation interval 1. `hold` bubbles follow a pixel group whose steps are fewer than the cycles
// that the Drain needs for it, so nothing downstream can be overrun. The only stall is in front: a step
// waits for its weights (`weights_ready`, always high where they are on chip).
module feeder #(
    parameter P   = 3,
    parameter RW  = 2,
    parameter IC  = 8,
    parameter WB  = 8,
    parameter AW  = 9,
    parameter XW  = 8,
    parameter WAW = 10,
    parameter NW  = 10,
    parameter SUBW = 1,
    parameter PARAM_GAP = 0,  // cycles between two words of constants; 0 = they are on chip
    parameter WIDE = 0,
    parameter PARTS = 0
) (
    input  wire              clk,
    input  wire              rst,
    input  wire              start,
    // layer program
    input  wire              channel_mode,
    input  wire              in_buffer,
    input  wire [7:0]        pad_value,
    input  wire [NW-1:0]     tiles_m1,
    input  wire [NW-1:0]     groups_m1,
    input  wire [NW-1:0]     kernel_h_m1,
    input  wire [NW-1:0]     kernel_w_m1,
    input  wire [NW-1:0]     chunks_m1,
    input  wire              two_passes,
    input  wire              row_pairs,
    input  wire              byte_passes,
    input  wire [NW-1:0]     hold,
    input  wire [NW-1:0]     param_words,   // words of constants in front of a tile's weights
    input  wire [AW-1:0]     plane,
    input  wire [AW-1:0]     kernel_quot_init,
    input  wire [RW-1:0]     kernel_rem_init,
    input  wire [AW-1:0]     step_x_quot,
    input  wire [RW-1:0]     step_x_rem,
    input  wire [AW-1:0]     step_y_quot,
    input  wire [RW-1:0]     step_y_rem,
    input  wire [XW-1:0]     dilation_y,
    input  wire [XW-1:0]     dilation_x,
    input  wire [P*AW-1:0]   lane_quot,
    input  wire [P*XW-1:0]   lane_y,
    input  wire [P*XW-1:0]   lane_x,
    input  wire [P*RW-1:0]   lane_rem,
    input  wire [AW-1:0]     adv_quot,
    input  wire [AW-1:0]     adv_quot_wrap,
    input  wire [XW-1:0]     adv_x,
    input  wire [XW-1:0]     wrap_x,
    input  wire [XW-1:0]     limit_x,
    input  wire [XW-1:0]     adv_y,
    input  wire [XW-1:0]     adv_y_wrap,
    input  wire [XW-1:0]     in_height,
    input  wire [XW-1:0]     in_width,
    input  wire [WAW-1:0]    weight_base,
    // the step that is issued, for weights that are streamed
    input  wire              weights_ready,
    output wire              issue_step,
    output wire              issue_last,    // of a pixel group
    output wire              issue_tile,    // in the last group of the tile
    output wire              waiting,
    output wire              param_valid,   // in step with the flags below: the word holds constants
    // activation buffers: address 3 cycles after issue (registered here), data back 2 later
    output reg  [P*AW-1:0]   bank_addr_q,
    input  wire [2*P*WB*8-1:0] bank_data,
    // weight memory: data arrives with `act`
    output wire [WAW-1:0]    weight_addr,
    // to the arrays
    output reg  [P*IC*8-1:0] act_q,         // the step's channels
    output reg  [P*WB*8-1:0] act_word_q,    // all channels of the word
    output wire              step_valid,
    output wire              step_first,
    output wire              step_last,
    output wire [1:0]        step_shift,
    output wire              tile_last,
    output wire              layer_last
);
    localparam RSUB = WB / IC;   // channel chunks per buffer word
    localparam SUB_LAST = RSUB - 1;

    // ---- loop nest ---------------------------------------------------------------------------
    reg            running_q;
    reg            holding_q;
    reg            pass_q;
    reg [NW-1:0]   hold_q, tile_q, group_q, ky_q, kx_q, chunk_q;
    reg [AW-1:0]   kernel_quot_q;
    reg [RW-1:0]   kernel_rem_q;
    reg [XW-1:0]   kernel_y_q, kernel_x_q;
    reg [AW-1:0]   chunk_addr_q;
    reg [SUBW-1:0] sub_q;
    reg [WAW-1:0]  weight_addr_q, weight_tile_q;

    // words of constants are used once: to the stream each is a tile of its own
    wire param_next, param_wait;
    wire param_issue = running_q && !holding_q && param_next && !param_wait && weights_ready;
    wire issue       = running_q && !holding_q && !param_next && weights_ready;
    wire chunk_last  = chunk_q == chunks_m1;
    wire kx_last     = kx_q == kernel_w_m1;
    wire ky_last     = ky_q == kernel_h_m1;
    wire place_last  = chunk_last && pass_q == two_passes;
    wire last_step   = place_last && kx_last && ky_last;
    wire first_step  = (chunk_q == 0) && (kx_q == 0) && (ky_q == 0) && !pass_q;
    wire group_last  = group_q == groups_m1;
    wire final_tile  = tile_q == tiles_m1;
    wire group_end   = (issue && last_step && hold == 0) || (holding_q && hold_q == 1);
    wire lanes_load  = start || (group_end && group_last);
    wire lanes_step  = group_end && !group_last;

    assign issue_step = issue || param_issue;
    assign issue_last = last_step || param_next;
    assign issue_tile = group_last || param_next;
    assign waiting    = running_q && !holding_q && !param_wait && !weights_ready;
    generate
        if (PARAM_GAP > 0) begin : gen_params
            localparam GW = $clog2(PARAM_GAP + 1);
            reg [NW-1:0] params_q;
            reg [GW-1:0] gap_q;
            assign param_next = params_q != 0;
            assign param_wait = gap_q != 0;
            always @(posedge clk) begin
                if (start || (group_end && group_last)) begin
                    params_q <= param_words;
                    gap_q    <= 0;
                end else begin
                    if (param_issue) params_q <= params_q - 1'b1;
                    gap_q <= param_issue ? PARAM_GAP[GW-1:0] : param_wait ? gap_q - 1'b1 : gap_q;
                end
            end
            delay_line #(.WIDTH(1), .STAGES(6)) u_param (
                .clk(clk), .in(param_issue && !rst), .out(param_valid)
            );
        end else begin : gen_no_params
            wire unused_params = &{1'b0, param_words, param_issue};
            assign {param_next, param_wait, param_valid} = 3'b000;
        end
    endgenerate

    wire [RW-1:0] rem_next;
    wire          rem_carry;
    bank_step #(.P(P), .RW(RW)) u_kernel_bank (
        .rem(kernel_rem_q),
        .delta(kx_last ? step_y_rem : step_x_rem),
        .next(rem_next),
        .carry(rem_carry)
    );
    wire        sub_last = sub_q == SUB_LAST[SUBW-1:0];

    always @(posedge clk) begin
        if (rst) begin
            running_q <= 1'b0;
            holding_q <= 1'b0;
        end else if (start) begin
            running_q <= 1'b1;
            holding_q <= 1'b0;
        end else begin
            if (issue && last_step && hold != 0) holding_q <= 1'b1;
            else if (group_end) holding_q <= 1'b0;
            if (group_end && group_last && final_tile) running_q <= 1'b0;
        end
    end

    always @(posedge clk) begin
        hold_q <= holding_q ? hold_q - 1'b1 : hold;
        if (start) begin
            tile_q  <= 0;
            group_q <= 0;
        end else if (group_end) begin
            group_q <= group_last ? {NW{1'b0}} : group_q + 1'b1;
            if (group_last) tile_q <= tile_q + 1'b1;
        end
        // kernel position and channel chunk
        if (start || (issue && last_step)) begin
            chunk_q       <= 0;
            pass_q        <= 1'b0;
            kx_q          <= 0;
            ky_q          <= 0;
            kernel_y_q    <= 0;
            kernel_x_q    <= 0;
            kernel_quot_q <= kernel_quot_init;
            kernel_rem_q  <= kernel_rem_init;
        end else if (issue) begin
            chunk_q <= chunk_last ? {NW{1'b0}} : chunk_q + 1'b1;
            if (chunk_last) pass_q <= !place_last;
            if (place_last && !kx_last) begin
                kx_q          <= kx_q + 1'b1;
                kernel_x_q    <= kernel_x_q + dilation_x;
                kernel_quot_q <= kernel_quot_q + step_x_quot + {{(AW-1){1'b0}}, rem_carry};
                kernel_rem_q  <= rem_next;
            end else if (place_last) begin
                kx_q          <= 0;
                ky_q          <= ky_q + 1'b1;
                kernel_x_q    <= 0;
                kernel_y_q    <= kernel_y_q + dilation_y;
                kernel_quot_q <= kernel_quot_q + step_y_quot + {{(AW-1){1'b0}}, rem_carry};
                kernel_rem_q  <= rem_next;
            end
        end
        // word and place in it of the channel chunk; in channel mode the tile is a word
        if (start) begin
            chunk_addr_q <= 0;
            sub_q        <= 0;
        end else if (channel_mode) begin
            if (group_end && group_last) chunk_addr_q <= chunk_addr_q + plane;
        end else if (issue) begin
            if (chunk_last) begin
                chunk_addr_q <= 0;
                sub_q        <= 0;
            end else begin
                sub_q <= sub_last ? {SUBW{1'b0}} : sub_q + 1'b1;
                if (sub_last) chunk_addr_q <= chunk_addr_q + plane;
            end
        end
        // weights: one word per step, again for each pixel group of the tile
        if (start) begin
            weight_addr_q <= weight_base;
            weight_tile_q <= weight_base;
        end else begin
            if (issue && last_step && !group_last) weight_addr_q <= weight_tile_q;
            else if (issue) weight_addr_q <= weight_addr_q + 1'b1;
            if (issue && last_step && group_last) weight_tile_q <= weight_addr_q + 1'b1;
        end
    end

    delay_line #(.WIDTH(WAW), .STAGES(4)) u_weight_addr (
        .clk(clk), .in(weight_addr_q), .out(weight_addr)
    );
    delay_line #(.WIDTH(5), .STAGES(6)) u_flags (
        .clk(clk),
        .in({issue && !rst, first_step, last_step, group_last, group_last && final_tile}),
        .out({step_valid, step_first, step_last, tile_last, layer_last})
    );

    wire [7:0] outside;        // of the step whose words are being rotated
    generate
        if (WIDE) begin : gen_wide
            wire       low_row = row_pairs && ky_q[0];
            wire [1:0] shift   = {1'b0, row_pairs && !ky_q[0]} + {1'b0, byte_passes && !pass_q};
            wire       low_late;
            delay_line #(.WIDTH(2), .STAGES(6)) u_shift (.clk(clk), .in(shift), .out(step_shift));
            delay_line #(.WIDTH(1), .STAGES(5)) u_low (.clk(clk), .in(low_row), .out(low_late));
            assign outside = low_late ? 8'h80 : pad_value;
        end else if (PARTS) begin : gen_parts
            wire unused_wide = &{1'b0, row_pairs, byte_passes};
            wire shift;
            delay_line #(.WIDTH(1), .STAGES(6)) u_high (
                .clk(clk), .in(two_passes && !pass_q), .out(shift)
            );
            assign step_shift = {1'b0, shift};
            assign outside    = pad_value;
        end else begin : gen_narrow
            wire unused_wide = &{1'b0, row_pairs, byte_passes};
            assign step_shift = 2'd0;
            assign outside    = pad_value;
        end
    endgenerate

    // ---- lane addresses (2 cycles), bank address crossbar -------------------------------------
    wire [P*AW-1:0] lane_addr;
    wire [P*RW-1:0] lane_bank;
    wire [P-1:0]    lane_inside;
    wire [AW-1:0]   offset = kernel_quot_q + chunk_addr_q;
    genvar i;
    generate
        for (i = 0; i < P; i = i + 1) begin : gen_lane
            lane_agu #(.P(P), .RW(RW), .AW(AW), .XW(XW)) u_agu (
                .clk(clk),
                .load(lanes_load),
                .advance(lanes_step),
                .init_quot(lane_quot[i*AW +: AW]),
                .init_y(lane_y[i*XW +: XW]),
                .init_x(lane_x[i*XW +: XW]),
                .lane_rem(lane_rem[i*RW +: RW]),
                .adv_quot(adv_quot),
                .adv_quot_wrap(adv_quot_wrap),
                .adv_x(adv_x),
                .wrap_x(wrap_x),
                .limit_x(limit_x),
                .adv_y(adv_y),
                .adv_y_wrap(adv_y_wrap),
                .height(in_height),
                .width(in_width),
                .kernel_quot(offset),
                .kernel_rem(kernel_rem_q),
                .kernel_y(kernel_y_q),
                .kernel_x(kernel_x_q),
                .addr_q(lane_addr[i*AW +: AW]),
                .bank_q(lane_bank[i*RW +: RW]),
                .inside_q(lane_inside[i])
            );
        end
    endgenerate

    integer b, l;
    reg [P*AW-1:0] bank_addr;
    always @* begin
        bank_addr = {P*AW{1'b0}};
        for (b = 0; b < P; b = b + 1)
            for (l = 0; l < P; l = l + 1)
                bank_addr[b*AW +: AW] = bank_addr[b*AW +: AW]
                    | (lane_addr[l*AW +: AW] & {AW{lane_bank[l*RW +: RW] == b[RW-1:0]}});
    end
    always @(posedge clk) bank_addr_q <= bank_addr;

    // ---- rotator: bank words back to lanes, then padding --------------------------------------
    wire [P*RW-1:0] rot_bank;
    wire [SUBW-1:0] rot_sub;
    wire [P-1:0]    pad_inside;
    delay_line #(.WIDTH(P*RW), .STAGES(3)) u_rot_bank (.clk(clk), .in(lane_bank), .out(rot_bank));
    delay_line #(.WIDTH(SUBW), .STAGES(5)) u_rot_sub (.clk(clk), .in(sub_q), .out(rot_sub));
    delay_line #(.WIDTH(P), .STAGES(3)) u_inside (.clk(clk), .in(lane_inside), .out(pad_inside));

    wire [P*WB*8-1:0] word = in_buffer ? bank_data[P*WB*8 +: P*WB*8] : bank_data[0 +: P*WB*8];
    wire [P*WB*8-1:0] rotated;
    reg  [P*WB*8-1:0] rotated_q;
    wire [P*IC*8-1:0] chunk;
    generate
        for (i = 0; i < P; i = i + 1) begin : gen_rotated
            word_select #(.N(P), .W(WB*8), .SW(RW)) u_word (
                .words(word), .select(rot_bank[i*RW +: RW]), .word(rotated[i*WB*8 +: WB*8])
            );
            word_select #(.N(RSUB), .W(IC*8), .SW(SUBW)) u_chunk (
                .words(rotated_q[i*WB*8 +: WB*8]), .select(rot_sub), .word(chunk[i*IC*8 +: IC*8])
            );
        end
    endgenerate
    integer al;
    always @(posedge clk) begin
        rotated_q <= rotated;
        for (al = 0; al < P; al = al + 1) begin
            act_q[al*IC*8 +: IC*8]      <= pad_inside[al] ? chunk[al*IC*8 +: IC*8] : {IC{outside}};
            act_word_q[al*WB*8 +: WB*8] <= pad_inside[al] ? rotated_q[al*WB*8 +: WB*8]
                                                          : {WB{outside}};
        end
    end
endmodule
