// Purpose   pixel_walker: place of one pixel after the other of a region in a banked buffer.
// Equation  flat = quot * P + rem, from start_rem on; a step adds step_quot * P + step_rem, at the
//           end of a row the distance to the next row (row_quot * P + row_rem)
// Latency   1 (registered); initiation interval 1; advances when told.
module pixel_walker #(
    parameter P  = 3,
    parameter RW = 2,
    parameter AW = 9
) (
    input  wire          clk,
    input  wire          restart,
    input  wire          advance,
    input  wire          row_end,
    input  wire [RW-1:0] start_rem,
    input  wire [AW-1:0] step_quot,
    input  wire [RW-1:0] step_rem,
    input  wire [AW-1:0] row_quot,
    input  wire [RW-1:0] row_rem,
    output reg  [AW-1:0] quot_q,
    output reg  [RW-1:0] rem_q
);
    wire [RW-1:0] rem_next;
    wire          carry;
    bank_step #(.P(P), .RW(RW)) u_bank (
        .rem(rem_q),
        .delta(row_end ? row_rem : step_rem),
        .next(rem_next),
        .carry(carry)
    );
    always @(posedge clk) begin
        if (restart) begin
            quot_q <= 0;
            rem_q  <= start_rem;
        end else if (advance) begin
            quot_q <= quot_q + (row_end ? row_quot : step_quot) + {{(AW-1){1'b0}}, carry};
            rem_q  <= rem_next;
        end
    end
endmodule
