// Purpose   channel_array: per-channel maximum, sum or weighted sum over a window for P pixels x
//           C channels (pooling, depthwise convolution; a sum over 1x1 copies).
// Equation  y = weighted ? w*x : x;  acc = first ? y : (max_mode ? max(acc, y) : acc + y);
//           with `reduce` pixel 0 is the sum of the accumulators of all pixel lanes (a global
//           average splits its window over them)
// Latency   1 cycle from `act` to the accumulators, 3 more with HAS_WEIGHTS, LEVELS more with
//           `reduce`; initiation interval 1; never stalls.
module channel_array #(
    parameter P    = 3,
    parameter C    = 8,
    parameter CW   = 16,
    parameter LEVELS = 2,
    parameter HAS_MAX     = 0,
    parameter HAS_WEIGHTS = 0
) (
    input  wire                 clk,
    input  wire                 max_mode,
    input  wire                 weighted,
    input  wire                 reduce,
    input  wire [P*C*8-1:0]     act,
    input  wire [C*8-1:0]       weight,
    input  wire                 clear,       // forgets a sum that was left unfinished
    input  wire                 step_valid,
    input  wire                 step_first,
    input  wire                 step_last,
    input  wire                 tile_last,
    input  wire                 layer_last,
    output wire [P*C*CW-1:0]    acc,        // [pixel][channel]
    output wire                 acc_done,
    output wire                 acc_tile_last,
    output wire                 acc_layer_last
);
    localparam BEFORE_ACC = HAS_WEIGHTS ? 3 : 0;
    wire acc_valid, acc_first, last_before, tile_last_before, layer_last_before;
    delay_line #(.WIDTH(5), .STAGES(BEFORE_ACC)) u_flags (
        .clk(clk),
        .in({step_valid, step_first, step_valid && step_last, tile_last, layer_last}),
        .out({acc_valid, acc_first, last_before, tile_last_before, layer_last_before})
    );

    // ---- products; the multiplier leaves a carry to the accumulator's adder ---------------------
    wire [P*C*16-1:0] product;
    wire [C-1:0]      carry;
    genvar p, c;
    generate
        if (HAS_WEIGHTS) begin : gen_weights
            reg  [C*8-1:0]   weight_q;
            reg  [P*C*8-1:0] act_q;
            wire [P*C-1:0]   carries;       // the same for all pixels: it depends on the weight only
            wire             unused_carries = &{1'b0, carries};
            always @(posedge clk) begin
                weight_q <= weighted ? weight : {C{8'd1}};
                act_q    <= act;
            end
            for (p = 0; p < P; p = p + 1) begin : gen_pixel
                for (c = 0; c < C; c = c + 1) begin : gen_channel
                    channel_mul u_mul (
                        .clk(clk),
                        .x(act_q[(p*C+c)*8 +: 8]),
                        .w(weight_q[c*8 +: 8]),
                        .product_q(product[(p*C+c)*16 +: 16]),
                        .carry_q(carries[p*C+c])
                    );
                end
            end
            assign carry = carries[C-1:0];
        end else begin : gen_no_weights
            wire unused_weights = &{1'b0, weighted, weight};
            for (c = 0; c < P*C; c = c + 1) begin : gen_value
                assign product[c*16 +: 16] = {{8{act[c*8+7]}}, act[c*8 +: 8]};
            end
            assign carry = {C{1'b0}};
        end
    endgenerate

    // ---- accumulators ---------------------------------------------------------------------------
    wire [P*C*CW-1:0] lane_acc;        // [pixel][channel]
    wire [C*CW-1:0]   lane_sum;
    generate
        for (p = 0; p < P; p = p + 1) begin : gen_pixel
            for (c = 0; c < C; c = c + 1) begin : gen_channel
                wire signed [15:0]   y = product[(p*C+c)*16 +: 16];
                // the last step resets the running value: no gate in front of the adder
                reg  signed [CW-1:0] run_q, acc_q;
                wire signed [CW-1:0] next;
                wire signed [CW:0]   sum = {{{(CW-16){y[15]}}, y, carry[c]}} + {run_q, 1'b1};
                wire                 unused_sum = &{1'b0, sum[0]};
                if (HAS_MAX) begin : gen_max
                    wire signed [7:0] largest;
                    pool_max u_max (.a(run_q[7:0]), .b(y[7:0]), .y(largest));
                    assign next = (max_mode && !acc_first) ? {{(CW-8){largest[7]}}, largest}
                                                           : sum[CW:1];
                end else begin : gen_no_max
                    wire unused_max = &{1'b0, max_mode, acc_first};
                    assign next = sum[CW:1];
                end
                always @(posedge clk) begin
                    if (clear || last_before) run_q <= {CW{1'b0}};
                    else if (acc_valid) run_q <= next;
                    if (last_before) acc_q <= next;
                end
                assign lane_acc[(p*C+c)*CW +: CW] = acc_q;
                assign acc[(p*C+c)*CW +: CW] =
                    (p == 0 && reduce) ? lane_sum[c*CW +: CW] : lane_acc[(p*C+c)*CW +: CW];
            end
        end
        for (c = 0; c < C; c = c + 1) begin : gen_reduce
            wire [P*CW-1:0] lanes;
            for (p = 0; p < P; p = p + 1) begin : gen_gather
                assign lanes[p*CW +: CW] = lane_acc[(p*C+c)*CW +: CW];
            end
            sum_tree #(.N(P), .WI(CW), .WO(CW), .LEVELS(LEVELS)) u_sum (
                .clk(clk), .in(lanes), .sum(lane_sum[c*CW +: CW])
            );
        end
    endgenerate

    wire [2:0] flags, flags_reduced;
    delay_line #(.WIDTH(3), .STAGES(1)) u_done (
        .clk(clk), .in({last_before, tile_last_before, layer_last_before}), .out(flags)
    );
    delay_line #(.WIDTH(3), .STAGES(LEVELS)) u_done_reduced (
        .clk(clk), .in(flags), .out(flags_reduced)
    );
    assign {acc_done, acc_tile_last, acc_layer_last} = reduce ? flags_reduced : flags;
endmodule
