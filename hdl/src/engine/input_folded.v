// Purpose   input_folded: as input_direct, but folds the kernel columns of the first convolution
//           into the channel dimension: F[y][ox][kx*C + c] = in[y][ox*sx + kx - pad][c], padded.
//           A byte-wide shift register holds the window of one output column. With PAIRS every second row
//           has the low bytes, less 128, of int16 values, whose zero is 8'h80.
// Latency   1 from the last element of a window to its first write; one element per cycle, plus
//           WORDS - 1 cycles per output column.
module input_folded #(
    parameter P          = 3,
    parameter RW         = 2,
    parameter WB         = 8,
    parameter AW         = 9,
    parameter BASE       = 0,
    parameter PLANE      = 0,
    parameter ROWS       = 1,
    parameter OUT_COLS   = 1,
    parameter ROW_BYTES  = 1,
    parameter PAD_BYTES  = 0,
    parameter WINDOW     = 9,
    parameter STEP       = 3,
    parameter SPAN       = 9,
    parameter PAD_VALUE  = 0,
    parameter PAIRS      = 0,
    parameter START_REM  = 0,
    parameter STEP_QUOT  = 0,
    parameter STEP_REM   = 0,
    parameter ROW_QUOT   = 0,
    parameter ROW_REM    = 0
) (
    input  wire            clk,
    input  wire            rst,
    input  wire            enable,
    input  wire [7:0]      byte_data,
    input  wire            byte_valid,
    output wire            byte_ready,
    output wire            stream_last,
    output wire            write_valid_q,
    output wire [RW-1:0]   write_bank_q,
    output wire [AW-1:0]   write_addr_q,
    output wire [WB*8-1:0] write_data_q,
    output reg             done_q
);
    localparam WORDS     = (WINDOW + WB - 1) / WB;
    localparam WORDS_M1  = WORDS - 1;
    localparam SPAN_M1   = SPAN - 1;
    localparam WINDOW_M1 = WINDOW - 1;
    localparam ROWS_M1   = ROWS - 1;
    localparam COLS_M1   = OUT_COLS - 1;
    localparam ROW_LAST  = ROW_BYTES - 1;
    reg [15:0]         pos_q, next_emit_q, col_q, row_q, word_q;
    reg [WINDOW*8-1:0] window_q;
    reg                emit_q, emitted_all_q, read_all_q;
    reg [15:0]         span_row_q;
    reg [AW-1:0]       word_addr_q;
    wire [AW-1:0]      quot;
    wire [RW-1:0]      bank;
    // a position in the left padding is a large unsigned number
    wire [15:0] row_pos = pos_q - PAD_BYTES[15:0];
    wire from_stream = row_pos < ROW_BYTES[15:0];
    wire emit_last   = word_q == WORDS_M1[15:0];
    wire may_shift   = enable && !done_q && !read_all_q && (!emit_q || emit_last);
    wire shift       = may_shift && (!from_stream || byte_valid);
    wire span_end    = pos_q == SPAN_M1[15:0];
    wire emits       = pos_q == next_emit_q;
    wire row_end     = col_q == COLS_M1[15:0];
    wire [WORDS*WB*8-1:0] padded;
    wire [7:0] pad_byte = (PAIRS != 0 && span_row_q[0]) ? 8'h80 : PAD_VALUE[7:0];
    wire last_row    = span_row_q == ROWS_M1[15:0];
    wire last_emit   = emit_q && emit_last && row_end && row_q == ROWS_M1[15:0];
    wire last_shift  = shift && span_end && last_row;
    pixel_walker #(.P(P), .RW(RW), .AW(AW)) u_pixel (
        .clk(clk),
        .restart(rst || last_emit),
        .advance(emit_q && emit_last),
        .row_end(row_end),
        .start_rem(START_REM[RW-1:0]),
        .step_quot(STEP_QUOT[AW-1:0]),
        .step_rem(STEP_REM[RW-1:0]),
        .row_quot(ROW_QUOT[AW-1:0]),
        .row_rem(ROW_REM[RW-1:0]),
        .quot_q(quot),
        .rem_q(bank)
    );
    assign byte_ready    = may_shift && from_stream;
    assign stream_last   = shift && from_stream && last_row && row_pos == ROW_LAST[15:0];
    assign write_valid_q = emit_q;
    assign write_bank_q  = bank;
    assign write_addr_q  = quot + word_addr_q;
    generate
        if (WORDS * WB == WINDOW) begin : gen_full
            assign padded = window_q;
        end else begin : gen_partial
            assign padded = {{(WORDS*WB-WINDOW)*8{1'b0}}, window_q};
        end
    endgenerate
    reg [WB*8-1:0] selected;
    integer i;
    always @* begin
        selected = {WB*8{1'b0}};
        for (i = 0; i < WORDS; i = i + 1)
            selected = selected | (padded[i*WB*8 +: WB*8] & {WB*8{word_q == i[15:0]}});
    end
    assign write_data_q = selected;

    always @(posedge clk) begin
        if (rst) begin
            pos_q <= 0; next_emit_q <= WINDOW_M1[15:0]; col_q <= 0; row_q <= 0; word_q <= 0;
            emit_q <= 1'b0; word_addr_q <= BASE[AW-1:0]; done_q <= 1'b0;
            emitted_all_q <= 1'b0; read_all_q <= 1'b0; span_row_q <= 0;
        end else begin
            // done when the last window is written and the last row is read to its end
            done_q <= (emitted_all_q || last_emit) && read_all_q && !done_q;
            if (done_q) emitted_all_q <= 1'b0;
            else if (last_emit) emitted_all_q <= 1'b1;
            if (done_q) read_all_q <= 1'b0;
            else if (last_shift) read_all_q <= 1'b1;
            if (shift && span_end) span_row_q <= last_row ? 16'd0 : span_row_q + 1'b1;
            if (shift) begin
                pos_q <= span_end ? 16'd0 : pos_q + 1'b1;
                if (span_end) next_emit_q <= WINDOW_M1[15:0];
                else if (emits) next_emit_q <= next_emit_q + STEP[15:0];
            end
            if (shift && emits) emit_q <= 1'b1;
            else if (emit_last) emit_q <= 1'b0;
            if (emit_q) begin
                word_q      <= emit_last ? 16'd0 : word_q + 1'b1;
                word_addr_q <= emit_last ? BASE[AW-1:0] : word_addr_q + PLANE[AW-1:0];
                if (emit_last) begin
                    col_q <= row_end ? 16'd0 : col_q + 1'b1;
                    if (row_end) row_q <= last_emit ? 16'd0 : row_q + 1'b1;
                end
            end
        end
        if (shift) window_q <= {from_stream ? byte_data : pad_byte, window_q[WINDOW*8-1:8]};
    end
endmodule
