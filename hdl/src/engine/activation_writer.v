// Purpose   activation_writer: writes words of activations to memory through an AXI4 write port (AXI3 allows
//           the same bursts), one behind the other from an address on.
// Format    a word takes whole beats, low bytes first; a row is filled up to whole bursts of 16 beats. Bursts
//           are aligned to their own size, so that none crosses a page of 4 KB.
// Latency   a burst is requested when all of it is here; up to OUTSTANDING of them are not answered.
// Stall     takes words as long as `room` is high, and MARGIN further ones. `stop` ends the requests.
module activation_writer #(
    parameter BUS         = 64,     // 32 or 64
    parameter WB          = 8,      // bytes of a word
    parameter MARGIN      = 40,
    parameter OUTSTANDING = 8       // a power of two
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             stop,
    input  wire             start,  // of a run, while `idle`
    input  wire [31:0]      address,
    input  wire             word_valid,
    input  wire [WB*8-1:0]  word,
    input  wire             row_end,
    output wire             room,
    output wire             idle,   // all is written and answered
    output reg  [31:0]      awaddr_q,
    output reg              awvalid_q,
    input  wire             awready,
    output wire [BUS-1:0]   wdata,
    output wire             wlast,
    output wire             wvalid,
    input  wire             wready,
    input  wire [1:0]       bresp,
    input  wire             bvalid,
    output wire             bready,
    output wire             waits,  // for the memory
    output reg              slave_error_q   // one cycle
);
    localparam BURST_BYTES = 16 * BUS / 8;
    localparam BEATS   = (WB * 8 + BUS - 1) / BUS;      // of a word
    localparam LAST    = BEATS - 1;
    localparam BW      = BEATS > 1 ? $clog2(BEATS) : 1;
    localparam WORDS   = 64;
    localparam MOST    = WORDS - MARGIN;
    localparam OW      = $clog2(OUTSTANDING) + 1;

    // ---- words, cut into beats ------------------------------------------------------------------
    wire            stored, stored_row_end, next_word;
    wire [WB*8-1:0] stored_word;
    wire [6:0]      words;
    beat_fifo #(.WIDTH(WB*8+1), .DEPTH(WORDS), .LW(7)) u_words (
        .clk(clk),
        .rst(rst),
        .push(word_valid),
        .in({row_end, word}),
        .pop(next_word),
        .valid(stored),
        .out({stored_row_end, stored_word}),
        .level_q(words)
    );
    assign room = words <= MOST[6:0];
    reg  [BW-1:0]  slice_q;
    reg  [3:0]     place_q;          // of the next beat in its burst
    reg            filling_q;
    wire [5:0]     beats;
    wire           push     = (stored || filling_q) && beats != 6'd32;
    wire           word_end = slice_q == LAST[BW-1:0];
    wire           burst_end = place_q == 4'd15;
    assign next_word = push && !filling_q && word_end;
    wire [BEATS*BUS-1:0] padded;
    wire [BUS-1:0]       slice;
    generate
        if (BEATS * BUS == WB * 8) begin : gen_full
            assign padded = stored_word;
        end else begin : gen_partial
            assign padded = {{(BEATS*BUS-WB*8){1'b0}}, stored_word};
        end
    endgenerate
    word_select #(.N(BEATS), .W(BUS), .SW(BW)) u_slice (.words(padded), .select(slice_q), .word(slice));
    wire unused_valid;
    wire pop = wvalid && wready;
    beat_fifo #(.WIDTH(BUS), .DEPTH(32), .LW(6)) u_beats (
        .clk(clk),
        .rst(rst),
        .push(push),
        .in(slice),
        .pop(pop),
        .valid(unused_valid),
        .out(wdata),
        .level_q(beats)
    );

    // ---- bursts ---------------------------------------------------------------------------------
    reg  [1:0]    whole_q;           // stored, not requested
    reg  [1:0]    granted_q;         // requested, not sent
    reg  [3:0]    sent_q;
    reg  [OW-1:0] under_way_q;       // requested, not answered
    wire taken    = awvalid_q && awready;
    wire sent     = pop && wlast;
    wire answered = bvalid;
    wire request  = !awvalid_q && whole_q != 0 && !stop && under_way_q != OUTSTANDING[OW-1:0];
    assign wvalid = granted_q != 0;
    assign wlast  = sent_q == 4'd15;
    assign bready = 1'b1;
    assign waits  = awvalid_q || under_way_q != 0;
    assign idle   = words == 0 && beats == 0 && !filling_q && !waits;
    wire unused_response = &{1'b0, bresp[0]};   // the errors are 2 and 3
    always @(posedge clk) begin
        if (rst) begin
            slice_q       <= 0;
            place_q       <= 0;
            filling_q     <= 1'b0;
            whole_q       <= 0;
            granted_q     <= 0;
            sent_q        <= 0;
            under_way_q   <= 0;
            awvalid_q     <= 1'b0;
            slave_error_q <= 1'b0;
        end else begin
            if (push) begin
                place_q <= place_q + 1'b1;
                if (filling_q) filling_q <= !burst_end;
                else begin
                    slice_q   <= word_end ? {BW{1'b0}} : slice_q + 1'b1;
                    filling_q <= word_end && stored_row_end && !burst_end;
                end
            end
            whole_q       <= whole_q + {1'b0, push && burst_end} - {1'b0, request};
            granted_q     <= granted_q + {1'b0, taken} - {1'b0, sent};
            under_way_q   <= under_way_q + {{(OW-1){1'b0}}, taken} - {{(OW-1){1'b0}}, answered};
            awvalid_q     <= request || (awvalid_q && !awready);
            if (pop) sent_q <= sent_q + 1'b1;
            slave_error_q <= bvalid && bresp[1];
        end
        if (start) awaddr_q <= address;
        else if (taken) awaddr_q <= awaddr_q + BURST_BYTES;
    end
endmodule
