// Purpose   weight_stream: weights from memory through PORTS read ports, ahead of the array. Every port
//           brings its own part of each weight word and has its own region, unpacker and ring; a step
//           may go when all parts of its word are there. The whole stream is read once per inference.
// Release   a word is given back when the last pixel group of its tile has read it.
// Errors    (until reset) error_q = {8'd0, block[15:0], port[3:0], code[3:0]}: 1 the memory answered with an
//           error, 2 a block's CRC-32 does not match, 3 no word within WATCHDOG cycles. `stopped_q` then
//           holds back every step and layer end.
// Latency   6 from `step` to `weight`, as the feeder's data.
module weight_stream #(
    parameter PORTS = 1,
    parameter BUS   = 64,
    parameter BEATS = 4,                      // of a weight word, all ports
    parameter WIDTH = 256,                    // bits of a weight word, at most BEATS * BUS
    parameter DEPTH = 512,
    parameter AW    = 9,
    parameter CW    = 10,
    parameter [PORTS*32-1:0] BURSTS = {PORTS{32'd1}},
    parameter [PORTS*20-1:0] PAGES  = {PORTS{20'd0}},   // first page of each port's region
    parameter WATCHDOG = 65536                // a power of two
) (
    input  wire                 clk,
    input  wire                 rst,
    input  wire                 enable,
    input  wire [31:12]         base_page,
    output wire [PORTS*32-1:0]  araddr,
    output wire [PORTS-1:0]     arvalid,
    input  wire [PORTS-1:0]     arready,
    input  wire [PORTS*BUS-1:0] rdata,
    input  wire [PORTS*2-1:0]   rresp,
    input  wire [PORTS-1:0]     rlast,
    input  wire [PORTS-1:0]     rvalid,
    output wire [PORTS-1:0]     rready,
    // feeder, in the cycle in which a step is issued
    input  wire                 step,
    input  wire                 step_last,    // of a pixel group
    input  wire                 group_last,   // of the tile
    input  wire                 waiting,      // a step would go but for its weights
    output wire                 ready,
    output wire [WIDTH-1:0]     weight,
    // counters and errors
    input  wire                 layer_start,
    input  wire                 layer_done,
    output reg  [31:0]          stats_stalls_q,
    output reg                  stopped_q,
    output reg  [31:0]          error_q
);
    localparam LAST  = DEPTH - 1;
    localparam EACH  = BEATS / PORTS;
    localparam MORE  = BEATS % PORTS;         // the first ports have one beat more
    localparam DOG   = $clog2(WATCHDOG);

    // ---- address in the rings -------------------------------------------------------------------
    reg  [AW-1:0] addr_q, tile_addr_q;
    reg  [CW-1:0] walked_q;
    wire [AW-1:0] addr_next = addr_q == LAST[AW-1:0] ? {AW{1'b0}} : addr_q + 1'b1;
    wire          rewind = step && step_last && !group_last;
    wire [AW-1:0] read_addr;
    wire          give_back;
    always @(posedge clk) begin
        if (rst) begin
            addr_q      <= 0;
            tile_addr_q <= 0;
            walked_q    <= 0;
        end else if (step) begin
            addr_q   <= rewind ? tile_addr_q : addr_next;
            walked_q <= step_last ? {CW{1'b0}} : walked_q + 1'b1;
            if (step_last && group_last) tile_addr_q <= addr_next;
        end
    end
    delay_line #(.WIDTH(AW), .STAGES(4)) u_read_addr (.clk(clk), .in(addr_q), .out(read_addr));
    // the place of a word is free after its reading
    delay_line #(.WIDTH(1), .STAGES(5)) u_give_back (
        .clk(clk), .in(step && group_last && !rst), .out(give_back)
    );

    // ---- ports ----------------------------------------------------------------------------------
    wire [PORTS-1:0]     port_ready, slave_error, crc_error;
    wire [PORTS*16-1:0]  blocks;
    wire [BEATS*BUS-1:0] words;
    assign ready  = &port_ready && !stopped_q;
    assign weight = words[WIDTH-1:0];
    genvar p;
    generate
        if (BEATS * BUS > WIDTH) begin : gen_unused
            wire unused_words = &{1'b0, words[BEATS*BUS-1:WIDTH]};
        end
        for (p = 0; p < PORTS; p = p + 1) begin : gen_port
            localparam OWN   = EACH + (p < MORE ? 1 : 0);
            localparam FIRST = EACH * p + (p < MORE ? p : MORE);
            wire [BUS-1:0]     beat;
            wire               beat_valid, beat_ready, word_valid, word_ready;
            wire [OWN*BUS-1:0] word;
            axi_reader #(.BUS(BUS), .BURSTS(BURSTS[p*32 +: 32])) u_reader (
                .clk(clk),
                .rst(rst),
                .enable(enable),
                .stop(stopped_q),
                .first_page(base_page + PAGES[p*20 +: 20]),
                .araddr_q(araddr[p*32 +: 32]),
                .arvalid_q(arvalid[p]),
                .arready(arready[p]),
                .rdata(rdata[p*BUS +: BUS]),
                .rresp(rresp[p*2 +: 2]),
                .rlast(rlast[p]),
                .rvalid(rvalid[p]),
                .rready(rready[p]),
                .beat(beat),
                .beat_valid(beat_valid),
                .beat_ready(beat_ready),
                .slave_error_q(slave_error[p])
            );
            weight_unpack #(.BUS(BUS), .BEATS(OWN)) u_unpack (
                .clk(clk),
                .rst(rst),
                .beat(beat),
                .beat_valid(beat_valid),
                .beat_ready(beat_ready),
                .word_q(word),
                .word_valid_q(word_valid),
                .word_ready(word_ready),
                .crc_error_q(crc_error[p]),
                .block_q(blocks[p*16 +: 16])
            );
            weight_ring #(.WIDTH(OWN*BUS), .DEPTH(DEPTH), .AW(AW), .CW(CW)) u_ring (
                .clk(clk),
                .rst(rst),
                .word(word),
                .word_valid(word_valid),
                .word_ready(word_ready),
                .step(step),
                .rewind(rewind),
                .walked(walked_q),
                .give_back(give_back),
                .read_addr(read_addr),
                .ready_q(port_ready[p]),
                .data_q(words[FIRST*BUS +: OWN*BUS])
            );
        end
    endgenerate

    // ---- waiting and errors ---------------------------------------------------------------------
    reg  [DOG:0] waited_q;
    reg  [31:0]  stalls_q, error;
    integer i;
    always @* begin
        error = waited_q[DOG] ? {8'd0, blocks[15:0], 8'h03} : 32'd0;
        for (i = 0; i < PORTS; i = i + 1) begin
            if (crc_error[i])   error = {8'd0, blocks[i*16 +: 16], i[3:0], 4'd2};
            if (slave_error[i]) error = {8'd0, blocks[i*16 +: 16], i[3:0], 4'd1};
        end
    end
    always @(posedge clk) begin
        waited_q <= waiting && !stopped_q && !rst ? waited_q + 1'b1 : {DOG+1{1'b0}};
        stalls_q <= layer_start ? 32'd0 : stalls_q + {31'd0, waiting};
        if (layer_done) stats_stalls_q <= stalls_q;
        if (rst) begin
            stopped_q <= 1'b0;
            error_q   <= 32'd0;
        end else if (!stopped_q) begin
            stopped_q <= error != 32'd0;
            error_q   <= error;
        end
    end
endmodule
