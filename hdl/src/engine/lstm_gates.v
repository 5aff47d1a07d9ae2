// Purpose   lstm_gates: the eight sums of one LSTM unit (input's and hidden state's, four gates):
//           K products per gate and cycle, and the sums of the unit before handed on one by one.
// Latency   5 + LEVELS from the last operands to the first sum; never stalls. The sums of a unit
//           take eight cycles, so the last operands of two units are at least that far apart.
module lstm_gates #(
    parameter K      = 4,
    parameter LEVELS = 2
) (
    input  wire                clk,
    input  wire                rst,
    input  wire                valid,
    input  wire                first,      // first operands of a sum
    input  wire                last,       // last operands of a sum
    input  wire                is_hidden,  // of the hidden state's sum, which comes second
    input  wire [K*8-1:0]      operand,
    input  wire [4*K*8-1:0]    weight,     // gate by gate
    output wire                sum_valid,
    output wire [2:0]          sum_slot,   // 2 * gate, plus one for the hidden state's
    output wire signed [31:0]  sum
);
    wire sum_first, sum_last, sum_hidden, sum_live;
    delay_line #(.WIDTH(4), .STAGES(2 + LEVELS)) u_flags (
        .clk(clk), .in({valid && !rst, first, last, is_hidden}),
        .out({sum_live, sum_first, sum_last, sum_hidden})
    );
    reg  [K*8-1:0]   operand_q;
    reg  [4*K*8-1:0] weight_q;
    always @(posedge clk) begin
        operand_q <= operand;
        weight_q  <= weight;
    end
    reg  [4*32-1:0] input_q;
    wire [4*32-1:0] acc;
    genvar g, k;
    generate
        for (g = 0; g < 4; g = g + 1) begin : gen_gate
            wire [K*16-1:0] products;
            for (k = 0; k < K; k = k + 1) begin : gen_mac
                wire signed [7:0] w = weight_q[(g*K+k)*8 +: 8];
                wire signed [7:0] x = operand_q[k*8 +: 8];
                reg  signed [15:0] product_q;
                always @(posedge clk) product_q <= w * x;
                assign products[k*16 +: 16] = product_q;
            end
            wire signed [16+LEVELS-1:0] total;
            sum_tree #(.N(K), .WI(16), .WO(16 + LEVELS), .LEVELS(LEVELS)) u_tree (
                .clk(clk), .in(products), .sum(total)
            );
            reg signed [31:0] acc_q;
            always @(posedge clk) if (sum_live) begin
                acc_q <= (sum_first ? 32'sd0 : acc_q) + {{(16-LEVELS){total[15+LEVELS]}}, total};
            end
            assign acc[g*32 +: 32] = acc_q;
        end
    endgenerate

    // a finished input's sum waits for the hidden state's; then all eight leave, input's first
    reg input_done_q, hidden_done_q;
    reg [8*32-1:0] queue_q;
    reg [3:0]      left_q;
    integer q;
    always @(posedge clk) begin
        input_done_q  <= sum_live && sum_last && !sum_hidden && !rst;
        hidden_done_q <= sum_live && sum_last && sum_hidden && !rst;
        if (input_done_q) input_q <= acc;
        if (hidden_done_q) begin
            for (q = 0; q < 4; q = q + 1)
                queue_q[q*64 +: 64] <= {acc[q*32 +: 32], input_q[q*32 +: 32]};
        end else queue_q <= queue_q >> 32;
        if (rst) left_q <= 4'd0;
        else if (hidden_done_q) left_q <= 4'd8;
        else if (left_q != 4'd0) left_q <= left_q - 4'd1;
    end
    wire [3:0] slot = 4'd8 - left_q;
    assign sum_valid = left_q != 4'd0;
    assign sum_slot  = slot[2:0];
    assign sum       = queue_q[31:0];
    wire unused_slot = &{1'b0, slot[3]};
endmodule
