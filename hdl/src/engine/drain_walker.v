// Purpose   drain_walker: place of one of the Q pixels that the drain handles at once, from one group of Q
//           pixels to the next.
// Equation  flat = quot * P + rem; a step adds adv (adv_wrap where it passes the end of a row)
// Latency   1 (registered); initiation interval 1; advances when told.
module drain_walker #(
    parameter P  = 3,
    parameter RW = 2,
    parameter AW = 9,
    parameter XW = 8
) (
    input  wire          clk,
    input  wire          restart,
    input  wire          advance,
    input  wire [AW-1:0] init_quot,
    input  wire [RW-1:0] init_rem,
    input  wire [XW-1:0] init_col,
    input  wire [3:0]    init_row,
    input  wire [AW-1:0] adv_quot,
    input  wire [RW-1:0] adv_rem,
    input  wire [AW-1:0] adv_wrap_quot,
    input  wire [RW-1:0] adv_wrap_rem,
    input  wire [XW-1:0] adv_col,
    input  wire [3:0]    adv_row,
    input  wire [XW-1:0] enum_cols,
    output reg  [AW-1:0] quot_q,
    output reg  [RW-1:0] rem_q,
    output reg  [XW-1:0] col_q,
    output reg  [3:0]    row_q       // modulo 16: only differences within a group count
);
    wire [XW-1:0] next_col = col_q + adv_col;
    wire          wrap     = next_col >= enum_cols;
    wire [RW-1:0] rem_next;
    wire          carry;
    bank_step #(.P(P), .RW(RW)) u_bank (
        .rem(rem_q),
        .delta(wrap ? adv_wrap_rem : adv_rem),
        .next(rem_next),
        .carry(carry)
    );
    always @(posedge clk) begin
        if (restart) begin
            quot_q <= init_quot;
            rem_q  <= init_rem;
            col_q  <= init_col;
            row_q  <= init_row;
        end else if (advance) begin
            quot_q <= quot_q + (wrap ? adv_wrap_quot : adv_quot) + {{(AW-1){1'b0}}, carry};
            rem_q  <= rem_next;
            col_q  <= wrap ? next_col - enum_cols : next_col;
            row_q  <= row_q + adv_row + {3'd0, wrap};
        end
    end
endmodule
