// Purpose   bank_step: moves a pixel position by `delta` banks.
// Equation  rem + delta = carry * P + next, for rem and delta below P
// Latency   0 (combinational).
module bank_step #(
    parameter P  = 3,
    parameter RW = 2
) (
    input  wire [RW-1:0] rem,
    input  wire [RW-1:0] delta,
    output wire [RW-1:0] next,
    output wire          carry
);
    wire [RW:0] sum = {1'b0, rem} + {1'b0, delta};
    assign carry = sum >= P;
    assign next  = carry ? sum[RW-1:0] - P[RW-1:0] : sum[RW-1:0];
endmodule
