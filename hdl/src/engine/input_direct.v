// Purpose   input_direct: writes the elements of the input tensor (row, column, channel order) to
//           the activation buffer, WB channels to a word.
// Latency   1 from the last element of a word to its write; one element per cycle.
module input_direct #(
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
    input  wire            enable,
    input  wire [7:0]      byte_data,
    input  wire            byte_valid,
    output wire            byte_ready,
    output wire            stream_last,
    output reg             write_valid_q,
    output reg  [RW-1:0]   write_bank_q,
    output reg  [AW-1:0]   write_addr_q,
    output reg  [WB*8-1:0] write_data_q,
    output reg             done_q
);
    localparam COLS_M1 = COLS - 1;
    localparam ROWS_M1 = ROWS - 1;
    localparam CHANNELS_M1 = CHANNELS - 1;
    localparam WB_M1 = WB - 1;
    reg [15:0]     channel_q, col_q, row_q, lane_q;
    reg [AW-1:0]   word_q;
    wire [AW-1:0]  quot;
    wire [RW-1:0]  bank;
    reg [WB*8-1:0] assembly_q, assembly;
    wire take        = byte_valid && byte_ready;
    wire pixel_end   = channel_q == CHANNELS_M1[15:0];
    wire word_end    = pixel_end || lane_q == WB_M1[15:0];
    wire row_end     = col_q == COLS_M1[15:0];
    wire tensor_end  = pixel_end && row_end && row_q == ROWS_M1[15:0];
    pixel_walker #(.P(P), .RW(RW), .AW(AW)) u_pixel (
        .clk(clk),
        .restart(rst || (take && tensor_end)),
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
    assign byte_ready  = enable && !done_q;
    assign stream_last = take && tensor_end;

    integer i;
    always @* begin
        assembly = assembly_q;
        for (i = 0; i < WB; i = i + 1)
            if (lane_q == i[15:0]) assembly[i*8 +: 8] = byte_data;
    end
    always @(posedge clk) begin
        write_valid_q <= take && word_end && !rst;
        write_bank_q  <= bank;
        write_addr_q  <= quot + word_q;
        write_data_q  <= assembly;
        done_q        <= take && tensor_end && !rst;
        if (rst) begin
            channel_q <= 0; col_q <= 0; row_q <= 0; lane_q <= 0;
            word_q <= BASE[AW-1:0];
            assembly_q <= 0;
        end else if (take) begin
            assembly_q <= word_end ? {WB*8{1'b0}} : assembly;
            lane_q     <= word_end ? 16'd0 : lane_q + 1'b1;
            channel_q  <= pixel_end ? 16'd0 : channel_q + 1'b1;
            if (pixel_end) word_q <= BASE[AW-1:0];
            else if (word_end) word_q <= word_q + PLANE[AW-1:0];
            if (tensor_end) begin
                col_q <= 0; row_q <= 0;
            end else if (pixel_end) begin
                col_q  <= row_end ? 16'd0 : col_q + 1'b1;
                row_q  <= row_end ? row_q + 1'b1 : row_q;
            end
        end
    end
endmodule
