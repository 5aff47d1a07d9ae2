// Purpose   act_ram: one activation bank; one write and one read port. A word is written in NSEG
//           segments.
// Latency   read 2 (the second register is the block RAM's output register).
// Initiation interval 1; never stalls. Contents start at zero, as block RAM does.
module act_ram #(
    parameter WIDTH = 64,
    parameter NSEG  = 1,
    parameter DEPTH = 512,
    parameter AW    = 9
) (
    input  wire             clk,
    input  wire [NSEG-1:0]  we,
    input  wire [AW-1:0]    waddr,
    input  wire [WIDTH-1:0] wdata,
    input  wire [AW-1:0]    raddr,
    output reg  [WIDTH-1:0] rdata_q
);
    localparam SW = WIDTH / NSEG;
    // addresses have room for a plane as large as the buffer; the index does not need it
    localparam IW = DEPTH > 1 ? $clog2(DEPTH) : 1;
    generate
        if (AW > IW) begin : gen_unused
            wire unused_high = &{1'b0, waddr[AW-1:IW], raddr[AW-1:IW]};
        end
    endgenerate
    reg [WIDTH-1:0] mem [0:DEPTH-1];
    reg [WIDTH-1:0] read_q;
    integer i, s;
    initial for (i = 0; i < DEPTH; i = i + 1) mem[i] = {WIDTH{1'b0}};
    always @(posedge clk) begin
        for (s = 0; s < NSEG; s = s + 1)
            if (we[s]) mem[waddr[IW-1:0]][s*SW +: SW] <= wdata[s*SW +: SW];
        read_q  <= mem[raddr[IW-1:0]];
        rdata_q <= read_q;
    end
endmodule
