// Purpose   input_unpack: 32-bit AXI4-Stream beats to single int8 elements, lowest byte first.
//           `flush` comes with the last element of a tensor and drops what is left of its beat.
// Latency   0 to the first byte of a held beat; one element per cycle; obeys backpressure.
module input_unpack (
    input  wire        clk,
    input  wire        rst,
    input  wire        flush,
    input  wire [31:0] s_axis_tdata,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,
    output wire [7:0]  byte_data,
    output wire        byte_valid,
    input  wire        byte_ready
);
    reg [31:0] beat_q;
    reg [2:0]  left_q;
    wire       take = byte_valid && byte_ready;
    assign byte_data     = beat_q[7:0];
    assign byte_valid    = left_q != 0;
    assign s_axis_tready = left_q == 0 || (left_q == 1 && take);
    always @(posedge clk) begin
        if (rst) left_q <= 3'd0;
        else if (s_axis_tvalid && s_axis_tready) left_q <= 3'd4;
        else if (flush) left_q <= 3'd0;
        else if (take) left_q <= left_q - 1'b1;
        if (s_axis_tvalid && s_axis_tready) beat_q <= s_axis_tdata;
        else if (take) beat_q <= {8'd0, beat_q[31:8]};
    end
endmodule
