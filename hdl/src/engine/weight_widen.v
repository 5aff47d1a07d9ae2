// Purpose   weight_widen: from a word of weights on chip those of one step, 8 bits each. Byte n of a word
//           has weight n of one step in 8 bits, or of the next two (four) steps in 4 (2) bits, the
//           first one's lowest; `step` says which: a word has 2**PW parts, and a step takes `step` of them.
// Equation  weight[n] = sign-extended bits 8*n + part * 8/2**PW and following of the word
// Latency   1 from `word` and 3 from `part`, which comes with the word's address; `step` belongs to the
//           layer; initiation interval 1; never stalls.
module weight_widen #(
    parameter BYTES = 32,
    parameter PW    = 1      // 1: weights of 8 and 4 bits; 2: of 2 bits, too
) (
    input  wire               clk,
    input  wire [PW:0]        step,
    input  wire [PW-1:0]      part,
    input  wire [BYTES*8-1:0] word,
    output reg  [BYTES*8-1:0] weight_q
);
    wire [PW-1:0] part_late;
    delay_line #(.WIDTH(PW), .STAGES(2)) u_part (.clk(clk), .in(part), .out(part_late));
    wire wide = step[PW];
    wire high = part_late[PW-1];
    wire [BYTES*8-1:0] weight;
    genvar n;
    generate
        for (n = 0; n < BYTES; n = n + 1) begin : gen_weight
            wire [7:0] all  = word[n*8 +: 8];
            wire [3:0] half = high ? all[7:4] : all[3:0];    // of a wide weight the low one
            wire [3:0] low;
            if (PW == 1) begin : gen_half
                assign low = half;
            end else begin : gen_quarter
                // only weights of two bits have odd parts
                wire [1:0] quarter = part_late[0] ? half[3:2] : half[1:0];
                assign low = {step[0] ? {2{quarter[1]}} : half[3:2], quarter};
            end
            assign weight[n*8 +: 8] = {wide ? all[7:4] : {4{low[3]}}, low};
        end
    endgenerate
    always @(posedge clk) weight_q <= weight;
endmodule
