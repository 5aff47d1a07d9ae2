// Purpose   activation_buffer: P banks of WB-byte words, each with its own write and read port.
//           Pixel f of a tensor (flattened over its row pitch) lies in bank f mod P.
//           A word is written in NSEG segments, the same ones in all banks.
// Latency   read 2; initiation interval 1; never stalls.
module activation_buffer #(
    parameter P     = 3,
    parameter WB    = 8,
    parameter NSEG  = 1,
    parameter DEPTH = 512,
    parameter AW    = 9
) (
    input  wire              clk,
    input  wire [P-1:0]      we,
    input  wire [P*AW-1:0]   waddr,
    input  wire [NSEG-1:0]   wseg,
    input  wire [P*WB*8-1:0] wdata,
    input  wire [P*AW-1:0]   raddr,
    output wire [P*WB*8-1:0] rdata
);
    genvar b;
    generate
        for (b = 0; b < P; b = b + 1) begin : gen_bank
            act_ram #(.WIDTH(WB*8), .NSEG(NSEG), .DEPTH(DEPTH), .AW(AW)) u_ram (
                .clk(clk),
                .we(wseg & {NSEG{we[b]}}),
                .waddr(waddr[b*AW +: AW]),
                .wdata(wdata[b*WB*8 +: WB*8]),
                .raddr(raddr[b*AW +: AW]),
                .rdata_q(rdata[b*WB*8 +: WB*8])
            );
        end
    endgenerate
endmodule
