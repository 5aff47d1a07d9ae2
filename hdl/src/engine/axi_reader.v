// Purpose   axi_reader: reads BURSTS bursts of 16 beats one after the other, again and again, through
//           an AXI4 read port (AXI3 allows the same bursts). The region begins at a page of 4 KB, so
//           that a burst, aligned to its own size, never crosses one.
// Order     one transaction identifier: data come in the order of the addresses.
// Latency   data pass through; up to OUTSTANDING bursts are under way.
// Stall     `beat_ready` low holds the data channel. `stop` ends the requests and drains what comes.
module axi_reader #(
    parameter BUS         = 64,          // 32 or 64
    parameter BURSTS      = 1,
    parameter OUTSTANDING = 8            // a power of two
) (
    input  wire           clk,
    input  wire           rst,
    input  wire           enable,
    input  wire           stop,
    input  wire [31:12]   first_page,
    output reg  [31:0]    araddr_q,
    output reg            arvalid_q,
    input  wire           arready,
    input  wire [BUS-1:0] rdata,
    input  wire [1:0]     rresp,
    input  wire           rlast,
    input  wire           rvalid,
    output wire           rready,
    output wire [BUS-1:0] beat,
    output wire           beat_valid,
    input  wire           beat_ready,
    output reg            slave_error_q  // one cycle
);
    localparam BURST_BYTES = 16 * BUS / 8;
    localparam BURSTS_M1   = BURSTS - 1;
    localparam BW = BURSTS > 1 ? $clog2(BURSTS) : 1;
    localparam OW = $clog2(OUTSTANDING) + 1;
    reg          started_q;
    reg [BW-1:0] burst_q;
    reg [OW-1:0] under_way_q;
    wire taken = arvalid_q && arready;
    wire ended = rvalid && rready && rlast;
    wire final_burst = burst_q == BURSTS_M1[BW-1:0];
    wire [OW-1:0] under_way = under_way_q + {{(OW-1){1'b0}}, taken} - {{(OW-1){1'b0}}, ended};
    wire unused_response = &{1'b0, rresp[0]};   // the errors are 2 and 3

    assign rready     = beat_ready || stop;
    assign beat       = rdata;
    assign beat_valid = rvalid && !stop;

    always @(posedge clk) begin
        if (rst) begin
            started_q     <= 1'b0;
            arvalid_q     <= 1'b0;
            under_way_q   <= 0;
            slave_error_q <= 1'b0;
        end else begin
            if (enable) started_q <= 1'b1;
            under_way_q   <= under_way;
            arvalid_q     <= (arvalid_q && !arready)
                             || (started_q && !stop && under_way < OUTSTANDING[OW-1:0]);
            slave_error_q <= rvalid && rready && rresp[1];
        end
        if (!started_q) begin
            burst_q  <= 0;
            araddr_q <= {first_page, 12'd0};
        end else if (taken) begin
            burst_q  <= final_burst ? {BW{1'b0}} : burst_q + 1'b1;
            araddr_q <= final_burst ? {first_page, 12'd0} : araddr_q + BURST_BYTES;
        end
    end
endmodule
