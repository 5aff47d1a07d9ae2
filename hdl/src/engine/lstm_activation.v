// Purpose   lstm_activation: gemmlowp's 16-bit logistic function and tanh from tables of their
//           non-negative half, each value as the least of its block plus a difference.
// Equation  m = min(|s|, 32767);  v = base[fn][m >> K] + delta[fn][m]
//           y = s >= 0 ? v : (fn == 0 ? 32767 - v : -v)      function 0 is the logistic one
// Latency   5; initiation interval 1; never stalls.
module lstm_activation #(
    parameter FW = 1,
    parameter K  = 4,
    parameter DW = 8
) (
    input  wire               clk,
    input  wire [FW-1:0]      fn,
    input  wire signed [15:0] s,
    output reg  signed [15:0] y_q
);
    wire [15:0] magnitude = s[15] ? ~s + 16'd1 : s;
    reg  [14:0] m_q;
    reg  [FW-1:0] fn_q;
    always @(posedge clk) begin
        m_q  <= magnitude[15] ? 15'h7fff : magnitude[14:0];
        fn_q <= fn;
    end
    wire [15:0]   base;
    wire [DW-1:0] delta;
    lstm_base_rom #(.WIDTH(16), .DEPTH(1 << (FW + 15 - K)), .AW(FW + 15 - K)) u_base (
        .clk(clk), .addr({fn_q, m_q[14:K]}), .data_q(base)
    );
    lstm_delta_rom #(.WIDTH(DW), .DEPTH(1 << (FW + 15)), .AW(FW + 15)) u_delta (
        .clk(clk), .addr({fn_q, m_q}), .data_q(delta)
    );
    wire negative, is_logistic;
    delay_line #(.WIDTH(2), .STAGES(4)) u_kind (
        .clk(clk), .in({s[15], fn == {FW{1'b0}}}), .out({negative, is_logistic})
    );
    reg  [15:0] value_q;
    always @(posedge clk) begin
        value_q <= base + {{(16-DW){1'b0}}, delta};
        y_q     <= !negative ? value_q : is_logistic ? 16'h7fff - value_q : ~value_q + 16'd1;
    end
endmodule
