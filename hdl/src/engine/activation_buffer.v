// Purpose   activation_buffer: P banks of WB-byte words, one read address per bank.
//           Pixel f of a tensor (flattened over its row pitch) lies in bank f mod P.
//           A word is split into NSEG segments that are written separately.
// Latency   read 2; initiation interval 1; never stalls.
module activation_buffer #(
    parameter P     = 3,
    parameter RW    = 2,
    parameter WB    = 8,
    parameter NSEG  = 1,
    parameter DEPTH = 512,
    parameter AW    = 9
) (
    input  wire              clk,
    input  wire              we,
    input  wire [RW-1:0]     wbank,
    input  wire [AW-1:0]     waddr,
    input  wire [NSEG-1:0]   wseg,
    input  wire [WB*8-1:0]   wdata,
    input  wire [P*AW-1:0]   raddr,
    output wire [P*WB*8-1:0] rdata
);
    localparam SW = WB * 8 / NSEG;
    genvar b, s;
    generate
        for (b = 0; b < P; b = b + 1) begin : gen_bank
            wire bank_we = we && (wbank == b);
            for (s = 0; s < NSEG; s = s + 1) begin : gen_segment
                act_ram #(.WIDTH(SW), .DEPTH(DEPTH), .AW(AW)) u_ram (
                    .clk(clk),
                    .we(bank_we && wseg[s]),
                    .waddr(waddr),
                    .wdata(wdata[s*SW +: SW]),
                    .raddr(raddr[b*AW +: AW]),
                    .rdata_q(rdata[b*WB*8 + s*SW +: SW])
                );
            end
        end
    endgenerate
endmodule
