// Purpose   lstm_scale: TFLite's scaling of an int32 sum by a multiplier, both roundings, cut to
//           18 bits (what lies outside of int16 stays outside of it, also after adding an int16).
// Equation  y = sat18(round_away((((x + bias) << left) * multiplier + 2^30 >> 31) / 2^right))
// Latency   10; initiation interval 1; never stalls. x + bias, also shifted left, fits int32.
module lstm_scale (
    input  wire               clk,
    input  wire signed [31:0] x,
    input  wire signed [31:0] bias,
    input  wire        [2:0]  left,
    input  wire        [30:0] multiplier,
    input  wire        [4:0]  right,
    output reg  signed [17:0] y_q
);
    // 1, 2: sum, left shift
    reg  signed [31:0] sum_q, shifted_q;
    reg  [2:0]  left_q;
    reg  [30:0] multiplier_q, multiplier2_q;
    always @(posedge clk) begin
        sum_q         <= x + bias;
        left_q        <= left;
        multiplier_q  <= multiplier;
        shifted_q     <= sum_q <<< left_q;
        multiplier2_q <= multiplier_q;
    end
    // 3 to 6: first rounding
    wire signed [31:0] high;
    wire [4:0] places;
    high_product u_product (.clk(clk), .a(shifted_q), .b(multiplier2_q), .y(high));
    delay_line #(.WIDTH(5), .STAGES(6)) u_places (.clk(clk), .in(right), .out(places));
    // 7: half of the divisor, less one for a negative number
    wire [31:0] half = (32'd1 << places) >> 1;
    wire        less = high[31] && places != 5'd0;
    reg  signed [32:0] biased_q;
    reg  [4:0] places_q;
    always @(posedge clk) begin
        biased_q <= {high[31], high} + {1'b0, half} - {32'd0, less};
        places_q <= places;
    end
    // 8, 9: shift by multiples of eight, then by the rest
    reg  signed [32:0] coarse_q, fine_q;
    reg  [2:0] rest_q;
    always @(posedge clk) begin
        coarse_q <= biased_q >>> {places_q[4:3], 3'd0};
        rest_q   <= places_q[2:0];
        fine_q   <= coarse_q >>> rest_q;
    end
    // 10: saturation
    wire outside = fine_q[32:17] != {16{fine_q[32]}};
    always @(posedge clk) y_q <= outside ? {fine_q[32], {17{!fine_q[32]}}} : fine_q[17:0];
endmodule
