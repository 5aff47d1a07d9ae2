// Purpose   mac_column: dot product of one pixel with a pair of output channels over IC input
//           channels, two INT8 products per DSP, DSPs chained in groups of at most CHAIN; the first
//           FABRIC chains are built of LUTs.
// Equation  acc0 = sum_t 2^(UNIT*shift) * sum_ic w0*a, acc1 = sum_t 2^(UNIT*shift) * sum_ic w1*a over the
//           steps up to and with the last; shift is 0, 1 or 2. UNIT 0: no shifts.
// Latency   MAC 4 + (CHAIN-1) + split 1 + tree LEVELS + accumulator 1; initiation interval 1.
// The operands of input channel ic arrive `skew(ic)` cycles late (the dot_array delays them), so
// that each product meets the partial sum of its chain.
module mac_column #(
    parameter IC     = 8,
    parameter CHAIN  = 4,
    parameter LEVELS = 1,
    parameter FABRIC = 0,
    parameter ACCW   = 25,
    parameter UNIT   = 0
) (
    input  wire                   clk,
    input  wire [IC*8-1:0]        w1,
    input  wire [IC*8-1:0]        w0,
    input  wire [IC*8-1:0]        act,
    input  wire                   clear,       // forgets a sum that was left unfinished
    input  wire                   acc_valid,
    input  wire                   acc_last,    // a valid step, and the last one
    input  wire [1:0]             shift,       // of the step, in units of UNIT bits
    output reg  signed [ACCW-1:0] acc1_q,      // finished sums, until the next ones
    output reg  signed [ACCW-1:0] acc0_q
);
    localparam NCHAIN = (IC + CHAIN - 1) / CHAIN;
    localparam SUMW = 18 + LEVELS;
    wire [NCHAIN*17-1:0] lo;
    wire [NCHAIN*18-1:0] hi;
    genvar c, j;
    generate
        for (c = 0; c < NCHAIN; c = c + 1) begin : gen_chain
            localparam LEN = (IC - c * CHAIN < CHAIN) ? IC - c * CHAIN : CHAIN;
            wire signed [16:0] lo_c;
            wire signed [17:0] hi_c;
            reg  signed [16:0] lo_q;
            reg  signed [17:0] hi_q;
            if (c < FABRIC) begin : gen_fabric
                wire [17*(LEN+1)-1:0] lo_chain;
                wire [18*(LEN+1)-1:0] hi_chain;
                assign lo_chain[16:0] = 17'd0;
                assign hi_chain[17:0] = 18'd0;
                for (j = 0; j < LEN; j = j + 1) begin : gen_mac
                    lut_mac u_mac (
                        .clk(clk),
                        .w1(w1[(c*CHAIN+j)*8 +: 8]),
                        .w0(w0[(c*CHAIN+j)*8 +: 8]),
                        .a(act[(c*CHAIN+j)*8 +: 8]),
                        .lo_in(lo_chain[17*j +: 17]),
                        .hi_in(hi_chain[18*j +: 18]),
                        .lo_q(lo_chain[17*(j+1) +: 17]),
                        .hi_q(hi_chain[18*(j+1) +: 18])
                    );
                end
                assign lo_c = lo_chain[17*LEN +: 17];
                assign hi_c = hi_chain[18*LEN +: 18];
            end else begin : gen_packed
                wire [48*(LEN+1)-1:0] cascade;
                assign cascade[47:0] = 48'd0;
                for (j = 0; j < LEN; j = j + 1) begin : gen_mac
                    packed_mac u_mac (
                        .clk(clk),
                        .w1(w1[(c*CHAIN+j)*8 +: 8]),
                        .w0(w0[(c*CHAIN+j)*8 +: 8]),
                        .a(act[(c*CHAIN+j)*8 +: 8]),
                        .pcin(cascade[48*j +: 48]),
                        .p_q(cascade[48*(j+1) +: 48])
                    );
                end
                lane_split u_split (.p(cascade[48*LEN +: 48]), .lo(lo_c), .hi(hi_c));
            end
            always @(posedge clk) begin
                lo_q <= lo_c;
                hi_q <= hi_c;
            end
            assign lo[c*17 +: 17] = lo_q;
            assign hi[c*18 +: 18] = hi_q;
        end
    endgenerate

    wire signed [SUMW-1:0] sum0, sum1;
    sum_tree #(.N(NCHAIN), .WI(17), .WO(SUMW), .LEVELS(LEVELS)) u_sum0 (.clk(clk), .in(lo), .sum(sum0));
    sum_tree #(.N(NCHAIN), .WI(18), .WO(SUMW), .LEVELS(LEVELS)) u_sum1 (.clk(clk), .in(hi), .sum(sum1));

    wire signed [ACCW-1:0] term0, term1;
    generate
        if (UNIT > 0) begin : gen_shift         // three choices and the running sum: one LUT6 per bit
            wire signed [ACCW-1:0] wide0 = {{(ACCW-SUMW){sum0[SUMW-1]}}, sum0};
            wire signed [ACCW-1:0] wide1 = {{(ACCW-SUMW){sum1[SUMW-1]}}, sum1};
            assign term0 = shift[1] ? wide0 <<< (2*UNIT) : shift[0] ? wide0 <<< UNIT : wide0;
            assign term1 = shift[1] ? wide1 <<< (2*UNIT) : shift[0] ? wide1 <<< UNIT : wide1;
        end else begin : gen_no_shift
            wire unused_shift = &{1'b0, shift};
            assign term0 = {{(ACCW-SUMW){sum0[SUMW-1]}}, sum0};
            assign term1 = {{(ACCW-SUMW){sum1[SUMW-1]}}, sum1};
        end
    endgenerate

    // the last step resets the running sums: no gate in front of the adders
    reg  signed [ACCW-1:0] run0_q, run1_q;
    wire signed [ACCW-1:0] next0 = run0_q + term0;
    wire signed [ACCW-1:0] next1 = run1_q + term1;
    always @(posedge clk) begin
        if (clear || acc_last) begin
            run0_q <= {ACCW{1'b0}};
            run1_q <= {ACCW{1'b0}};
        end else if (acc_valid) begin
            run0_q <= next0;
            run1_q <= next1;
        end
        if (acc_last) begin
            acc0_q <= next0;
            acc1_q <= next1;
        end
    end
endmodule
