// Purpose   output_pack: int8 elements to 32-bit AXI4-Stream beats, lowest byte first; the last
//           beat carries tlast and a partial tkeep.
// Latency   1 from the beat's last element; one element per cycle; payload is stable while stalled.
module output_pack (
    input  wire        clk,
    input  wire        rst,
    input  wire [7:0]  byte_data,
    input  wire        byte_valid,
    input  wire        byte_last,
    output wire        byte_ready,
    output reg  [31:0] m_axis_tdata,
    output reg  [3:0]  m_axis_tkeep,
    output reg         m_axis_tvalid,
    output reg         m_axis_tlast,
    input  wire        m_axis_tready
);
    reg [23:0] part_q;
    reg [1:0]  count_q;
    wire room = !m_axis_tvalid || m_axis_tready;
    wire take = byte_valid && byte_ready;
    wire full = count_q == 2'd3 || byte_last;
    assign byte_ready = room;
    always @(posedge clk) begin
        if (rst) begin
            m_axis_tvalid <= 1'b0;
            count_q       <= 2'd0;
        end else begin
            if (take && full) m_axis_tvalid <= 1'b1;
            else if (m_axis_tready) m_axis_tvalid <= 1'b0;
            if (take) count_q <= full ? 2'd0 : count_q + 1'b1;
        end
        if (take) begin
            if (count_q == 2'd0) part_q <= {16'd0, byte_data};
            if (count_q == 2'd1) part_q[15:8] <= byte_data;
            if (count_q == 2'd2) part_q[23:16] <= byte_data;
            if (full) begin
                m_axis_tlast <= byte_last;
                case (count_q)
                    2'd0: begin m_axis_tdata <= {24'd0, byte_data};               m_axis_tkeep <= 4'h1; end
                    2'd1: begin m_axis_tdata <= {16'd0, byte_data, part_q[7:0]};  m_axis_tkeep <= 4'h3; end
                    2'd2: begin m_axis_tdata <= {8'd0, byte_data, part_q[15:0]};  m_axis_tkeep <= 4'h7; end
                    default: begin m_axis_tdata <= {byte_data, part_q};           m_axis_tkeep <= 4'hf; end
                endcase
            end
        end
    end
endmodule
