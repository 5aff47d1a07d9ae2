// Purpose   weight_ram: weights from a hex file, and words that layers write: computed operands.
// Latency   read 2, write 1; initiation interval 1; never stalls. Reads and writes belong to different
//           layers.
module weight_ram #(
    parameter WIDTH = 64,
    parameter DEPTH = 512,
    parameter AW    = 9
) (
    input  wire             clk,
    input  wire [AW-1:0]    addr,
    output reg  [WIDTH-1:0] data_q,
    input  wire             write_valid,
    input  wire [AW-1:0]    write_addr,
    input  wire [WIDTH-1:0] write_data
);
    localparam IW = DEPTH > 1 ? $clog2(DEPTH) : 1;
    generate
        if (AW > IW) begin : gen_unused
            wire unused_high = &{1'b0, addr[AW-1:IW], write_addr[AW-1:IW]};
        end
    endgenerate
    (* ram_style = "block" *) reg [WIDTH-1:0] mem [0:DEPTH-1];
    reg [WIDTH-1:0] read_q;
    initial $readmemh("weights.mem", mem);
    always @(posedge clk) begin
        if (write_valid) mem[write_addr[IW-1:0]] <= write_data;
        read_q <= mem[addr[IW-1:0]];
        data_q <= read_q;
    end
endmodule
