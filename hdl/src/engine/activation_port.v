// Purpose   activation_port: regions of activations between a buffer and memory, and an input on its way to
//           memory, through one AXI4 port (HP port of its own).
// Format    as activation_writer has it, rows of the region one after the other. A layer's run begins `burst`
//           bursts behind PAGE pages from `base_page` on.
// Order     a run begins when all writes before it are answered; so nothing is read that is still on its way.
// Latency   a word per cycle as far as the memory goes along; `done` when a buffer has all words, or the writer.
// Errors    error_q (one cycle) = code: 4 the memory answered with an error, 5 nothing went on for WATCHDOG
//           cycles.
module activation_port #(
    parameter P           = 3,
    parameter RW          = 2,
    parameter WB          = 8,
    parameter AW          = 9,
    parameter NW          = 10,
    parameter BUS         = 64,
    parameter CW          = 20,          // counts bursts
    parameter [31:12] PAGE = 20'd0,      // of the activations in memory
    parameter INPUT_BURST = 0,           // where an input goes
    parameter INPUT_WORDS = 1,           // of a row of it
    parameter WATCHDOG    = 65536        // a power of two
) (
    input  wire            clk,
    input  wire            rst,
    input  wire            stop,
    input  wire            busy,         // layers run; otherwise words come from the input
    input  wire            store,        // begins a run: buffer to memory
    input  wire            load,         // the other way
    input  wire [31:12]    base_page,
    // layer program
    input  wire [CW-1:0]   burst,
    input  wire [CW-1:0]   bursts_m1,
    input  wire [NW-1:0]   rows_m1,
    input  wire [NW-1:0]   cols_m1,
    input  wire [NW-1:0]   words_m1,
    input  wire [AW-1:0]   base,
    input  wire [AW-1:0]   plane,
    input  wire [RW-1:0]   start_rem,
    input  wire [AW-1:0]   step_quot,
    input  wire [RW-1:0]   step_rem,
    input  wire [AW-1:0]   row_quot,
    input  wire [RW-1:0]   row_rem,
    // input
    input  wire            in_valid,
    input  wire [WB*8-1:0] in_word,
    output wire            in_room,
    // buffers: word back 3 cycles after its address
    output wire [AW-1:0]   read_addr,
    output wire [RW-1:0]   read_bank,
    input  wire [WB*8-1:0] read_word,
    output wire            write_valid,
    output reg  [AW-1:0]   write_addr,
    output reg  [RW-1:0]   write_bank,
    output wire [WB*8-1:0] write_data,
    output wire            done,
    // memory
    output wire [31:0]     awaddr,
    output wire            awvalid,
    input  wire            awready,
    output wire [BUS-1:0]  wdata,
    output wire            wlast,
    output wire            wvalid,
    input  wire            wready,
    input  wire [1:0]      bresp,
    input  wire            bvalid,
    output wire            bready,
    output wire [31:0]     araddr,
    output wire            arvalid,
    input  wire            arready,
    input  wire [BUS-1:0]  rdata,
    input  wire [1:0]      rresp,
    input  wire            rlast,
    input  wire            rvalid,
    output wire            rready,
    output reg  [3:0]      error_q
);
    localparam ALIGN = BUS == 64 ? 7 : 6;              // of a burst's bytes
    localparam INPUT_WORDS_M1 = INPUT_WORDS - 1;
    localparam DOG = $clog2(WATCHDOG);

    // ---- a run ----------------------------------------------------------------------------------
    reg  storing_q, loading_q, waiting_q, walked_q;
    wire writer_idle, room, word_comes, row_end, last;
    wire [AW-1:0] address;
    wire [RW-1:0] bank;
    wire begins = waiting_q && writer_idle;
    wire issue  = storing_q && !waiting_q && !walked_q && room;
    wire advance = issue || word_comes;
    reg  [2:0] issued_q, row_end_q;      // the last cycles', while their words come
    wire stored = storing_q && walked_q && issued_q == 0;
    wire loaded;
    region_walk #(.P(P), .RW(RW), .AW(AW), .NW(NW)) u_walk (
        .clk(clk),
        .restart(store || load),
        .advance(advance),
        .rows_m1(rows_m1),
        .cols_m1(cols_m1),
        .words_m1(words_m1),
        .base(base),
        .plane(plane),
        .start_rem(start_rem),
        .step_quot(step_quot),
        .step_rem(step_rem),
        .row_quot(row_quot),
        .row_rem(row_rem),
        .address(address),
        .bank(bank),
        .row_end(row_end),
        .last(last)
    );
    always @(posedge clk) begin
        if (rst) begin
            storing_q <= 1'b0;
            loading_q <= 1'b0;
            waiting_q <= 1'b0;
        end else begin
            storing_q <= store || (storing_q && !stored);
            loading_q <= load || (loading_q && !loaded);
            waiting_q <= store || load || (waiting_q && !begins);
        end
        walked_q <= !(store || load) && (walked_q || (advance && last));
    end
    assign read_addr = address;
    assign read_bank = bank;
    // the last word's last burst may still bring what fills it
    wire reader_waits;
    assign loaded = loading_q && !waiting_q && walked_q && !reader_waits;
    delay_line #(.WIDTH(1), .STAGES(2)) u_done (.clk(clk), .in((stored || loaded) && !rst), .out(done));

    // ---- to memory ------------------------------------------------------------------------------
    wire word_valid, word_row_end;
    reg  [15:0] in_word_q;
    reg         in_begun_q;          // words of this inference's input have come
    wire in_row_end = in_word_q == INPUT_WORDS_M1[15:0];
    assign word_valid   = busy ? issued_q[2] : in_valid;
    assign word_row_end = busy ? row_end_q[2] : in_row_end;
    always @(posedge clk) begin
        issued_q  <= {issued_q[1:0], issue && !rst};
        row_end_q <= {row_end_q[1:0], row_end};
        if (rst) in_word_q <= 16'd0;
        else if (in_valid) in_word_q <= in_row_end ? 16'd0 : in_word_q + 1'b1;
        in_begun_q <= !rst && !busy && (in_begun_q || in_valid);
    end
    wire [CW-1:0] first = busy ? burst : INPUT_BURST[CW-1:0];
    wire [31:0]   run_address = {base_page + PAGE, 12'd0} + ({{(32-CW){1'b0}}, first} << ALIGN);
    wire writer_waits, write_error, read_error;
    assign in_room = room;
    activation_writer #(.BUS(BUS), .WB(WB)) u_writer (
        .clk(clk),
        .rst(rst),
        .stop(stop),
        .start(busy ? begins && storing_q : writer_idle && !in_begun_q && !in_valid),
        .address(run_address),
        .word_valid(word_valid),
        .word(busy ? read_word : in_word),
        .row_end(word_row_end),
        .room(room),
        .idle(writer_idle),
        .awaddr_q(awaddr),
        .awvalid_q(awvalid),
        .awready(awready),
        .wdata(wdata),
        .wlast(wlast),
        .wvalid(wvalid),
        .wready(wready),
        .bresp(bresp),
        .bvalid(bvalid),
        .bready(bready),
        .waits(writer_waits),
        .slave_error_q(write_error)
    );

    // ---- from memory ----------------------------------------------------------------------------
    activation_reader #(.BUS(BUS), .WB(WB), .CW(CW)) u_reader (
        .clk(clk),
        .rst(rst),
        .stop(stop),
        .start(begins && loading_q),
        .address(run_address),
        .bursts_m1(bursts_m1),
        .row_end(row_end),
        .word_comes(word_comes),
        .word_q(write_data),
        .araddr_q(araddr),
        .arvalid_q(arvalid),
        .arready(arready),
        .rdata(rdata),
        .rresp(rresp),
        .rlast(rlast),
        .rvalid(rvalid),
        .rready(rready),
        .waits(reader_waits),
        .slave_error_q(read_error)
    );
    delay_line #(.WIDTH(1), .STAGES(1)) u_write (.clk(clk), .in(word_comes && !rst), .out(write_valid));
    always @(posedge clk) begin
        write_addr <= address;
        write_bank <= bank;
    end

    // ---- errors ---------------------------------------------------------------------------------
    reg  [DOG:0] waited_q;
    wire goes_on = (awvalid && awready) || (wvalid && wready) || bvalid || (arvalid && arready) || rvalid;
    always @(posedge clk) begin
        waited_q <= rst || stop || goes_on || !(writer_waits || reader_waits) ? {DOG+1{1'b0}} : waited_q + 1'b1;
        error_q  <= rst ? 4'd0 : write_error || read_error ? 4'd4 : waited_q[DOG] ? 4'd5 : 4'd0;
    end
endmodule
