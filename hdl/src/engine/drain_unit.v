// Purpose   drain_unit: requantizer lanes of one of the drain's pixels, D channels at a time, and the
//           activation table.
// Equation  result = table[requant(acc)] of the pixel of phase `phase` and the channels of `group`
// Latency   2 + LANE_LATENCY from `phase` and `group` to `saturated`, the table's 1 more to `result`;
//           parameters come 2 cycles after the group; initiation interval 1; never stalls.
module drain_unit #(
    parameter PHASES = 3,
    parameter RW    = 2,
    parameter NW    = 10,
    parameter AC    = 16,
    parameter D     = 8,
    parameter ACCW  = 25,
    parameter BIASW = 25,
    parameter HAS_TABLE = 0,
    parameter TIW   = 1
) (
    input  wire                      clk,
    input  wire [PHASES*AC*ACCW-1:0] acc,
    input  wire [RW-1:0]             phase,
    input  wire [NW-1:0]             group,
    input  wire [D*(BIASW+38)-1:0]   param_data,
    input  wire signed [7:0]         zero_point,
    input  wire signed [7:0]         clamp_lo,
    input  wire signed [7:0]         clamp_hi,
    input  wire                      lower_is_activation,
    input  wire                      table_enable,
    input  wire [TIW-1:0]            table_index,
    output wire [D*8-1:0]            result,
    output wire [D-1:0]              saturated
);
    localparam PARAMW = BIASW + 31 + 6 + 1;
    wire [D*ACCW-1:0] lane_acc;
    generate
        if (PHASES > 1) begin : gen_phases      // the pixel, then its channels
            wire [AC*ACCW-1:0] pixel_acc;
            wire [D*ACCW-1:0]  group_acc;
            reg  [AC*ACCW-1:0] pixel_acc_q;
            reg  [D*ACCW-1:0]  group_acc_q;
            reg  [NW-1:0]      group_d1_q;
            word_select #(.N(PHASES), .W(AC*ACCW), .SW(RW)) u_pixel (
                .words(acc), .select(phase), .word(pixel_acc)
            );
            word_select #(.N(AC/D), .W(D*ACCW), .SW(NW)) u_group (
                .words(pixel_acc_q), .select(group_d1_q), .word(group_acc)
            );
            always @(posedge clk) begin
                pixel_acc_q <= pixel_acc;
                group_d1_q  <= group;
                group_acc_q <= group_acc;
            end
            assign lane_acc = group_acc_q;
        end else begin : gen_one_phase          // the channels of the unit's only pixel
            wire [D*ACCW-1:0] group_acc;
            reg  [D*ACCW-1:0] group_acc_q, lane_acc_q;
            wire unused_phase = &{1'b0, phase};
            word_select #(.N(AC/D), .W(D*ACCW), .SW(NW)) u_group (
                .words(acc), .select(group), .word(group_acc)
            );
            always @(posedge clk) begin
                group_acc_q <= group_acc;
                lane_acc_q  <= group_acc_q;
            end
            assign lane_acc = lane_acc_q;
        end
    endgenerate

    genvar d;
    generate
        for (d = 0; d < D; d = d + 1) begin : gen_lane
            wire [7:0] lane_q;
            requant_lane u_requant (
                .clk(clk),
                .acc(lane_acc[d*ACCW +: ACCW]),
                .bias(param_data[d*PARAMW +: BIASW]),
                .multiplier(param_data[d*PARAMW + BIASW +: 31]),
                .shift(param_data[d*PARAMW + BIASW + 31 +: 6]),
                .double_round(param_data[d*PARAMW + BIASW + 37]),
                .zero_point(zero_point),
                .clamp_lo(clamp_lo),
                .clamp_hi(clamp_hi),
                .lower_is_activation(lower_is_activation),
                .q_q(lane_q),
                .saturated_q(saturated[d])
            );
            if (HAS_TABLE) begin : gen_table
                activation_table u_table (
                    .clk(clk),
                    .enable(table_enable),
                    .index(table_index),
                    .x(lane_q),
                    .y_q(result[d*8 +: 8])
                );
            end else begin : gen_no_table
                wire unused_table = &{1'b0, table_enable, table_index};
                assign result[d*8 +: 8] = lane_q;
            end
        end
    endgenerate
endmodule
