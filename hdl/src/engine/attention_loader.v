// Purpose   attention_loader: hands on the tokens in the activation buffer, one after the other, K
//           channels at a time.
// Latency   4 from start to the first channels; then one group of K channels per cycle, never stalls.
module attention_loader #(
    parameter P      = 3,
    parameter RW     = 2,
    parameter WB     = 8,
    parameter AW     = 9,
    parameter K      = 4,
    parameter SW     = 1,      // bits of a group's place in its word
    parameter TOKENS = 9,
    parameter GROUPS = 128     // of a token; a word holds WB / K
) (
    input  wire            clk,
    input  wire            rst,
    input  wire            start,
    input  wire [AW-1:0]   in_base,
    input  wire [AW-1:0]   in_plane,
    output reg  [AW-1:0]   read_addr_q,
    output reg  [RW-1:0]   read_bank_q,
    input  wire [WB*8-1:0] read_word,     // 3 cycles after the address
    output wire            valid,
    output wire            last,
    output wire [K*8-1:0]  channels
);
    localparam TOKENS_M1 = TOKENS - 1;
    localparam GROUPS_M1 = GROUPS - 1;
    localparam PLACES_M1 = WB / K - 1;
    localparam P_M1 = P - 1;
    reg           running_q;
    reg  [15:0]   token_q, group_q;
    reg  [SW-1:0] place_q;
    reg  [AW-1:0] quot_q;
    wire token_end = group_q == GROUPS_M1[15:0];
    wire word_end  = token_end || place_q == PLACES_M1[SW-1:0];
    wire all_end   = token_end && token_q == TOKENS_M1[15:0];
    wire bank_wrap = read_bank_q == P_M1[RW-1:0];
    wire [AW-1:0] next_quot = bank_wrap ? quot_q + 1'b1 : quot_q;
    always @(posedge clk) begin
        if (rst) running_q <= 1'b0;
        else if (start) running_q <= 1'b1;
        else if (all_end) running_q <= 1'b0;
        if (start) begin
            token_q     <= 16'd0;
            group_q     <= 16'd0;
            place_q     <= {SW{1'b0}};
            quot_q      <= in_base;
            read_addr_q <= in_base;
            read_bank_q <= {RW{1'b0}};
        end else if (running_q) begin
            group_q <= token_end ? 16'd0 : group_q + 16'd1;
            place_q <= word_end ? {SW{1'b0}} : place_q + 1'b1;
            if (token_end) begin
                token_q     <= token_q + 16'd1;
                quot_q      <= next_quot;
                read_addr_q <= next_quot;
                read_bank_q <= bank_wrap ? {RW{1'b0}} : read_bank_q + 1'b1;
            end else if (word_end) read_addr_q <= read_addr_q + in_plane;
        end
    end
    wire [SW-1:0] place;
    delay_line #(.WIDTH(SW + 2), .STAGES(3)) u_read (
        .clk(clk), .in({running_q && !rst, all_end, place_q}), .out({valid, last, place})
    );
    word_select #(.N(WB/K), .W(K*8), .SW(SW)) u_channels (
        .words(read_word), .select(place), .word(channels)
    );
endmodule
