// Purpose   activation_reader: reads rows of words that activation_writer wrote through an AXI4 read port.
// Latency   data pass through; up to OUTSTANDING bursts are under way.
// Stall     none: every beat is taken at once. `stop` ends the requests.
module activation_reader #(
    parameter BUS         = 64,
    parameter WB          = 8,
    parameter CW          = 20,     // counts bursts
    parameter OUTSTANDING = 8       // a power of two
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             stop,
    input  wire             start,
    input  wire [31:0]      address,
    input  wire [CW-1:0]    bursts_m1,
    input  wire             row_end,        // the word that comes is the last one of its row
    output wire             word_comes,     // with its last beat; the word itself follows one cycle later
    output reg  [WB*8-1:0]  word_q,
    output reg  [31:0]      araddr_q,
    output reg              arvalid_q,
    input  wire             arready,
    input  wire [BUS-1:0]   rdata,
    input  wire [1:0]       rresp,
    input  wire             rlast,
    input  wire             rvalid,
    output wire             rready,
    output wire             waits,          // for the memory
    output reg              slave_error_q   // one cycle
);
    localparam BURST_BYTES = 16 * BUS / 8;
    localparam BEATS = (WB * 8 + BUS - 1) / BUS;
    localparam LAST  = BEATS - 1;
    localparam BW    = BEATS > 1 ? $clog2(BEATS) : 1;
    localparam OW    = $clog2(OUTSTANDING) + 1;
    reg           reading_q;        // requests are left
    reg  [CW-1:0] left_q;           // behind the next one
    reg  [OW-1:0] under_way_q;
    reg  [BW-1:0] slice_q;
    reg           filling_q;        // what comes fills the row's last burst
    wire taken   = arvalid_q && arready;
    wire ended   = rvalid && rlast;
    wire [OW-1:0] under_way = under_way_q + {{(OW-1){1'b0}}, taken} - {{(OW-1){1'b0}}, ended};
    wire reading = reading_q && !(taken && left_q == 0);
    wire beat     = rvalid && !filling_q;
    wire word_end = slice_q == LAST[BW-1:0];
    assign word_comes = beat && word_end;
    wire unused_response = &{1'b0, rresp[0]};   // the errors are 2 and 3
    assign rready = 1'b1;
    assign waits  = arvalid_q || under_way_q != 0;
    wire [BEATS*BUS-1:0] pushed;
    generate
        if (BEATS > 1) begin : gen_several
            reg [(BEATS-1)*BUS-1:0] before_q;
            assign pushed = {rdata, before_q};
            always @(posedge clk) if (beat) before_q <= pushed[BEATS*BUS-1:BUS];
        end else begin : gen_one
            assign pushed = rdata;
        end
        if (BEATS * BUS > WB * 8) begin : gen_unused
            wire unused_beat = &{1'b0, pushed[BEATS*BUS-1:WB*8]};
        end
    endgenerate
    always @(posedge clk) begin
        word_q <= pushed[WB*8-1:0];
        if (rst) begin
            reading_q     <= 1'b0;
            arvalid_q     <= 1'b0;
            under_way_q   <= 0;
            slice_q       <= 0;
            filling_q     <= 1'b0;
            slave_error_q <= 1'b0;
        end else begin
            reading_q     <= start || reading;
            under_way_q   <= under_way;
            arvalid_q     <= (arvalid_q && !arready) || (reading && !stop && under_way < OUTSTANDING[OW-1:0]);
            if (beat) slice_q <= word_comes ? {BW{1'b0}} : slice_q + 1'b1;
            if (filling_q) filling_q <= !ended;
            else filling_q <= word_comes && row_end && !rlast;
            slave_error_q <= rvalid && rresp[1];
        end
        if (start) begin
            left_q   <= bursts_m1;
            araddr_q <= address;
        end else if (taken) begin
            left_q   <= left_q - 1'b1;
            araddr_q <= araddr_q + BURST_BYTES;
        end
    end
endmodule
