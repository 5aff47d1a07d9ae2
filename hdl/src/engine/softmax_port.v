// Purpose   softmax_port: lets the softmax unit see a tensor of one pixel as a vector: turns its
//           sequential element indices into buffer words and packs its results into words.
// Latency   READ 5 from rd_en to rd_data; writes go out one cycle after a word is full.
module softmax_port #(
    parameter WB = 8,
    parameter AW = 9,
    parameter LW = 6
) (
    input  wire            clk,
    input  wire [AW-1:0]   in_base,
    input  wire [AW-1:0]   in_plane,
    input  wire [AW-1:0]   out_base,
    input  wire [AW-1:0]   out_plane,
    input  wire [10:0]     length,
    input  wire            rd_en,
    input  wire [9:0]      rd_index,
    output reg  signed [7:0] rd_data_q,
    input  wire            wr_en,
    input  wire [9:0]      wr_index,
    input  wire [7:0]      wr_data,
    output reg  [AW-1:0]   read_addr_q,
    input  wire [WB*8-1:0] read_word,
    output reg             write_valid_q,
    output reg  [AW-1:0]   write_addr_q,
    output wire [WB*8-1:0] write_data
);
    localparam WB_M1 = WB - 1;
    reg [LW-1:0] rd_lane_q, wr_lane_q;
    wire [LW-1:0] sel_lane;
    wire rd_wrap = rd_lane_q == WB_M1[LW-1:0];
    always @(posedge clk) begin
        if (rd_en) begin
            rd_lane_q   <= (rd_index == 0 || rd_wrap) ? {LW{1'b0}} : rd_lane_q + 1'b1;
            read_addr_q <= rd_index == 0 ? in_base : rd_wrap ? read_addr_q + in_plane : read_addr_q;
        end
    end
    delay_line #(.WIDTH(LW), .STAGES(3)) u_lane (.clk(clk), .in(rd_lane_q), .out(sel_lane));
    wire [7:0] selected;
    word_select #(.N(WB), .W(8), .SW(LW)) u_selected (
        .words(read_word), .select(sel_lane), .word(selected)
    );
    always @(posedge clk) rd_data_q <= selected;

    wire wr_first = wr_index == 0;
    wire wr_final = {1'b0, wr_index} + 11'd1 == length;
    wire [LW-1:0] wr_lane = wr_first ? {LW{1'b0}} : wr_lane_q;
    reg [AW-1:0]   next_addr_q;
    wire [AW-1:0]  wr_addr = wr_first ? out_base : next_addr_q;
    wire wr_full = wr_lane == WB_M1[LW-1:0];
    always @(posedge clk) begin
        write_valid_q <= wr_en && (wr_full || wr_final);
        write_addr_q  <= wr_addr;
        if (wr_en) begin
            wr_lane_q   <= wr_full ? {LW{1'b0}} : wr_lane + 1'b1;
            next_addr_q <= wr_full ? wr_addr + out_plane : wr_addr;
        end
    end
    // the first byte of a word clears the others
    genvar j;
    generate
        for (j = 0; j < WB; j = j + 1) begin : gen_byte
            localparam LANE = j;
            reg [7:0] byte_q;
            always @(posedge clk) begin
                if (wr_en) begin
                    if (wr_lane == LANE[LW-1:0]) byte_q <= wr_data;
                    else if (wr_lane == 0) byte_q <= 8'd0;
                end
            end
            assign write_data[j*8 +: 8] = byte_q;
        end
    endgenerate
endmodule
