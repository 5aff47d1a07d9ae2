// Purpose   weight_ring: one port's part of the weight words that are on chip: written in the order of
//           the stream, read at the address of the step, given back word by word.
// Latency   2 from `read_addr` to `data_q`; `ready_q` knows of a word one cycle after its write.
// Stall     takes no word while it is full.
module weight_ring #(
    parameter WIDTH = 256,
    parameter DEPTH = 512,
    parameter AW    = 9,
    parameter CW    = 10       // counts 0 to DEPTH
) (
    input  wire             clk,
    input  wire             rst,
    input  wire [WIDTH-1:0] word,
    input  wire             word_valid,
    output wire             word_ready,
    input  wire             step,       // the next word is used; only while `ready_q` is high
    input  wire             rewind,     // with `step`: from here back to the first word of the tile
    input  wire [CW-1:0]    walked,     // words of the tile in front of this one
    input  wire             give_back,  // a word has been read for the last time
    input  wire [AW-1:0]    read_addr,
    output reg              ready_q,
    output reg  [WIDTH-1:0] data_q
);
    localparam LAST = DEPTH - 1;
    (* ram_style = "block" *) reg [WIDTH-1:0] mem [0:DEPTH-1];
    reg [WIDTH-1:0] read_q;
    reg [AW-1:0]    write_addr_q;
    reg [CW-1:0]    stored_q;      // words whose place is taken
    reg [CW-1:0]    ahead_q;       // words written from the next step's on
    reg             full_q;
    assign word_ready = !full_q;
    wire write = word_valid && !full_q;
    wire [CW-1:0] stored = stored_q + {{(CW-1){1'b0}}, write} - {{(CW-1){1'b0}}, give_back};
    wire [CW-1:0] ahead  = ahead_q + {{(CW-1){1'b0}}, write} + (rewind ? walked : {CW{1'b0}})
                           - {{(CW-1){1'b0}}, step && !rewind};
    always @(posedge clk) begin
        if (write) mem[write_addr_q] <= word;
        read_q <= mem[read_addr];
        data_q <= read_q;
        if (rst) begin
            write_addr_q <= 0;
            stored_q     <= 0;
            ahead_q      <= 0;
            full_q       <= 1'b0;
            ready_q      <= 1'b0;
        end else begin
            if (write)
                write_addr_q <= write_addr_q == LAST[AW-1:0] ? {AW{1'b0}} : write_addr_q + 1'b1;
            stored_q <= stored;
            full_q   <= stored == DEPTH[CW-1:0];
            ahead_q  <= ahead;
            ready_q  <= ahead != 0;
        end
    end
endmodule
