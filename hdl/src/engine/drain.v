// Purpose   drain: takes finished accumulators (double buffer), requantizes D channels of one pixel
//           per cycle, applies the activation table and the residual add, writes the result.
// Equation  y = requant(acc); y = table[y] (layers with a table); y = add(y, residual) (layers with
//           a residual)
// Latency   2 + LANE_LATENCY + TABLE_LATENCY from accumulator to write, ADD_LATENCY more in layers
//           with a residual; D outputs per cycle; never stalls (the feeder leaves a tile at least P * groups cycles).
module drain #(
    parameter P     = 3,
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
    input  wire [NW-1:0]        tiles_m1,
    input  wire [NW-1:0]        final_channels,
    input  wire [XW-1:0]        out_cols,
    input  wire [XW-1:0]        enum_cols_m1,
    input  wire [PW-1:0]        pixels,
    input  wire [AW-1:0]        out_base,
    input  wire [AW-1:0]        out_plane,
    input  wire [RW-1:0]        out_start_rem,
    input  wire [AW-1:0]        out_step_quot,
    input  wire [RW-1:0]        out_step_rem,
    input  wire [AW-1:0]        out_row_quot,
    input  wire [RW-1:0]        out_row_rem,
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
    // write port
    output wire                 write_valid,
    output wire [RW-1:0]        write_bank,
    output wire [AW-1:0]        write_addr,
    output wire [NSEG-1:0]      write_seg,
    output wire [WB*8-1:0]      write_data,
    output wire                 layer_done,
    input  wire                 stats_clear,
    output reg  [31:0]          saturations_q
);
    localparam TABLE_LATENCY = HAS_TABLE ? 1 : 0;
    localparam TO_LANE_OUT   = 2 + LANE_LATENCY;
    localparam TO_ADD_IN     = TO_LANE_OUT + TABLE_LATENCY;
    localparam PARAMW        = BIASW + 31 + 6 + 1;
    localparam P_LAST        = P - 1;
    localparam SEG_LAST      = NSEG - 1;

    // ---- capture ------------------------------------------------------------------------------
    reg [P*AC*ACCW-1:0] capture_q;
    reg          draining_q, tile_last_q, layer_last_q;
    reg [RW-1:0] pixel_q;
    reg [NW-1:0] group_q;
    wire group_end = group_q == drain_groups_m1;
    wire pixel_end = pixel_q == P_LAST[RW-1:0];
    wire tile_end  = draining_q && group_end && pixel_end;

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
            pixel_q <= 0;
            group_q <= 0;
        end else if (draining_q) begin
            group_q <= group_end ? {NW{1'b0}} : group_q + 1'b1;
            if (group_end) pixel_q <= pixel_q + 1'b1;
        end
    end

    // ---- walker: output pixel, channel position, parameters -----------------------------------
    reg [XW-1:0]   col_q;
    reg [PW-1:0]   pixels_left_q;
    wire [AW-1:0]  out_quot, res_quot;
    wire [RW-1:0]  out_rem, res_rem;
    reg [AW-1:0]   out_word_q, out_word_tile_q, res_word_q, res_word_tile_q;
    reg [SUBW-1:0] sub_q, sub_tile_q;
    reg [PAW-1:0]  param_q, param_tile_q;

    wire octile_end = tile_end && tile_last_q;
    wire row_end    = col_q == enum_cols_m1;
    wire pixel_restart = start || octile_end;
    wire pixel_advance = draining_q && group_end;
    pixel_walker #(.P(P), .RW(RW), .AW(AW)) u_out_pixel (
        .clk(clk),
        .restart(pixel_restart),
        .advance(pixel_advance),
        .row_end(row_end),
        .start_rem(out_start_rem),
        .step_quot(out_step_quot),
        .step_rem(out_step_rem),
        .row_quot(out_row_quot),
        .row_rem(out_row_rem),
        .quot_q(out_quot),
        .rem_q(out_rem)
    );
    pixel_walker #(.P(P), .RW(RW), .AW(AW)) u_res_pixel (
        .clk(clk),
        .restart(pixel_restart),
        .advance(pixel_advance),
        .row_end(row_end),
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
        if (pixel_restart) begin
            col_q         <= 0;
            pixels_left_q <= pixels;
        end else if (pixel_advance) begin
            col_q      <= row_end ? {XW{1'b0}} : col_q + 1'b1;
            if (pixels_left_q != 0) pixels_left_q <= pixels_left_q - 1'b1;
        end
    end

    wire [D-1:0] used;
    // groups without a channel are left out: other channels may follow in the same area
    wire in_image = draining_q && pixels_left_q != 0 && col_q < out_cols && used[0];
    reg [NSEG-1:0] seg;
    integer n;
    always @* begin
        for (n = 0; n < NSEG; n = n + 1)
            seg[n] = sub_q == n[SUBW-1:0];
    end

    // ---- lanes that hold a channel of the tensor: the last tile may have fewer than the array -----
    reg  [NW-1:0] tile_q, left_q;    // left: channels of a last tile from this group on
    wire [D-1:0]  lane_used, add_used;
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
            delay_line #(.WIDTH(D), .STAGES(TABLE_LATENCY+ADD_LATENCY)) u_used (
                .clk(clk), .in(lane_used), .out(add_used)
            );
        end else begin : gen_no_add_used
            assign add_used = {D{1'b0}};
        end
    endgenerate
    delay_line #(.WIDTH(D), .STAGES(TO_LANE_OUT)) u_used (.clk(clk), .in(used), .out(lane_used));

    // ---- accumulators to lanes (2 cycles), parameters in step ---------------------------------
    reg [AC*ACCW-1:0] pixel_acc, pixel_acc_q;
    reg [D*ACCW-1:0]  lane_acc, lane_acc_q;
    reg [NW-1:0]      group_d1_q;
    integer pm, gm;
    always @* begin
        pixel_acc = {AC*ACCW{1'b0}};
        for (pm = 0; pm < P; pm = pm + 1)
            pixel_acc = pixel_acc
                | (capture_q[pm*AC*ACCW +: AC*ACCW] & {AC*ACCW{pixel_q == pm[RW-1:0]}});
        lane_acc = {D*ACCW{1'b0}};
        for (gm = 0; gm < AC / D; gm = gm + 1)
            lane_acc = lane_acc
                | (pixel_acc_q[gm*D*ACCW +: D*ACCW] & {D*ACCW{group_d1_q == gm[NW-1:0]}});
    end
    always @(posedge clk) begin
        pixel_acc_q <= pixel_acc;
        group_d1_q  <= group_q;
        lane_acc_q  <= lane_acc;
    end
    assign param_addr = param_q;

    // ---- lanes --------------------------------------------------------------------------------
    wire [D*8-1:0] lane_q, table_out, residual, result;
    wire [D-1:0]   lane_saturated, add_saturated;
    genvar d;
    generate
        for (d = 0; d < D; d = d + 1) begin : gen_lane
            requant_lane u_requant (
                .clk(clk),
                .acc(lane_acc_q[d*ACCW +: ACCW]),
                .bias(param_data[d*PARAMW +: BIASW]),
                .multiplier(param_data[d*PARAMW + BIASW +: 31]),
                .shift(param_data[d*PARAMW + BIASW + 31 +: 6]),
                .double_round(param_data[d*PARAMW + BIASW + 37]),
                .zero_point(zero_point),
                .clamp_lo(clamp_lo),
                .clamp_hi(clamp_hi),
                .lower_is_activation(lower_is_activation),
                .q_q(lane_q[d*8 +: 8]),
                .saturated_q(lane_saturated[d])
            );
            if (HAS_TABLE) begin : gen_table
                activation_table u_table (
                    .clk(clk),
                    .enable(table_enable),
                    .index(table_index),
                    .x(lane_q[d*8 +: 8]),
                    .y_q(table_out[d*8 +: 8])
                );
            end else begin : gen_no_table
                wire unused_table = &{1'b0, table_enable, table_index};
                assign table_out[d*8 +: 8] = lane_q[d*8 +: 8];
            end
            if (HAS_ADD) begin : gen_add
                wire [7:0] sum;
                wire       sum_saturated;
                add_lane u_add (
                    .clk(clk),
                    .a(table_out[d*8 +: 8]),
                    .b(residual[d*8 +: 8]),
                    .mul_a(add_mul_y),
                    .mul_b(add_mul_res),
                    .offset(add_offset),
                    .shift(add_shift),
                    .clamp_lo(add_clamp_lo),
                    .clamp_hi(add_clamp_hi),
                    .lower_is_activation(add_lower_is_activation),
                    .q_q(sum),
                    .saturated_q(sum_saturated)
                );
                assign result[d*8 +: 8] = add_enable ? sum : table_out[d*8 +: 8];
                assign add_saturated[d] = add_enable && add_used[d] && sum_saturated;
            end else begin : gen_no_add
                assign result[d*8 +: 8] = table_out[d*8 +: 8];
                assign add_saturated[d] = 1'b0;
            end
        end
    endgenerate

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

    // ---- write back ---------------------------------------------------------------------------
    wire layer_end_d0 = octile_end && layer_last_q;
    wire [RW+AW+NSEG+1:0] write_lane, write_add;
    delay_line #(.WIDTH(RW+AW+NSEG+2), .STAGES(TO_ADD_IN)) u_write_lane (
        .clk(clk),
        .in({in_image && !rst, layer_end_d0 && !rst, out_rem, out_word_q + out_quot, seg}),
        .out(write_lane)
    );
    generate
        if (HAS_ADD) begin : gen_write_add
            // a layer without a residual writes without the add's latency, and leaves this line empty
            delay_line #(.WIDTH(RW+AW+NSEG+2), .STAGES(ADD_LATENCY)) u_write_add (
                .clk(clk),
                .in(write_lane & {RW+AW+NSEG+2{add_enable}}),
                .out(write_add)
            );
            assign {write_valid, layer_done, write_bank, write_addr, write_seg} =
                add_enable ? write_add : write_lane;
        end else begin : gen_write_lane
            assign write_add = {RW+AW+NSEG+2{1'b0}};
            wire unused_write_add = &{1'b0, write_add};
            assign {write_valid, layer_done, write_bank, write_addr, write_seg} = write_lane;
        end
    endgenerate
    assign write_data = {(WB/D){result}};

    // ---- saturation counter -------------------------------------------------------------------
    wire       lane_valid;
    delay_line #(.WIDTH(1), .STAGES(TO_LANE_OUT)) u_lane_valid (
        .clk(clk), .in(in_image && !rst), .out(lane_valid)
    );
    reg [31:0] lane_count, add_count, count_q;
    integer sc;
    always @* begin
        lane_count = 0;
        add_count  = 0;
        for (sc = 0; sc < D; sc = sc + 1) begin
            lane_count = lane_count + {31'd0, lane_saturated[sc] && lane_used[sc] && lane_valid};
            add_count  = add_count + {31'd0, add_saturated[sc] && write_valid};
        end
    end
    always @(posedge clk) begin
        count_q       <= lane_count + add_count;
        saturations_q <= (rst || stats_clear) ? 32'd0 : saturations_q + count_q;
    end
endmodule
