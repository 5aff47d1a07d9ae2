// Purpose   pair_exceptions: offset of a residual addition for one pair of operands; E pairs of a
//           layer round one up or one down from what the multiply-add gives.
// Equation  offset_q = pair listed ? (up ? offset_up : offset_down) : offset
// Latency   1; initiation interval 1; never stalls. The list and the offsets are constants of a layer.
module pair_exceptions #(
    parameter E = 1,
    parameter OFFSETW = 36
) (
    input  wire                      clk,
    input  wire [7:0]                a,
    input  wire [7:0]                b,
    input  wire [E*18-1:0]           pairs,    // per entry: used, up, a, b
    input  wire signed [OFFSETW-1:0] offset,
    input  wire signed [OFFSETW-1:0] offset_up,
    input  wire signed [OFFSETW-1:0] offset_down,
    output reg  [7:0]                a_q,
    output reg  [7:0]                b_q,
    output reg  signed [OFFSETW-1:0] offset_q
);
    wire [E-1:0] up, down;
    genvar e;
    generate
        for (e = 0; e < E; e = e + 1) begin : gen_entry
            wire listed = pairs[e*18+17] && pairs[e*18 +: 16] == {a, b};
            assign up[e]   = listed && pairs[e*18+16];
            assign down[e] = listed && !pairs[e*18+16];
        end
    endgenerate
    always @(posedge clk) begin
        a_q      <= a;
        b_q      <= b;
        offset_q <= |up ? offset_up : |down ? offset_down : offset;
    end
endmodule
