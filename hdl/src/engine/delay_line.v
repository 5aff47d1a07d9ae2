// Purpose   delay_line: shift register, STAGES cycles.
// Equation  out_q(t) = in(t - STAGES)
// Latency   STAGES (0 = wire); initiation interval 1; never stalls.
module delay_line #(
    parameter WIDTH  = 8,
    parameter STAGES = 1
) (
    input  wire             clk,
    input  wire [WIDTH-1:0] in,
    output wire [WIDTH-1:0] out
);
    generate
        if (STAGES == 0) begin : gen_wire
            wire unused_clk = clk;
            assign out = in;
        end else begin : gen_shift
            reg [WIDTH*STAGES-1:0] shift_q = {WIDTH*STAGES{1'b0}};
            if (STAGES == 1) begin : gen_one
                always @(posedge clk) shift_q <= in;
            end else begin : gen_many
                always @(posedge clk) shift_q <= {shift_q[WIDTH*(STAGES-1)-1:0], in};
            end
            assign out = shift_q[WIDTH*STAGES-1 -: WIDTH];
        end
    endgenerate
endmodule
