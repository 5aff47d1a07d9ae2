// Purpose   param_ring: the lanes' constants of the tiles at hand, where they come with the weights: a word
//           of the stream holds ENTRIES parameter words, which are written one after the other, or
//           PARTS words of the stream make a parameter word, low part first.
// Order     addresses count the parameter words of a layer from 0 on, modulo DEPTH, on both sides.
// Overrun   DEPTH holds at least 16 tiles: until the seventeenth arrives, 15 tiles of two cycles and more have
//           passed, and the first one has left the pipeline of feeder, array and drain.
// Latency   2 from `addr` to `data_q`; a parameter word is there 1 + its place in the word after the last
//           `load` that it needs.
// Stall     none; between two loads lie ENTRIES cycles.
module param_ring #(
    parameter WIDTH   = 252,
    parameter WORD    = 512,      // bits of a word of the stream
    parameter ENTRIES = 2,
    parameter PARTS   = 1,
    parameter DEPTH   = 32,       // a power of two
    parameter AW      = 5,
    parameter NW      = 10
) (
    input  wire             clk,
    input  wire             start,       // of a layer
    input  wire             load,
    input  wire [WORD-1:0]  word,
    input  wire [NW-1:0]    groups_m1,   // parameter words of a tile
    input  wire [AW-1:0]    addr,
    output reg  [WIDTH-1:0] data_q
);
    localparam LAST = ENTRIES - 1;
    localparam PW   = ENTRIES > 1 ? $clog2(ENTRIES) : 1;
    (* ram_style = "distributed" *) reg [WIDTH-1:0] mem [0:DEPTH-1];
    reg [WIDTH-1:0]         read_q;
    reg [ENTRIES*WIDTH-1:0] shift_q;
    reg                     busy_q;
    reg [PW-1:0]            place_q;
    reg [NW-1:0]            group_q;
    reg [AW-1:0]            write_addr_q;
    wire [ENTRIES*WIDTH-1:0] whole;      // with `complete`
    wire                     complete;
    generate
        if (PARTS > 1) begin : gen_parts
            localparam PARTS_LAST = PARTS - 1;
            localparam CW = $clog2(PARTS);
            localparam EARLIER = (PARTS - 1) * WORD;
            reg  [EARLIER-1:0]      earlier_q;
            reg  [CW-1:0]           part_q;
            wire [PARTS*WORD-1:0]   all = {word, earlier_q};
            wire                    unused_all = &{1'b0, all};
            assign whole    = all[WIDTH-1:0];
            assign complete = load && part_q == PARTS_LAST[CW-1:0];
            always @(posedge clk) begin
                if (load) earlier_q <= all[PARTS*WORD-1 -: EARLIER];
                if (start || complete) part_q <= 0;
                else if (load) part_q <= part_q + 1'b1;
            end
        end else begin : gen_entries
            wire unused_word = &{1'b0, word};
            assign whole    = word[ENTRIES*WIDTH-1:0];
            assign complete = load;
        end
    endgenerate

    // the last entry stays where it is: nobody reads what would follow it, and a zero would cost a reset
    wire [ENTRIES*WIDTH-1:0] shifted;
    genvar e;
    generate
        for (e = 0; e < ENTRIES; e = e + 1) begin : gen_shifted
            localparam FROM = e + 1 < ENTRIES ? e + 1 : e;
            assign shifted[e*WIDTH +: WIDTH] = shift_q[FROM*WIDTH +: WIDTH];
        end
    endgenerate

    wire tile_end = group_q == groups_m1;
    wire word_end = tile_end || place_q == LAST[PW-1:0];
    always @(posedge clk) begin
        if (busy_q) mem[write_addr_q] <= shift_q[WIDTH-1:0];
        read_q  <= mem[addr];
        data_q  <= read_q;
        shift_q <= complete ? whole : shifted;
        busy_q  <= complete || (busy_q && !word_end && !start);
        place_q <= complete ? {PW{1'b0}} : place_q + 1'b1;
        if (start) begin
            group_q      <= 0;
            write_addr_q <= 0;
        end else if (busy_q) begin
            group_q      <= tile_end ? {NW{1'b0}} : group_q + 1'b1;
            write_addr_q <= write_addr_q + 1'b1;
        end
    end
endmodule
