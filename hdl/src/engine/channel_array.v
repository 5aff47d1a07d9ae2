// Purpose   channel_array: per-channel maximum or sum over a window for P pixels x IC channels
//           (pooling; a 1x1 maximum copies).
// Equation  acc = first ? x : (sum ? acc + x : max(acc, x)); with `reduce` pixel 0 is the sum of
//           the accumulators of all pixel lanes (a global average splits its window over them)
// Latency   1 cycle from `act` to the accumulators, LEVELS more with `reduce`; initiation
//           interval 1; never stalls.
module channel_array #(
    parameter P    = 3,
    parameter OC   = 16,
    parameter IC   = 8,
    parameter CW   = 16,
    parameter LEVELS = 2,
    parameter ACCW = 25
) (
    input  wire                 clk,
    input  wire                 sum_mode,
    input  wire                 reduce,
    input  wire [P*IC*8-1:0]    act,
    input  wire                 step_valid,
    input  wire                 step_first,
    input  wire                 step_last,
    input  wire                 tile_last,
    input  wire                 layer_last,
    output wire [P*OC*ACCW-1:0] acc,        // channel c of a pixel repeats in slots c, c+IC, ...
    output wire                 acc_done,
    output wire                 acc_tile_last,
    output wire                 acc_layer_last
);
    wire [P*IC*CW-1:0] lane_acc;       // [pixel][channel]
    wire [IC*CW-1:0]   lane_sum;
    genvar p, c, o;
    generate
        for (p = 0; p < P; p = p + 1) begin : gen_pixel
            for (c = 0; c < IC; c = c + 1) begin : gen_channel
                wire signed [7:0]    x8 = act[(p*IC+c)*8 +: 8];
                wire signed [CW-1:0] x  = {{(CW-8){x8[7]}}, x8};
                reg  signed [CW-1:0] acc_q;
                wire signed [7:0]    largest;
                pool_max u_max (.a(acc_q[7:0]), .b(x8), .y(largest));
                always @(posedge clk) begin
                    if (step_valid)
                        acc_q <= step_first ? x
                               : sum_mode ? acc_q + x
                               : {{(CW-8){largest[7]}}, largest};
                end
                assign lane_acc[(p*IC+c)*CW +: CW] = acc_q;
            end
            for (o = 0; o < OC; o = o + 1) begin : gen_slot
                wire [CW-1:0] own   = lane_acc[(p*IC+o%IC)*CW +: CW];
                wire [CW-1:0] total = lane_sum[(o%IC)*CW +: CW];
                wire [CW-1:0] slot  = (p == 0 && reduce) ? total : own;
                assign acc[(p*OC+o)*ACCW +: ACCW] = {{(ACCW-CW){slot[CW-1]}}, slot};
            end
        end
        for (c = 0; c < IC; c = c + 1) begin : gen_reduce
            wire [P*CW-1:0] lanes;
            for (p = 0; p < P; p = p + 1) begin : gen_gather
                assign lanes[p*CW +: CW] = lane_acc[(p*IC+c)*CW +: CW];
            end
            sum_tree #(.N(P), .WI(CW), .WO(CW), .LEVELS(LEVELS)) u_sum (
                .clk(clk), .in(lanes), .sum(lane_sum[c*CW +: CW])
            );
        end
    endgenerate

    wire [2:0] flags, flags_reduced;
    delay_line #(.WIDTH(3), .STAGES(1)) u_flags (
        .clk(clk), .in({step_valid && step_last, tile_last, layer_last}), .out(flags)
    );
    delay_line #(.WIDTH(3), .STAGES(LEVELS)) u_flags_reduced (
        .clk(clk), .in(flags), .out(flags_reduced)
    );
    assign {acc_done, acc_tile_last, acc_layer_last} = reduce ? flags_reduced : flags;
endmodule
