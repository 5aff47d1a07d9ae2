// Purpose   weight_rom: weights in block RAM, the last TAIL words in LUTs (for devices whose block
//           RAM alone does not suffice). DEPTH - TAIL is a multiple of 512.
// Latency   2 (read, select); initiation interval 1; never stalls.
module weight_rom #(
    parameter WIDTH = 64,
    parameter DEPTH = 1000,
    parameter TAIL  = 488,
    parameter AW    = 10
) (
    input  wire             clk,
    input  wire [AW-1:0]    addr,
    output reg  [WIDTH-1:0] data_q
);
    localparam BLOCK = DEPTH - TAIL;
    localparam BW = $clog2(BLOCK);
    localparam TW = TAIL > 1 ? $clog2(TAIL) : 1;
    (* rom_style = "block" *) reg [WIDTH-1:0] block_mem [0:BLOCK-1];
    // rom_style is for Vivado; Yosys has no LUT ROM cell, reads ram_style first and then uses logic
    (* ram_style = "registers", rom_style = "distributed" *)
    reg [WIDTH-1:0] tail_mem [0:TAIL-1];
    reg [WIDTH-1:0] block_q, tail_q;
    reg             in_tail_q;
    initial begin
        $readmemh("weights.mem", block_mem);
        $readmemh("weights_tail.mem", tail_mem);
    end
    always @(posedge clk) begin
        block_q   <= block_mem[addr[BW-1:0]];
        tail_q    <= tail_mem[addr[TW-1:0]];
        in_tail_q <= addr >= BLOCK;
        data_q    <= in_tail_q ? tail_q : block_q;
    end
endmodule
