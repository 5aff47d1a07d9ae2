// Purpose   lstm_loader: copies the sequence's vectors, one after the other, from the activation
//           buffer into the LSTM unit's vector memory, at most two ahead of their use.
// Latency   4 per buffer word, then one element per cycle.
module lstm_loader #(
    parameter P      = 3,
    parameter RW     = 2,
    parameter WB     = 8,
    parameter AW     = 9,
    parameter LENGTH = 28,
    parameter INPUTS = 28,
    parameter K      = 4,
    parameter KW     = 2,
    parameter VAW    = 3
) (
    input  wire            clk,
    input  wire            rst,
    input  wire            start,
    input  wire            used,          // the oldest vector is no longer needed
    input  wire [AW-1:0]   in_base,
    input  wire [AW-1:0]   in_plane,
    output wire            ready,         // a vector is there
    output reg  [AW-1:0]   read_addr_q,
    output reg  [RW-1:0]   read_bank_q,
    input  wire [WB*8-1:0] read_word,     // 3 cycles after the address
    output wire            we,
    output reg             whalf_q,
    output reg  [KW-1:0]   wlane_q,
    output reg  [VAW-1:0]  waddr_q,
    output wire [7:0]      wdata
);
    localparam INPUTS_M1 = INPUTS - 1;
    localparam WB_M1 = WB - 1;
    localparam P_M1 = P - 1;
    localparam K_M1 = K - 1;
    localparam [1:0] S_IDLE = 2'd0, S_READ = 2'd1, S_COPY = 2'd2;
    reg [1:0]      state_q, wait_q, filled_q;
    reg [15:0]     missing_q, channel_q, byte_q;
    reg [AW-1:0]   quot_q;
    reg [WB*8-1:0] hold_q;
    wire vector_end = channel_q == INPUTS_M1[15:0];
    wire word_end   = vector_end || byte_q == WB_M1[15:0];
    wire loaded     = state_q == S_COPY && vector_end;
    wire bank_wrap  = read_bank_q == P_M1[RW-1:0];
    wire lane_wrap  = wlane_q == K_M1[KW-1:0];
    assign ready = filled_q != 2'd0;
    assign we    = state_q == S_COPY;
    assign wdata = hold_q[7:0];
    always @(posedge clk) begin
        wait_q <= state_q == S_READ ? wait_q + 1'b1 : 2'd0;
        if (state_q == S_READ) hold_q <= read_word;
        else hold_q <= hold_q >> 8;
        if (rst) begin
            state_q   <= S_IDLE;
            missing_q <= 16'd0;
            filled_q  <= 2'd0;
        end else if (start) begin
            state_q     <= S_IDLE;
            missing_q   <= LENGTH[15:0];
            filled_q    <= 2'd0;
            quot_q      <= in_base;
            read_bank_q <= {RW{1'b0}};
            whalf_q     <= 1'b0;
        end else begin
            filled_q <= filled_q + {1'b0, loaded} - {1'b0, used};
            case (state_q)
                S_IDLE: begin
                    if (missing_q != 16'd0 && filled_q != 2'd2) state_q <= S_READ;
                    channel_q   <= 16'd0;
                    byte_q      <= 16'd0;
                    wlane_q     <= {KW{1'b0}};
                    waddr_q     <= {VAW{1'b0}};
                    read_addr_q <= quot_q;
                end
                S_READ: if (wait_q == 2'd3) state_q <= S_COPY;
                default: begin
                    channel_q <= channel_q + 16'd1;
                    byte_q    <= word_end ? 16'd0 : byte_q + 16'd1;
                    wlane_q   <= lane_wrap ? {KW{1'b0}} : wlane_q + 1'b1;
                    if (lane_wrap) waddr_q <= waddr_q + 1'b1;
                    if (word_end) begin
                        state_q     <= vector_end ? S_IDLE : S_READ;
                        read_addr_q <= read_addr_q + in_plane;
                    end
                    if (vector_end) begin
                        missing_q   <= missing_q - 16'd1;
                        whalf_q     <= !whalf_q;
                        read_bank_q <= bank_wrap ? {RW{1'b0}} : read_bank_q + 1'b1;
                        if (bank_wrap) quot_q <= quot_q + 1'b1;
                    end
                end
            endcase
        end
    end
endmodule
