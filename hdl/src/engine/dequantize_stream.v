// Purpose   dequantize_stream: int8 elements to float32 AXI4-Stream beats through dequantize_f32.
// Latency   LATENCY + 1; one element in flight at a time; payload is stable while stalled.
module dequantize_stream #(
    parameter LATENCY = 1
) (
    input  wire        clk,
    input  wire        rst,
    input  wire [7:0]  byte_data,
    input  wire        byte_valid,
    input  wire        byte_last,
    output wire        byte_ready,
    output reg  [31:0] m_axis_tdata,
    output wire [3:0]  m_axis_tkeep,
    output reg         m_axis_tvalid,
    output reg         m_axis_tlast,
    input  wire        m_axis_tready
);
    wire [31:0] x;
    wire        ready_data;
    reg         flight_q, last_q;
    wire        take = byte_valid && byte_ready;
    assign byte_ready   = !flight_q && !m_axis_tvalid;
    assign m_axis_tkeep = 4'hf;
    dequantize_f32 u_dequantize (.clk(clk), .q(byte_data), .x_q(x));
    delay_line #(.WIDTH(1), .STAGES(LATENCY)) u_valid (.clk(clk), .in(take && !rst), .out(ready_data));
    always @(posedge clk) begin
        if (take) last_q <= byte_last;
        if (ready_data) begin
            m_axis_tdata <= x;
            m_axis_tlast <= last_q;
        end
        if (rst) begin
            flight_q      <= 1'b0;
            m_axis_tvalid <= 1'b0;
        end else begin
            if (take) flight_q <= 1'b1;
            else if (ready_data) flight_q <= 1'b0;
            if (ready_data) m_axis_tvalid <= 1'b1;
            else if (m_axis_tready) m_axis_tvalid <= 1'b0;
        end
    end
endmodule
