// Purpose   beat_fifo: first in, first out.
// Latency   1 from `push` to `valid`; initiation interval 1.
// Stall     `in` is taken whatever the level: whoever pushes looks at it. `pop` only while `valid`.
module beat_fifo #(
    parameter WIDTH = 64,
    parameter DEPTH = 32,      // a power of two
    parameter LW    = 6        // counts 0 to DEPTH
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             push,
    input  wire [WIDTH-1:0] in,
    input  wire             pop,
    output wire             valid,
    output wire [WIDTH-1:0] out,
    output reg  [LW-1:0]    level_q
);
    (* ram_style = "distributed" *) reg [WIDTH-1:0] mem [0:DEPTH-1];
    reg [LW-2:0] write_q, read_q;
    assign out   = mem[read_q];
    assign valid = level_q != 0;
    always @(posedge clk) begin
        if (push) mem[write_q] <= in;
        if (rst) begin
            write_q <= 0;
            read_q  <= 0;
            level_q <= 0;
        end else begin
            if (push) write_q <= write_q + 1'b1;
            if (pop) read_q <= read_q + 1'b1;
            level_q <= level_q + {{(LW-1){1'b0}}, push} - {{(LW-1){1'b0}}, pop};
        end
    end
endmodule
