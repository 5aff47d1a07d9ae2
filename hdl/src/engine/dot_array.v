// Purpose   dot_array: output-stationary array of P pixels x OC output channels x IC input
//           channels; one column of DSP chains per pixel and pair of output channels; the first FABRIC
//           chains are built of LUTs. The sums of a step count 2^(UNIT*shift) times; UNIT 0: no shifts.
// Latency   LATENCY cycles from `act` to the accumulators; initiation interval 1; never stalls.
module dot_array #(
    parameter P      = 3,
    parameter OC     = 16,
    parameter IC     = 8,
    parameter CHAIN  = 4,
    parameter LEVELS = 1,
    parameter FABRIC = 0,
    parameter ACCW   = 25,
    parameter UNIT   = 0
) (
    input  wire                  clk,
    input  wire [P*IC*8-1:0]     act,
    input  wire [OC*IC*8-1:0]    weight,      // [oc][ic]
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

    wire [P*IC*8-1:0]  act_skewed;
    wire [OC*IC*8-1:0] weight_skewed;
    genvar p, o, k;
    generate
        for (k = 0; k < IC; k = k + 1) begin : gen_skew
            localparam FIRST = (k / CHAIN) * CHAIN;
            localparam LEN   = (IC - FIRST < CHAIN) ? IC - FIRST : CHAIN;
            localparam SKEW  = (k - FIRST) + (CHAIN - LEN);
            for (p = 0; p < P; p = p + 1) begin : gen_act
                delay_line #(.WIDTH(8), .STAGES(SKEW)) u_act (
                    .clk(clk),
                    .in(act[(p*IC+k)*8 +: 8]),
                    .out(act_skewed[(p*IC+k)*8 +: 8])
                );
            end
            for (o = 0; o < OC; o = o + 1) begin : gen_weight
                delay_line #(.WIDTH(8), .STAGES(SKEW)) u_weight (
                    .clk(clk),
                    .in(weight[(o*IC+k)*8 +: 8]),
                    .out(weight_skewed[(o*IC+k)*8 +: 8])
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
    endgenerate
endmodule
