// Purpose   dot_array: output-stationary array of P pixels x OC output channels x IC input
//           channels; one column of DSP chains per pixel and pair of output channels; the first FABRIC
//           chains are built of LUTs. The sums of a step count 2^(UNIT*shift) times; UNIT 0: no shifts. With four
//           products per DSP (PRODUCTS, operands of W = 4 bits) a column has two pixels.
// Latency   LATENCY cycles from `act` to the accumulators; initiation interval 1; never stalls.
module dot_array #(
    parameter P      = 3,
    parameter OC     = 16,
    parameter IC     = 8,
    parameter CHAIN  = 4,
    parameter LEVELS = 1,
    parameter FABRIC = 0,
    parameter PRODUCTS = 2,
    parameter W      = 8,
    parameter ACCW   = 25,
    parameter UNIT   = 0
) (
    input  wire                  clk,
    input  wire [P*IC*W-1:0]     act,
    input  wire [OC*IC*W-1:0]    weight,      // [oc][ic]
    input  wire                  clear,       // forgets a sum that was left unfinished
    input  wire                  step_valid,
    input  wire                  step_last,
    input  wire [1:0]            step_shift,
    input  wire                  tile_last,
    input  wire                  layer_last,
    output wire [P*OC*ACCW-1:0]  acc,         // [pixel][oc]
    output wire                  acc_done,    // the accumulators hold a finished tile this cycle
    output wire                  acc_tile_last,
    output wire                  acc_layer_last
);
    localparam MAC_LATENCY = 4;
    localparam NCHAIN      = (IC + CHAIN - 1) / CHAIN;
    localparam BEFORE_ACC  = MAC_LATENCY + (CHAIN - 1) + 1 + LEVELS;

    wire [P*IC*W-1:0]  act_skewed;
    wire [OC*IC*W-1:0] weight_skewed;
    genvar p, o, k;
    generate
        for (k = 0; k < IC; k = k + 1) begin : gen_skew
            localparam FIRST = (k / CHAIN) * CHAIN;
            localparam LEN   = (IC - FIRST < CHAIN) ? IC - FIRST : CHAIN;
            localparam SKEW  = (k - FIRST) + (CHAIN - LEN);
            for (p = 0; p < P; p = p + 1) begin : gen_act
                delay_line #(.WIDTH(W), .STAGES(SKEW)) u_act (
                    .clk(clk),
                    .in(act[(p*IC+k)*W +: W]),
                    .out(act_skewed[(p*IC+k)*W +: W])
                );
            end
            for (o = 0; o < OC; o = o + 1) begin : gen_weight
                delay_line #(.WIDTH(W), .STAGES(SKEW)) u_weight (
                    .clk(clk),
                    .in(weight[(o*IC+k)*W +: W]),
                    .out(weight_skewed[(o*IC+k)*W +: W])
                );
            end
        end
    endgenerate

    wire acc_valid, last_before;
    wire [1:0] shift_before;
    generate
        if (UNIT > 0) begin : gen_shift
            delay_line #(.WIDTH(2), .STAGES(BEFORE_ACC)) u_shift (
                .clk(clk), .in(step_shift), .out(shift_before)
            );
        end else begin : gen_no_shift
            assign shift_before = step_shift;
        end
    endgenerate
    wire tile_last_before, layer_last_before;
    delay_line #(.WIDTH(4), .STAGES(BEFORE_ACC)) u_flags (
        .clk(clk),
        .in({step_valid, step_valid && step_last, tile_last, layer_last}),
        .out({acc_valid, last_before, tile_last_before, layer_last_before})
    );
    delay_line #(.WIDTH(3), .STAGES(1)) u_done (
        .clk(clk),
        .in({last_before, tile_last_before, layer_last_before}),
        .out({acc_done, acc_tile_last, acc_layer_last})
    );

    generate
        if (PRODUCTS == 2) begin : gen_two
            for (p = 0; p < P; p = p + 1) begin : gen_pixel
                for (o = 0; o < OC; o = o + 2) begin : gen_pair
                    localparam BEFORE = (p * OC + o) / 2 * NCHAIN;
                    localparam OWN    = FABRIC <= BEFORE ? 0 : FABRIC - BEFORE;
                    mac_column #(
                        .IC(IC), .CHAIN(CHAIN), .LEVELS(LEVELS), .FABRIC(OWN), .ACCW(ACCW), .UNIT(UNIT)
                    ) u_column (
                        .clk(clk),
                        .w1(weight_skewed[(o+1)*IC*8 +: IC*8]),
                        .w0(weight_skewed[o*IC*8 +: IC*8]),
                        .act(act_skewed[p*IC*8 +: IC*8]),
                        .clear(clear),
                        .acc_valid(acc_valid),
                        .acc_last(last_before),
                        .shift(shift_before),
                        .acc1_q(acc[(p*OC+o+1)*ACCW +: ACCW]),
                        .acc0_q(acc[(p*OC+o)*ACCW +: ACCW])
                    );
                end
            end
        end else begin : gen_four
            wire unused_shift = shift_before[1];
            for (p = 0; p < P; p = p + 2) begin : gen_pixels
                wire [IC*15-1:0] operands;
                for (k = 0; k < IC; k = k + 1) begin : gen_operand
                    wire [3:0] above;
                    if (p + 1 < P) begin : gen_above
                        assign above = act_skewed[((p+1)*IC+k)*W +: W];
                    end else begin : gen_alone
                        assign above = 4'd0;
                    end
                    quad_operand u_operand (
                        .a1(above), .a0(act_skewed[(p*IC+k)*W +: W]), .a(operands[k*15 +: 15])
                    );
                end
                for (o = 0; o < OC; o = o + 2) begin : gen_pair
                    wire [4*ACCW-1:0] sums;
                    quad_column #(
                        .IC(IC), .CHAIN(CHAIN), .LEVELS(LEVELS), .ACCW(ACCW)
                    ) u_column (
                        .clk(clk),
                        .w1(weight_skewed[(o+1)*IC*W +: IC*W]),
                        .w0(weight_skewed[o*IC*W +: IC*W]),
                        .act(operands),
                        .clear(clear),
                        .acc_valid(acc_valid),
                        .acc_high(shift_before[0]),
                        .acc_last(last_before),
                        .acc(sums)
                    );
                    assign acc[(p*OC+o)*ACCW +: 2*ACCW] = sums[0 +: 2*ACCW];
                    if (p + 1 < P) begin : gen_above
                        assign acc[((p+1)*OC+o)*ACCW +: 2*ACCW] = sums[2*ACCW +: 2*ACCW];
                    end else begin : gen_alone
                        wire unused_sums = &{1'b0, sums[2*ACCW +: 2*ACCW]};
                    end
                end
            end
        end
    endgenerate
endmodule
