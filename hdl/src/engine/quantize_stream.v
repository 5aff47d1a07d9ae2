// Purpose   quantize_stream: float32 AXI4-Stream beats to int8 elements through quantize_f32.
//           One beat is in flight at a time per pipeline stage; a small FIFO takes what is in
//           flight when the loader stalls.
// Latency   LATENCY + 1; one element per cycle; obeys backpressure.
module quantize_stream #(
    parameter LATENCY = 9,
    parameter FAW     = 5
) (
    input  wire        clk,
    input  wire        rst,
    input  wire [31:0] s_axis_tdata,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,
    output wire [7:0]  byte_data,
    output wire        byte_valid,
    input  wire        byte_ready
);
    localparam CAPACITY = 1 << FAW;
    reg [7:0]   fifo [0:CAPACITY-1];
    reg [FAW:0] write_q, read_q, claimed_q;
    wire [7:0]  q;
    wire        push;
    wire        accept = s_axis_tvalid && s_axis_tready;
    wire        pop    = byte_valid && byte_ready;
    // a beat is accepted only when a FIFO place is left for it
    assign s_axis_tready = claimed_q != CAPACITY[FAW:0];
    assign byte_valid    = write_q != read_q;
    assign byte_data     = fifo[read_q[FAW-1:0]];
    quantize_f32 u_quantize (.clk(clk), .x(s_axis_tdata), .q_q(q));
    delay_line #(.WIDTH(1), .STAGES(LATENCY)) u_valid (.clk(clk), .in(accept && !rst), .out(push));
    always @(posedge clk) begin
        if (push) fifo[write_q[FAW-1:0]] <= q;
        if (rst) begin
            write_q   <= 0;
            read_q    <= 0;
            claimed_q <= 0;
        end else begin
            if (push) write_q <= write_q + 1'b1;
            if (pop) read_q <= read_q + 1'b1;
            claimed_q <= claimed_q + {{FAW{1'b0}}, accept} - {{FAW{1'b0}}, pop};
        end
    end
endmodule
