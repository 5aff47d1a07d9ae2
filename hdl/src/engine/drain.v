// Purpose   drain: takes finished accumulators (double buffer), requantizes D channels of Q pixels
//           per cycle, applies the activation table and the residual add, writes the result.
// Order     Q pixels after the other; for them pass after pass; in a pass one group of D channels
//           after the other. A pass writes those of the Q pixels whose turn it is: all of them, the
//           ones of one image row (where pixels of two rows could meet in a bank), or a single one
//           (layers with a residual, of which one word is read per cycle).
// Equation  y = requant(acc); y = table[y] (layers with a table); y = add(y, residual) (layers with
//           a residual)
// Latency   2 + LANE_LATENCY + TABLE_LATENCY from accumulator to write, ADD_LATENCY more in layers
//           with a residual, 1 more where Q > 1; never stalls (the feeder leaves a tile at least
//           P / Q * passes * groups cycles).
module drain #(
    parameter P     = 3,
    parameter Q     = 1,     // divides P
    parameter RW    = 2,
    parameter AC    = 16,    // accumulators per pixel
    parameter D     = 8,
    parameter WB    = 8,
    parameter NSEG  = 1,
    parameter SUBW  = 1,
    parameter AW    = 9,
    parameter XW    = 8,
    parameter NW    = 10,
    parameter PW    = 18,
    parameter PAW   = 6,
    parameter ACCW  = 25,
    parameter BIASW = 25,
    parameter HAS_TABLE = 0,
    parameter TIW   = 1,
    parameter HAS_ADD = 0,
    parameter LANE_LATENCY = 8,
    parameter ADD_LATENCY  = 6
) (
    input  wire                 clk,
    input  wire                 rst,
    input  wire                 start,
    // layer program
    input  wire                 shared_params,
    input  wire [NW-1:0]        drain_groups_m1,
    input  wire [3:0]           passes_m1,
    input  wire                 pass_of_pixel,
    input  wire                 pass_of_row,
    input  wire [NW-1:0]        tiles_m1,
    input  wire [NW-1:0]        final_channels,
    input  wire [XW-1:0]        out_cols,
    input  wire [XW-1:0]        enum_cols,
    input  wire [PW-1:0]        pixels,
    input  wire [AW-1:0]        out_base,
    input  wire [AW-1:0]        out_plane,
    input  wire [Q*AW-1:0]      unit_quot,
    input  wire [Q*RW-1:0]      unit_rem,
    input  wire [Q*XW-1:0]      unit_col,
    input  wire [Q*4-1:0]       unit_row,
    input  wire [AW-1:0]        unit_adv_quot,
    input  wire [RW-1:0]        unit_adv_rem,
    input  wire [AW-1:0]        unit_wrap_quot,
    input  wire [RW-1:0]        unit_wrap_rem,
    input  wire [XW-1:0]        unit_adv_col,
    input  wire [3:0]           unit_adv_row,
    input  wire [AW-1:0]        res_base,
    input  wire [AW-1:0]        res_plane,
    input  wire [RW-1:0]        res_start_rem,
    input  wire [AW-1:0]        res_step_quot,
    input  wire [RW-1:0]        res_step_rem,
    input  wire [AW-1:0]        res_row_quot,
    input  wire [RW-1:0]        res_row_rem,
    input  wire [PAW-1:0]       param_base,
    input  wire signed [7:0]    zero_point,
    input  wire signed [7:0]    clamp_lo,
    input  wire signed [7:0]    clamp_hi,
    input  wire                 lower_is_activation,
    input  wire                 table_enable,
    input  wire [TIW-1:0]       table_index,
    input  wire                 add_enable,
    input  wire signed [24:0]   add_mul_y,
    input  wire signed [24:0]   add_mul_res,
    input  wire signed [35:0]   add_offset,
    input  wire [4:0]           add_shift,
    input  wire signed [7:0]    add_clamp_lo,
    input  wire signed [7:0]    add_clamp_hi,
    input  wire                 add_lower_is_activation,
    // finished tiles
    input  wire [P*AC*ACCW-1:0] acc,
    input  wire                 acc_done,
    input  wire                 acc_tile_last,
    input  wire                 acc_layer_last,
    // requantizer parameters of the D channels, 2 cycles after the address
    output wire [PAW-1:0]       param_addr,
    input  wire [D*(BIASW+38)-1:0] param_data,
    // residual: address out, word back 3 cycles later
    output wire [AW-1:0]        res_addr,
    output wire [RW-1:0]        res_bank,
    input  wire [WB*8-1:0]      res_word,
    // write ports, one per bank
    output wire [P-1:0]         write_valid,
    output wire [P*AW-1:0]      write_addr,
    output wire [NSEG-1:0]      write_seg,
    output wire [P*D*8-1:0]     write_data,      // the same in all segments
    output wire                 layer_done,
    input  wire                 stats_clear,
    output reg  [31:0]          saturations_q
);
    localparam TABLE_LATENCY = HAS_TABLE ? 1 : 0;
    localparam TO_LANE_OUT   = 2 + LANE_LATENCY;
    localparam TO_ADD_IN     = TO_LANE_OUT + TABLE_LATENCY;
    localparam PHASES        = P / Q;
    localparam PHASE_LAST    = PHASES - 1;
    localparam SEG_LAST      = NSEG - 1;

    // ---- capture ------------------------------------------------------------------------------
    reg [P*AC*ACCW-1:0] capture_q;
    reg          draining_q, tile_last_q, layer_last_q;
    reg [RW-1:0] phase_q;
    reg [3:0]    pass_q;
    reg [NW-1:0] group_q;
    wire group_end = group_q == drain_groups_m1;
    wire pass_last = pass_q == passes_m1;
    wire tile_end  = draining_q && group_end && pass_last && phase_q == PHASE_LAST[RW-1:0];

    always @(posedge clk) begin
        if (rst) draining_q <= 1'b0;
        else if (acc_done) draining_q <= 1'b1;
        else if (tile_end) draining_q <= 1'b0;
        if (acc_done) begin
            capture_q    <= acc;
            tile_last_q  <= acc_tile_last;
            layer_last_q <= acc_layer_last;
        end
        if (acc_done) begin
            phase_q <= 0;
            pass_q  <= 0;
            group_q <= 0;
        end else if (draining_q) begin
            group_q <= group_end ? {NW{1'b0}} : group_q + 1'b1;
            if (group_end) pass_q <= pass_last ? 4'd0 : pass_q + 1'b1;
            if (group_end && pass_last) phase_q <= phase_q + 1'b1;
        end
    end

    // ---- walkers: output pixels, channel position, parameters ---------------------------------
    reg [PW-1:0]   pixels_left_q;
    wire [AW-1:0]  res_quot;
    wire [RW-1:0]  res_rem;
    wire [Q*AW-1:0] quot;
    wire [Q*RW-1:0] rem;
    wire [Q*XW-1:0] col;
    wire [Q*4-1:0]  row;
    reg [AW-1:0]   out_word_q, out_word_tile_q, res_word_q, res_word_tile_q;
    reg [SUBW-1:0] sub_q, sub_tile_q;
    reg [PAW-1:0]  param_q, param_tile_q;

    wire octile_end = tile_end && tile_last_q;
    wire pixel_restart = start || octile_end;
    wire pixels_advance = draining_q && group_end && pass_last;
    wire [Q-1:0] turn, in_image, row_ends;
    genvar q;
    generate
        for (q = 0; q < Q; q = q + 1) begin : gen_walker
            localparam INDEX = q;
            drain_walker #(.P(P), .RW(RW), .AW(AW), .XW(XW)) u_walker (
                .clk(clk),
                .restart(pixel_restart),
                .advance(pixels_advance),
                .init_quot(unit_quot[q*AW +: AW]),
                .init_rem(unit_rem[q*RW +: RW]),
                .init_col(unit_col[q*XW +: XW]),
                .init_row(unit_row[q*4 +: 4]),
                .adv_quot(unit_adv_quot),
                .adv_rem(unit_adv_rem),
                .adv_wrap_quot(unit_wrap_quot),
                .adv_wrap_rem(unit_wrap_rem),
                .adv_col(unit_adv_col),
                .adv_row(unit_adv_row),
                .enum_cols(enum_cols),
                .quot_q(quot[q*AW +: AW]),
                .rem_q(rem[q*RW +: RW]),
                .col_q(col[q*XW +: XW]),
                .row_q(row[q*4 +: 4])
            );
            wire [3:0] row_of_group = row[q*4 +: 4] - row[3:0];
            assign turn[q] = (!pass_of_pixel || pass_q == INDEX[3:0])
                             && (!pass_of_row || pass_q == row_of_group);
            assign in_image[q] = pixels_left_q > INDEX[PW-1:0] && col[q*XW +: XW] < out_cols;
            assign row_ends[q] = col[q*XW +: XW] + 1'b1 == enum_cols;
        end
    endgenerate
    // layers with a residual go pixel by pixel
    pixel_walker #(.P(P), .RW(RW), .AW(AW)) u_res_pixel (
        .clk(clk),
        .restart(pixel_restart),
        .advance(draining_q && group_end),
        .row_end(|(row_ends & turn)),
        .start_rem(res_start_rem),
        .step_quot(res_step_quot),
        .step_rem(res_step_rem),
        .row_quot(res_row_quot),
        .row_rem(res_row_rem),
        .quot_q(res_quot),
        .rem_q(res_rem)
    );
    wire sub_last  = sub_q == SEG_LAST[SUBW-1:0];
    wire [SUBW-1:0] sub_next = sub_last ? {SUBW{1'b0}} : sub_q + 1'b1;
    wire [AW-1:0] out_word_next = sub_last ? out_word_q + out_plane : out_word_q;
    wire [AW-1:0] res_word_next = sub_last ? res_word_q + res_plane : res_word_q;
    wire [PAW-1:0] param_next = shared_params ? param_q : param_q + 1'b1;

    always @(posedge clk) begin
        if (start) begin
            out_word_q      <= out_base;
            out_word_tile_q <= out_base;
            res_word_q      <= res_base;
            res_word_tile_q <= res_base;
            sub_q           <= 0;
            sub_tile_q      <= 0;
            param_q         <= param_base;
            param_tile_q    <= param_base;
        end else if (draining_q) begin
            if (!group_end || octile_end) begin
                out_word_q <= out_word_next;
                res_word_q <= res_word_next;
                sub_q      <= sub_next;
                param_q    <= param_next;
            end else begin
                out_word_q <= out_word_tile_q;
                res_word_q <= res_word_tile_q;
                sub_q      <= sub_tile_q;
                param_q    <= param_tile_q;
            end
            if (octile_end) begin
                out_word_tile_q <= out_word_next;
                res_word_tile_q <= res_word_next;
                sub_tile_q      <= sub_next;
                param_tile_q    <= param_next;
            end
        end
        if (pixel_restart) pixels_left_q <= pixels;
        else if (pixels_advance)
            pixels_left_q <= pixels_left_q > Q[PW-1:0] ? pixels_left_q - Q[PW-1:0] : {PW{1'b0}};
    end

    wire [D-1:0] used;
    // groups without a channel are left out: other channels may follow in the same area
    wire [Q-1:0] writes = in_image & turn & {Q{draining_q && used[0] && !rst}};
    reg [NSEG-1:0] seg;
    integer n;
    always @* begin
        for (n = 0; n < NSEG; n = n + 1)
            seg[n] = sub_q == n[SUBW-1:0];
    end

    // ---- lanes that hold a channel of the tensor: the last tile may have fewer than the array -----
    reg  [NW-1:0] tile_q, left_q;    // left: channels of a last tile from this group on
    wire [D-1:0]  add_used;
    wire          final_tile = tile_q == tiles_m1;
    genvar u;
    always @(posedge clk) begin
        if (start) tile_q <= 0;
        else if (octile_end) tile_q <= tile_q + 1'b1;
        if (start || (draining_q && group_end)) left_q <= final_channels;
        else if (draining_q) left_q <= left_q > D[NW-1:0] ? left_q - D[NW-1:0] : {NW{1'b0}};
    end
    generate
        for (u = 0; u < D; u = u + 1) begin : gen_used
            assign used[u] = !final_tile || left_q > u[NW-1:0];
        end
        if (HAS_ADD) begin : gen_add_used
            delay_line #(.WIDTH(D), .STAGES(TO_ADD_IN+ADD_LATENCY)) u_used (
                .clk(clk), .in(used), .out(add_used)
            );
        end else begin : gen_no_add_used
            wire unused_used = &{1'b0, used};
            assign add_used = {D{1'b0}};
        end
    endgenerate

    // ---- lanes: Q pixels x D channels -----------------------------------------------------------
    assign param_addr = param_q;
    wire [Q*D*8-1:0] table_out;
    wire [Q*D-1:0]   lane_saturated;
    generate
        for (q = 0; q < Q; q = q + 1) begin : gen_unit
            wire [PHASES*AC*ACCW-1:0] pixels_of_unit;
            genvar ph;
            for (ph = 0; ph < PHASES; ph = ph + 1) begin : gen_phase
                assign pixels_of_unit[ph*AC*ACCW +: AC*ACCW] = capture_q[(ph*Q+q)*AC*ACCW +: AC*ACCW];
            end
            drain_unit #(
                .PHASES(PHASES), .RW(RW), .NW(NW), .AC(AC), .D(D), .ACCW(ACCW), .BIASW(BIASW),
                .HAS_TABLE(HAS_TABLE), .TIW(TIW)
            ) u_unit (
                .clk(clk),
                .acc(pixels_of_unit),
                .phase(phase_q),
                .group(group_q),
                .param_data(param_data),
                .zero_point(zero_point),
                .clamp_lo(clamp_lo),
                .clamp_hi(clamp_hi),
                .lower_is_activation(lower_is_activation),
                .table_enable(table_enable),
                .table_index(table_index),
                .result(table_out[q*D*8 +: D*8]),
                .saturated(lane_saturated[q*D +: D])
            );
        end
    endgenerate

    // ---- writes in step with the results: valid, bank, address per pixel; segment, layer end ----
    localparam UNITW  = 1 + RW + AW;
    wire layer_end_d0 = octile_end && layer_last_q;
    wire [Q*UNITW-1:0] place, lane_place;
    wire [NSEG:0]      common_lane;
    generate
        for (q = 0; q < Q; q = q + 1) begin : gen_place
            assign place[q*UNITW +: UNITW] =
                {writes[q], rem[q*RW +: RW], out_word_q + quot[q*AW +: AW]};
        end
    endgenerate
    delay_line #(.WIDTH(Q*UNITW+NSEG+1), .STAGES(TO_ADD_IN)) u_place (
        .clk(clk),
        .in({place, layer_end_d0 && !rst, seg}),
        .out({lane_place, common_lane})
    );

    // ---- residual add: of the one pixel whose turn it is ------------------------------------------
    wire [Q*UNITW-1:0] sum_place;
    wire [NSEG:0]      sum_common;
    wire [Q*D*8-1:0]   sum_data;
    wire [D-1:0]       add_saturated;
    wire [D*8-1:0]     residual;
    generate
        if (HAS_ADD) begin : gen_add
            reg  [D*8-1:0]   addend;
            reg  [UNITW-1:0] addend_place;
            wire [UNITW-1:0] place_late;
            wire [D*8-1:0]   sum;
            wire [D-1:0]     sum_saturated;
            integer au;
            always @* begin
                addend       = {D*8{1'b0}};
                addend_place = {UNITW{1'b0}};
                for (au = 0; au < Q; au = au + 1) begin
                    addend       = addend | (table_out[au*D*8 +: D*8]
                                             & {D*8{Q == 1 || lane_place[au*UNITW + RW + AW]}});
                    addend_place = addend_place | (lane_place[au*UNITW +: UNITW]
                                                   & {UNITW{lane_place[au*UNITW + RW + AW]}});
                end
            end
            // a layer without a residual leaves this line empty
            delay_line #(.WIDTH(UNITW+NSEG+1), .STAGES(ADD_LATENCY)) u_late (
                .clk(clk),
                .in({addend_place, common_lane} & {UNITW+NSEG+1{add_enable}}),
                .out({place_late, sum_common})
            );
            genvar d;
            for (d = 0; d < D; d = d + 1) begin : gen_lane
                add_lane u_add (
                    .clk(clk),
                    .a(addend[d*8 +: 8]),
                    .b(residual[d*8 +: 8]),
                    .mul_a(add_mul_y),
                    .mul_b(add_mul_res),
                    .offset(add_offset),
                    .shift(add_shift),
                    .clamp_lo(add_clamp_lo),
                    .clamp_hi(add_clamp_hi),
                    .lower_is_activation(add_lower_is_activation),
                    .q_q(sum[d*8 +: 8]),
                    .saturated_q(sum_saturated[d])
                );
            end
            assign add_saturated = sum_saturated & add_used & {D{add_enable && place_late[RW+AW]}};
            for (q = 0; q < Q; q = q + 1) begin : gen_sum
                assign sum_place[q*UNITW +: UNITW] = q == 0 ? place_late : {UNITW{1'b0}};
                assign sum_data[q*D*8 +: D*8] = sum;
            end
        end else begin : gen_no_add
            assign add_saturated = {D{1'b0}};
            assign sum_place  = {Q*UNITW{1'b0}};
            assign sum_common = {NSEG+1{1'b0}};
            assign sum_data   = {Q*D*8{1'b0}};
        end
    endgenerate
    wire               late = HAS_ADD != 0 && add_enable;
    wire [Q*UNITW-1:0] final_place = late ? sum_place : lane_place;
    wire [Q*D*8-1:0]   final_data  = late ? sum_data : table_out;
    wire [NSEG:0]      final_common = late ? sum_common : common_lane;

    // ---- residual operand ---------------------------------------------------------------------
    generate
        if (HAS_ADD) begin : gen_residual
            wire [SUBW-1:0] sub_late;
            reg  [D*8-1:0]  residual_sel, residual_q;
            integer rs;
            delay_line #(.WIDTH(AW+RW), .STAGES(TO_ADD_IN-4)) u_addr (
                .clk(clk),
                .in({res_word_q + res_quot, res_rem}),
                .out({res_addr, res_bank})
            );
            delay_line #(.WIDTH(SUBW), .STAGES(TO_ADD_IN-1)) u_sub (
                .clk(clk), .in(sub_q), .out(sub_late)
            );
            always @* begin
                residual_sel = {D*8{1'b0}};
                for (rs = 0; rs < WB / D; rs = rs + 1)
                    residual_sel = residual_sel
                        | (res_word[rs*D*8 +: D*8] & {D*8{WB == D || sub_late == rs[SUBW-1:0]}});
            end
            always @(posedge clk) residual_q <= residual_sel;
            assign residual = residual_q;
        end else begin : gen_no_residual
            wire unused_add = &{1'b0, add_enable, add_mul_y, add_mul_res, add_offset, add_shift,
                                add_clamp_lo, add_clamp_hi, add_lower_is_activation, res_word, add_used,
                                res_word_q, res_quot, res_rem, residual};
            assign res_addr = {AW{1'b0}};
            assign res_bank = {RW{1'b0}};
            assign residual = {D*8{1'b0}};
        end
    endgenerate

    // ---- write back: pixels to banks ------------------------------------------------------------
    reg [P-1:0]     bank_valid;
    reg [P*AW-1:0]  bank_addr;
    reg [P*D*8-1:0] bank_data;
    integer wb, wq;
    always @* begin
        bank_valid = {P{1'b0}};
        bank_addr  = {P*AW{1'b0}};
        bank_data  = {P*D*8{1'b0}};
        for (wb = 0; wb < P; wb = wb + 1)
            for (wq = 0; wq < Q; wq = wq + 1)
                if (Q == 1 || (final_place[wq*UNITW + RW + AW]
                               && final_place[wq*UNITW + AW +: RW] == wb[RW-1:0])) begin
                    bank_valid[wb] = bank_valid[wb]
                        | (final_place[wq*UNITW + RW + AW]
                           && final_place[wq*UNITW + AW +: RW] == wb[RW-1:0]);
                    bank_addr[wb*AW +: AW] = bank_addr[wb*AW +: AW] | final_place[wq*UNITW +: AW];
                    bank_data[wb*D*8 +: D*8] = bank_data[wb*D*8 +: D*8] | final_data[wq*D*8 +: D*8];
                end
    end
    generate
        if (Q > 1) begin : gen_write_q
            reg [P-1:0]     valid_q;
            reg [P*AW-1:0]  addr_q;
            reg [P*D*8-1:0] data_q;
            reg [NSEG:0]    common_q;
            always @(posedge clk) begin
                valid_q  <= bank_valid & {P{!rst}};
                addr_q   <= bank_addr;
                data_q   <= bank_data;
                common_q <= final_common & {NSEG+1{!rst}};
            end
            assign write_valid = valid_q;
            assign write_addr  = addr_q;
            assign write_data  = data_q;
            assign {layer_done, write_seg} = common_q;
        end else begin : gen_write
            assign write_valid = bank_valid;
            assign write_addr  = bank_addr;
            assign write_data  = bank_data;
            assign {layer_done, write_seg} = final_common;
        end
    endgenerate

    // ---- saturation counter -------------------------------------------------------------------
    wire [Q-1:0] lane_valid;
    delay_line #(.WIDTH(Q), .STAGES(TO_LANE_OUT)) u_lane_valid (
        .clk(clk), .in(writes), .out(lane_valid)
    );
    reg [31:0] count, count_q;
    integer sc, sq;
    always @* begin
        count = 0;
        for (sc = 0; sc < D; sc = sc + 1) begin
            count = count + {31'd0, add_saturated[sc]};
            for (sq = 0; sq < Q; sq = sq + 1)
                count = count + {31'd0, lane_saturated[sq*D+sc] && lane_valid[sq]};
        end
    end
    always @(posedge clk) begin
        count_q       <= count;
        saturations_q <= (rst || stats_clear) ? 32'd0 : saturations_q + count_q;
    end
endmodule
