// Purpose   lstm_writer: packs the hidden state, value by value, into words of the activation buffer;
//           step t is pixel t.
// Latency   1 after a word is full or the vector ends; initiation interval 1; never stalls.
module lstm_writer #(
    parameter P  = 3,
    parameter RW = 2,
    parameter WB = 8,
    parameter AW = 9
) (
    input  wire            clk,
    input  wire            start,
    input  wire [AW-1:0]   out_base,
    input  wire [AW-1:0]   out_plane,
    input  wire            valid,
    input  wire            last,           // of the vector
    input  wire [7:0]      value,
    output reg             write_valid_q,
    output reg  [RW-1:0]   write_bank_q,
    output reg  [AW-1:0]   write_addr_q,
    output reg  [WB*8-1:0] write_data_q
);
    localparam WB_M1 = WB - 1;
    localparam P_M1 = P - 1;
    reg  [15:0]     lane_q;
    reg  [RW-1:0]   bank_q;
    reg  [AW-1:0]   pixel_q, word_q;      // first word of the pixel, distance to the current one
    reg  [WB*8-1:0] assembly_q, assembly;
    wire full = lane_q == WB_M1[15:0] || last;
    wire wrap = bank_q == P_M1[RW-1:0];
    integer j;
    always @* begin
        assembly = assembly_q;
        for (j = 0; j < WB; j = j + 1)
            if (lane_q == j[15:0]) assembly[j*8 +: 8] = value;
    end
    always @(posedge clk) begin
        write_valid_q <= valid && full;
        write_bank_q  <= bank_q;
        write_addr_q  <= pixel_q + word_q;
        write_data_q  <= assembly;
        if (start) begin
            lane_q     <= 16'd0;
            bank_q     <= {RW{1'b0}};
            pixel_q    <= out_base;
            word_q     <= {AW{1'b0}};
            assembly_q <= {WB*8{1'b0}};
        end else if (valid) begin
            lane_q     <= full ? 16'd0 : lane_q + 16'd1;
            assembly_q <= full ? {WB*8{1'b0}} : assembly;
            if (full) word_q <= last ? {AW{1'b0}} : word_q + out_plane;
            if (last) begin
                bank_q  <= wrap ? {RW{1'b0}} : bank_q + 1'b1;
                if (wrap) pixel_q <= pixel_q + 1'b1;
            end
        end
    end
endmodule
