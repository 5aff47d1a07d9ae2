// Purpose   weight_unpack: the stream of a port to its part of the weight words, BEATS bus beats of
//           8-bit weights each.
// Format    blocks of a header of 64 bits {6'd0, kind[1:0], count[23:0], crc[31:0]} and a body. Kinds 0, 1
//           and 2: `count` words of weights in 8, 4 and 2 bits (two's complement, in order, each word
//           filled up to a whole beat); kind 3: `count` beats to skip; it ends the stream, which
//           then begins again. The CRC-32 covers header (its own field as zero) and body.
// Latency   1 from a word's last beat to `word_valid_q`; initiation interval 1 beat.
// Stall     takes no beat while a finished word waits for `word_ready`.
module weight_unpack #(
    parameter BUS   = 64,
    parameter BEATS = 4
) (
    input  wire                 clk,
    input  wire                 rst,
    input  wire [BUS-1:0]       beat,
    input  wire                 beat_valid,
    output wire                 beat_ready,
    output reg  [BEATS*BUS-1:0] word_q,
    output reg                  word_valid_q,
    input  wire                 word_ready,
    output reg                  crc_error_q,   // one cycle
    output reg  [15:0]          block_q        // number of the block, with `crc_error_q` of the bad one
);
    localparam [1:0] SKIP = 2'd3;
    localparam PW = $clog2(BEATS + 4) + 1;   // at least 4
    localparam HEADER_BEATS = 64 / BUS;

    // ---- header ---------------------------------------------------------------------------------
    reg          body_q, second_q;   // second half of a header on a 32-bit bus
    reg  [31:0]  wanted_q;
    reg  [23:0]  count_q;
    reg  [1:0]   kind_q;
    reg  [PW-1:0] place_q;           // weights of 8 bits: beats that the word has so far
    wire take        = beat_valid && beat_ready;
    wire crc_field   = !body_q && !second_q;
    wire header_last = !body_q && (HEADER_BEATS == 1 || second_q);
    wire [31:0] header_high = beat[BUS-1 -: 32];
    wire unused_header = &{1'b0, header_high[31:26]};
    wire [2:0]  each = kind_q == 2'd2 ? 3'd4 : kind_q == 2'd1 ? 3'd2 : 3'd1;   // beats of 8-bit weights in one
    wire [PW-1:0] reach = place_q + {{(PW-3){1'b0}}, each};
    wire word_last  = kind_q == SKIP || reach >= BEATS[PW-1:0];
    wire block_last = body_q && word_last && count_q == 24'd1;

    assign beat_ready = !word_valid_q || word_ready;

    always @(posedge clk) begin
        if (rst) begin
            body_q       <= 1'b0;
            second_q     <= 1'b0;
            word_valid_q <= 1'b0;
        end else begin
            if (word_ready) word_valid_q <= 1'b0;
            if (take) begin
                second_q <= crc_field && !header_last;
                if (header_last) body_q <= 1'b1;
                else if (block_last) body_q <= 1'b0;
                if (body_q && word_last && kind_q != SKIP) word_valid_q <= 1'b1;
            end
        end
        if (take) begin
            if (crc_field) wanted_q <= beat[31:0];
            if (header_last) begin
                count_q <= header_high[23:0];
                kind_q  <= header_high[25:24];
                place_q <= 0;
            end else if (body_q) begin
                place_q <= word_last ? {PW{1'b0}} : reach;
                if (word_last) count_q <= count_q - 1'b1;
            end
        end
    end

    // ---- word -----------------------------------------------------------------------------------
    wire [2*BUS-1:0] from4;
    wire [4*BUS-1:0] from2;
    wire unused_wide = &{1'b0, from4, from2};   // of words with fewer beats
    genvar w, b;
    generate
        for (w = 0; w < BUS / 4; w = w + 1) begin : gen_from4
            assign from4[w*8 +: 8] = {{4{beat[w*4+3]}}, beat[w*4 +: 4]};
        end
        for (w = 0; w < BUS / 2; w = w + 1) begin : gen_from2
            assign from2[w*8 +: 8] = {{6{beat[w*2+1]}}, beat[w*2 +: 2]};
        end
        for (b = 0; b < BEATS; b = b + 1) begin : gen_beat
            localparam PLACE = b, PLACE4 = b / 2 * 2, PLACE2 = b / 4 * 4;
            wire here8 = kind_q == 2'd0 && place_q == PLACE[PW-1:0];
            wire here4 = kind_q == 2'd1 && place_q == PLACE4[PW-1:0];
            wire here2 = kind_q == 2'd2 && place_q == PLACE2[PW-1:0];
            always @(posedge clk)
                if (take && body_q && (here8 || here4 || here2))
                    word_q[b*BUS +: BUS] <= here8 ? beat : here4 ? from4[b%2*BUS +: BUS]
                                                                 : from2[b%4*BUS +: BUS];
        end
    endgenerate

    // ---- CRC, one cycle behind the beats --------------------------------------------------------
    reg  [BUS-1:0] data_q;
    reg            data_valid_q, data_first_q, data_last_q, check_q;
    reg  [31:0]    crc_q, wanted_late_q;
    reg  [15:0]    count_blocks_q, data_block_q, block_late_q;
    wire [31:0]    crc_next;
    wire [BUS-1:0] covered;
    assign covered[31:0] = crc_field ? 32'd0 : beat[31:0];
    generate
        if (BUS > 32) begin : gen_covered
            assign covered[BUS-1:32] = beat[BUS-1:32];
        end
    endgenerate
    crc32_step #(.BUS(BUS)) u_crc (
        .crc(data_first_q ? 32'hffffffff : crc_q), .data(data_q), .next(crc_next)
    );
    always @(posedge clk) begin
        data_valid_q <= take && !rst;
        data_q       <= covered;
        data_first_q <= crc_field;
        data_last_q  <= block_last;
        data_block_q <= count_blocks_q;
        if (data_valid_q) begin
            crc_q         <= crc_next;
            wanted_late_q <= wanted_q;
            block_late_q  <= data_block_q;
        end
        block_q <= block_late_q;
        if (rst) count_blocks_q <= 16'd0;
        else if (take && block_last) count_blocks_q <= kind_q == SKIP ? 16'd0 : count_blocks_q + 1'b1;
        check_q     <= data_valid_q && data_last_q && !rst;
        crc_error_q <= check_q && ~crc_q != wanted_late_q && !rst;
    end
endmodule
