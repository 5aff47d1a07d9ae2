// Purpose   sum_tree: registered binary adder tree over N signed values.
// Latency   LEVELS = ceil(log2 N); initiation interval 1; never stalls.
module sum_tree #(
    parameter N      = 2,
    parameter WI     = 18,
    parameter WO     = 19,
    parameter LEVELS = 1
) (
    input  wire                 clk,
    input  wire [N*WI-1:0]      in,
    output wire signed [WO-1:0] sum
);
    localparam HALF = (N + 1) / 2;
    generate
        if (LEVELS == 0) begin : gen_leaf
            wire unused_clk = clk;
            if (WO == WI) begin : gen_same
                assign sum = in;
            end else begin : gen_wider
                assign sum = {{(WO-WI){in[WI-1]}}, in};
            end
        end else if (N == 1) begin : gen_pass
            wire signed [WO-1:0] below;
            reg  signed [WO-1:0] sum_q;
            sum_tree #(.N(1), .WI(WI), .WO(WO), .LEVELS(LEVELS-1)) u_pass (
                .clk(clk), .in(in), .sum(below)
            );
            always @(posedge clk) sum_q <= below;
            assign sum = sum_q;
        end else begin : gen_node
            wire signed [WO-1:0] low, high;
            reg  signed [WO-1:0] sum_q;
            sum_tree #(.N(HALF), .WI(WI), .WO(WO), .LEVELS(LEVELS-1)) u_low (
                .clk(clk), .in(in[0 +: HALF*WI]), .sum(low)
            );
            sum_tree #(.N(N-HALF), .WI(WI), .WO(WO), .LEVELS(LEVELS-1)) u_high (
                .clk(clk), .in(in[HALF*WI +: (N-HALF)*WI]), .sum(high)
            );
            always @(posedge clk) sum_q <= low + high;
            assign sum = sum_q;
        end
    endgenerate
endmodule
