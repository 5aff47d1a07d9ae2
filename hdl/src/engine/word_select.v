// Purpose   word_select: picks one of N words by a binary tree of multiplexers, which synthesis maps
//           to wide multiplexers (a sum of gated words takes up to three times the LUTs).
// Equation  word = words[select]; select < N
// Latency   0
module word_select #(
    parameter N  = 6,
    parameter W  = 8,
    parameter SW = 3      // at least as many bits as N - 1 has
) (
    input  wire [N*W-1:0] words,
    input  wire [SW-1:0]  select,
    output wire [W-1:0]   word
);
    localparam LOW = 1 << (SW - 1);
    generate
        if (N == 1) begin : gen_word
            wire unused_select = &{1'b0, select};
            assign word = words;
        end else if (N <= LOW) begin : gen_fewer
            wire unused_select = &{1'b0, select[SW-1]};
            word_select #(.N(N), .W(W), .SW(SW-1)) u_fewer (
                .words(words), .select(select[SW-2:0]), .word(word)
            );
        end else begin : gen_halves
            wire [W-1:0] low, high;
            if (SW == 1) begin : gen_two
                assign {high, low} = words;
            end else begin : gen_more
                word_select #(.N(LOW), .W(W), .SW(SW-1)) u_low (
                    .words(words[LOW*W-1:0]), .select(select[SW-2:0]), .word(low)
                );
                word_select #(.N(N-LOW), .W(W), .SW(SW-1)) u_high (
                    .words(words[N*W-1:LOW*W]), .select(select[SW-2:0]), .word(high)
                );
            end
            assign word = select[SW-1] ? high : low;
        end
    endgenerate
endmodule
