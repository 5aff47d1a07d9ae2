// Purpose   region_walk: one word of a region after the other: rows, in them columns, in them channel words.
// Equation  address = base + quot + word * plane, with quot and bank of the pixel from pixel_walker
// Latency   0 (addresses are those of the current word); initiation interval 1; advances when told.
module region_walk #(
    parameter P  = 3,
    parameter RW = 2,
    parameter AW = 9,
    parameter NW = 10
) (
    input  wire          clk,
    input  wire          restart,
    input  wire          advance,
    input  wire [NW-1:0] rows_m1,
    input  wire [NW-1:0] cols_m1,
    input  wire [NW-1:0] words_m1,
    input  wire [AW-1:0] base,
    input  wire [AW-1:0] plane,
    input  wire [RW-1:0] start_rem,
    input  wire [AW-1:0] step_quot,
    input  wire [RW-1:0] step_rem,
    input  wire [AW-1:0] row_quot,
    input  wire [RW-1:0] row_rem,
    output wire [AW-1:0] address,
    output wire [RW-1:0] bank,
    output wire          row_end,    // last word of a row
    output wire          last        // of the region
);
    reg  [NW-1:0] row_q, col_q, word_q;
    reg  [AW-1:0] plane_q;           // word * plane
    wire [AW-1:0] quot;
    wire          pixel_end = word_q == words_m1;
    wire          last_col  = col_q == cols_m1;
    assign row_end = pixel_end && last_col;
    assign last    = row_end && row_q == rows_m1;
    assign address = base + quot + plane_q;
    pixel_walker #(.P(P), .RW(RW), .AW(AW)) u_pixel (
        .clk(clk),
        .restart(restart),
        .advance(advance && pixel_end),
        .row_end(last_col),
        .start_rem(start_rem),
        .step_quot(step_quot),
        .step_rem(step_rem),
        .row_quot(row_quot),
        .row_rem(row_rem),
        .quot_q(quot),
        .rem_q(bank)
    );
    always @(posedge clk) begin
        if (restart) begin
            row_q   <= 0;
            col_q   <= 0;
            word_q  <= 0;
            plane_q <= 0;
        end else if (advance) begin
            word_q  <= pixel_end ? {NW{1'b0}} : word_q + 1'b1;
            plane_q <= pixel_end ? {AW{1'b0}} : plane_q + plane;
            if (pixel_end) col_q <= last_col ? {NW{1'b0}} : col_q + 1'b1;
            if (row_end) row_q <= row_q + 1'b1;
        end
    end
endmodule
