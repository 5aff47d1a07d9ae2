// Purpose   lstm_vector: two vectors of bytes, written byte by byte and read K bytes at a time.
// Latency   read 1; initiation interval 1; never stalls.
module lstm_vector #(
    parameter K  = 4,
    parameter KW = 2,
    parameter AW = 3
) (
    input  wire           clk,
    input  wire           we,
    input  wire           whalf,
    input  wire [KW-1:0]  wlane,
    input  wire [AW-1:0]  waddr,
    input  wire [7:0]     wdata,
    input  wire           rhalf,
    input  wire [AW-1:0]  raddr,
    output wire [K*8-1:0] rdata_q
);
    genvar k;
    generate
        for (k = 0; k < K; k = k + 1) begin : gen_lane
            reg [7:0] mem [0:2*(1<<AW)-1];
            reg [7:0] read_q;
            integer i;
            initial for (i = 0; i < 2*(1<<AW); i = i + 1) mem[i] = 8'd0;
            always @(posedge clk) begin
                if (we && wlane == k) mem[{whalf, waddr}] <= wdata;
                read_q <= mem[{rhalf, raddr}];
            end
            assign rdata_q[k*8 +: 8] = read_q;
        end
    endgenerate
endmodule
