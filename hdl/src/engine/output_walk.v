// Purpose   output_walk: reads a finished tensor from the activation buffer and hands out its
//           elements in row, column, channel order.
// Latency   5 per buffer word, then one element per cycle; obeys backpressure.
module output_walk #(
    parameter P        = 3,
    parameter RW       = 2,
    parameter WB       = 8,
    parameter AW       = 9,
    parameter BASE     = 0,
    parameter PLANE    = 0,
    parameter ROWS     = 1,
    parameter COLS     = 1,
    parameter CHANNELS = 1,
    parameter START_REM = 0,
    parameter STEP_QUOT = 0,
    parameter STEP_REM = 0,
    parameter ROW_QUOT = 0,
    parameter ROW_REM  = 0
) (
    input  wire            clk,
    input  wire            rst,
    input  wire            start,
    output wire            active,
    output wire [AW-1:0]   read_addr,
    output wire [RW-1:0]   read_bank,
    input  wire [WB*8-1:0] read_word,     // 3 cycles after the address
    output wire [7:0]      byte_data,
    output wire            byte_valid,
    output wire            byte_last,
    input  wire            byte_ready
);
    localparam COLS_M1 = COLS - 1;
    localparam ROWS_M1 = ROWS - 1;
    localparam CHANNELS_M1 = CHANNELS - 1;
    localparam WB_M1 = WB - 1;
    localparam [1:0] S_IDLE = 2'd0, S_READ = 2'd1, S_EMIT = 2'd2;
    reg [1:0]      state_q;
    reg [2:0]      wait_q;
    reg [15:0]     channel_q, col_q, row_q, lane_q;
    reg [AW-1:0]   word_q;
    wire [AW-1:0]  quot;
    wire [RW-1:0]  bank;
    reg [WB*8-1:0] hold_q;
    wire pixel_end = channel_q == CHANNELS_M1[15:0];
    wire word_end  = pixel_end || lane_q == WB_M1[15:0];
    wire row_end   = col_q == COLS_M1[15:0];
    wire take      = byte_valid && byte_ready;
    pixel_walker #(.P(P), .RW(RW), .AW(AW)) u_pixel (
        .clk(clk),
        .restart(state_q == S_IDLE),
        .advance(take && pixel_end),
        .row_end(row_end),
        .start_rem(START_REM[RW-1:0]),
        .step_quot(STEP_QUOT[AW-1:0]),
        .step_rem(STEP_REM[RW-1:0]),
        .row_quot(ROW_QUOT[AW-1:0]),
        .row_rem(ROW_REM[RW-1:0]),
        .quot_q(quot),
        .rem_q(bank)
    );
    assign active     = state_q != S_IDLE;
    assign read_addr  = quot + word_q;
    assign read_bank  = bank;
    assign byte_data  = hold_q[7:0];
    assign byte_valid = state_q == S_EMIT;
    assign byte_last  = pixel_end && row_end && row_q == ROWS_M1[15:0];
    always @(posedge clk) begin
        wait_q <= state_q == S_READ ? wait_q + 1'b1 : 3'd0;
        if (state_q == S_READ) hold_q <= read_word;
        else if (take) hold_q <= {8'd0, hold_q[WB*8-1:8]};
        if (rst) state_q <= S_IDLE;
        else if (state_q == S_IDLE) begin
            if (start) state_q <= S_READ;
            channel_q <= 0; col_q <= 0; row_q <= 0; lane_q <= 0;
            word_q <= BASE[AW-1:0];
        end else if (state_q == S_READ) begin
            if (wait_q == 3'd3) state_q <= S_EMIT;
        end else if (take) begin
            lane_q    <= word_end ? 16'd0 : lane_q + 1'b1;
            channel_q <= pixel_end ? 16'd0 : channel_q + 1'b1;
            if (byte_last) state_q <= S_IDLE;
            else if (word_end) state_q <= S_READ;
            if (pixel_end) word_q <= BASE[AW-1:0];
            else if (word_end) word_q <= word_q + PLANE[AW-1:0];
            if (pixel_end) begin
                col_q  <= row_end ? 16'd0 : col_q + 1'b1;
                row_q  <= row_end ? row_q + 1'b1 : row_q;
            end
        end
    end
endmodule
