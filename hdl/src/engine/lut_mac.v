// Purpose   lut_mac: two INT8 multiply-accumulates in LUTs, in the place of a packed_mac where the DSPs
//           of a device do not suffice; its two sums are apart, so they need no lane_split.
// Equation  lo = lo_in + w0 * a; hi = hi_in + w1 * a
// Latency   4 from w1, w0, a; 1 from lo_in, hi_in; initiation interval 1; never stalls.
module lut_mac (
    input  wire        clk,
    input  wire [7:0]  w1,
    input  wire [7:0]  w0,
    input  wire [7:0]  a,
    input  wire [16:0] lo_in,
    input  wire [17:0] hi_in,
    output reg  [16:0] lo_q,
    output reg  [17:0] hi_q
);
    reg  [7:0]  w1_q, w0_q, a_q;
    wire [15:0] product0, product1;
    wire        carry0, carry1;
    always @(posedge clk) begin
        w1_q <= w1;
        w0_q <= w0;
        a_q  <= a;
    end
    channel_mul u_mul0 (.clk(clk), .x(w0_q), .w(a_q), .product_q(product0), .carry_q(carry0));
    channel_mul u_mul1 (.clk(clk), .x(w1_q), .w(a_q), .product_q(product1), .carry_q(carry1));
    // the carry is twice itself in an additional lowest bit: synthesis makes two adders of a third operand
    wire [17:0] lo_sum = {lo_in, carry0} + {product0[15], product0, carry0};
    wire [18:0] hi_sum = {hi_in, carry1} + {{2{product1[15]}}, product1, carry1};
    wire        unused_half = &{1'b0, lo_sum[0], hi_sum[0]};
    always @(posedge clk) begin
        lo_q <= lo_sum[17:1];
        hi_q <= hi_sum[18:1];
    end
endmodule
